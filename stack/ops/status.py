"""What `make status` shows of each service: its health, asked by its check of docker-compose.yml, and its resources."""

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from stack.core.errors import StackError, nearest
from stack.ops import probe
from stack.ops.compose_file import Service


@dataclass(frozen=True)
class Row:
    """The state of one service."""

    name: str
    health: str
    """healthy, starting, stopped, done, or what is wrong."""
    port: int | None
    memory: int
    """PSS of all its processes, bytes."""
    restarts: int
    uptime: timedelta

    @property
    def well(self) -> bool:
        """Whether there is nothing to do."""
        return self.health in ("healthy", "done")


def table(rows: list[Row]) -> str:
    """Format the rows for a terminal, with the sum of the memory."""
    lines = [f"{'SERVICE':<13}{'PORT':>6}{'MEMORY':>10}{'RESTARTS':>10}{'UPTIME':>12}   HEALTH"]
    for row in rows:
        memory = f"{row.memory / 2**20:.0f} MiB" if row.memory else "-"
        uptime = str(row.uptime) if row.uptime else "-"
        state = row.health.splitlines()[0]
        lines.append(f"{row.name:<13}{row.port or '-':>6}{memory:>10}{row.restarts:>10}{uptime:>12}   {state}")
    lines.append(f"{'sum':<13}{'':>6}{sum(row.memory for row in rows) / 2**20:>6.0f} MiB")
    return "\n".join(lines)


def require_log(service: str, services: Collection[str], problem: str) -> None:
    """Refuse the name of a service that has no log; name the nearest."""
    if service not in services:
        raise StackError(
            f"log of {service}",
            found=f"{problem}{nearest(service, services)}",
            expected=f"one of {', '.join(services) or 'none yet'}",
            todo="make logs SERVICE=<name>",
        )


def problems(services: Iterable[Service]) -> dict[str, str | None]:
    """Ask several services at once; return what is wrong with each, None when it is healthy or has no check."""
    asked = list(services)
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        return dict(zip((service.name for service in asked), pool.map(_problem, asked), strict=True))


def _problem(service: Service) -> str | None:
    if service.health is None:
        return None
    question = vars(probe.parse(service.health.probe)) | {"timeout": service.health.timeout}
    return probe.ask(**question, environ=service.environment)
