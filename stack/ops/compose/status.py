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


def _row(name: str, service: Service | None, one: Container | None, memory: Mapping[str, int]) -> Row:
    age = datetime.now(UTC) - one.started if one and one.running else timedelta()
    return Row(
        name=name,
        health=_health(service, one),
        port=service.ports[0] if service and service.ports else None,
        memory=memory.get(one.name, 0) if one else 0,
        restarts=one.restarts if one else 0,
        uptime=timedelta(seconds=round(age.total_seconds())),
    )


def _health(service: Service | None, one: Container | None) -> str:
    if one is None:
        return "stopped"
    if service and service.once and one.state == "exited":
        return f"failed with exit code {one.exit_code}" if one.exit_code else "done"
    if not one.running:
        return f"does not run ({one.state}); see `make logs SERVICE={one.service}`"
    return f"unhealthy ({one.last_check})" if one.health == "unhealthy" else one.health or one.state
