"""What runs: service, health, port, memory, restarts, uptime."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from stack.core.settings import Settings
from stack.ops import compose, health, processes, supervisor
from stack.ops.supervisor import Supervisor

DAEMON = "supervisord"


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
        """Say whether there is nothing to do."""
        return self.health in ("healthy", "done")


def rows(settings: Settings, file: Path = compose.FILE) -> list[Row]:
    """Look at every service of the stack, and at supervisord itself."""
    services = compose.services(settings, file)
    states = Supervisor(settings).states()
    asked = health.problems(one for one in services if one.name in states and states[one.name].pid)
    found = processes.by_service(supervisor.address(settings))
    made = []
    for service in services:
        state = states.get(service.name)
        made.append(
            Row(
                name=service.name,
                health=_health(service, state, asked),
                port=service.ports[0] if service.ports else None,
                memory=processes.memory(found.get(service.name, [])),
                restarts=state.restarts if state else 0,
                uptime=timedelta(seconds=round(state.uptime) if state else 0),
            )
        )
    if states:
        made.append(_daemon(settings))
    return made


def table(made: list[Row]) -> str:
    """Lay the rows out for a terminal, with the sum of the memory."""
    lines = [f"{'SERVICE':<13}{'PORT':>6}{'MEMORY':>10}{'RESTARTS':>10}{'UPTIME':>12}   HEALTH"]
    for row in made:
        memory = f"{row.memory / 2**20:.0f} MiB" if row.memory else "-"
        uptime = str(row.uptime) if row.uptime else "-"
        state = row.health.splitlines()[0]
        lines.append(f"{row.name:<13}{row.port or '-':>6}{memory:>10}{row.restarts:>10}{uptime:>12}   {state}")
    lines.append(f"{'sum':<13}{'':>6}{sum(row.memory for row in made) / 2**20:>6.0f} MiB")
    return "\n".join(lines)


def _health(service: compose.Service, state: supervisor.State | None, asked: dict[str, str | None]) -> str:
    if state is None or state.status == "STOPPED":
        return "done" if state and service.once else "stopped"
    if service.once and not state.pid:
        return f"failed with exit code {state.exit_code}" if state.exit_code else "done"
    if not state.pid:
        return f"does not run ({state.status.lower()}); see `make logs SERVICE={service.name}`"
    problem = asked[service.name]
    if problem and service.health and state.uptime < service.health.start_period:
        return f"starting ({problem})"
    return problem or "healthy"


def _daemon(settings: Settings) -> Row:
    process = psutil.Process(int((settings.run / "supervisord.pid").read_text()))
    age = timedelta(seconds=round(time.time() - process.create_time()))
    return Row(DAEMON, "healthy", None, processes.memory([process]), 0, age)
