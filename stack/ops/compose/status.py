"""What runs: service, health, port, memory, restarts, uptime."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from stack.core.settings import Settings
from stack.ops import compose_file
from stack.ops.compose import docker, ownership
from stack.ops.compose.docker import Container
from stack.ops.compose_file import Service
from stack.ops.status import Row


def rows(settings: Settings) -> list[Row]:
    """Return the state of every service, the database servers first."""
    ownership.require_own(settings)
    services = {service.name: service for service in compose_file.services(settings)}
    containers, memory = docker.containers(settings), docker.memory(settings)
    names = [*compose_file.servers(settings), *services]
    return [_row(name, services.get(name), containers.get(name), memory) for name in names]


def _row(name: str, service: Service | None, container: Container | None, memory: Mapping[str, int]) -> Row:
    age = datetime.now(UTC) - container.started if container and container.running else timedelta()
    return Row(
        name=name,
        health=_health(service, container),
        port=service.ports[0] if service and service.ports else None,
        memory=memory.get(container.name, 0) if container else 0,
        restarts=container.restarts if container else 0,
        uptime=timedelta(seconds=round(age.total_seconds())),
    )


def _health(service: Service | None, container: Container | None) -> str:
    if container is None:
        return "stopped"
    if service and service.once and container.state == "exited":
        return f"failed with exit code {container.exit_code}" if container.exit_code else "done"
    if not container.running:
        return f"does not run ({container.state}); see `make logs SERVICE={container.service}`"
    return (
        f"unhealthy ({container.last_check})"
        if container.health == "unhealthy"
        else container.health or container.state
    )
