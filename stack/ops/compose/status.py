"""What runs: service, health, port, memory, restarts, uptime; and what keeps containers from running well."""

from datetime import UTC, datetime, timedelta

from stack.core.settings import Settings
from stack.ops import compose_file, doctor
from stack.ops.compose import docker, image, ownership
from stack.ops.compose.docker import Container
from stack.ops.compose_file import Service
from stack.ops.doctor import Finding
from stack.ops.status import Row


def rows(settings: Settings) -> list[Row]:
    """Return the state of every service, the database servers first."""
    ownership.require_own(settings)
    services = {service.name: service for service in compose_file.services(settings)}
    containers, memory = docker.containers(settings), docker.memory(settings)
    rows = []
    expected = [*compose_file.servers(settings), *services]
    further = [name for name, container in containers.items() if name not in expected and container.service in services]
    for name in [*expected, *further]:
        container = containers.get(name)
        service = services.get(container.service if container else name)
        port = service.ports[0] if service and service.ports else None
        if container is None:
            rows.append(Row(name, "stopped", port, 0, 0, timedelta()))
            continue
        age = datetime.now(UTC) - container.started if container.running else timedelta()
        uptime = timedelta(seconds=round(age.total_seconds()))
        used = memory.get(container.name, 0)
        rows.append(Row(name, _health(service, container), port, used, container.restarts, uptime))
    return rows


def _health(service: Service | None, container: Container) -> str:
    if service and service.once and container.state == "exited":
        return f"failed with exit code {container.exit_code}" if container.exit_code else "done"
    if not container.running:
        return f"does not run ({container.state}); see `make logs SERVICE={container.service}`"
    if container.health == "unhealthy":
        return f"unhealthy ({container.last_check})"
    return container.health or ("healthy" if service and not service.health else container.state)


def findings(settings: Settings, *, running: bool) -> list[Finding]:
    """Check the engine, secrets, disk, memory, the image, and every service."""
    if problem := docker.engine():
        return [Finding("Docker", False, problem, "install Docker with Compose v2, or use `make up RUNTIME=local`")]
    if checkout := ownership.foreign_checkout(settings):
        detail = f"containers and volumes of the name {settings.name} belong to {checkout}"
        return [Finding("STACK_NAME", False, detail, "set STACK_NAME and other ports in .env")]
    findings = [
        Finding("Docker", True, "an engine with Compose answers"),
        doctor.secrets(settings),
        *doctor.disk(settings),
        doctor.memory(running=running),
    ]
    if not running:
        return findings + doctor.taken_ports(settings, compose_file.services(settings))
    old = image.outdated()
    findings.append(Finding("image", not old, "other files than the checkout" if old else "as the checkout", "make up"))
    services = [Finding(row.name, row.well, row.health, f"make logs SERVICE={row.name}") for row in rows(settings)]
    return findings + services
