"""What runs: service, health, port, memory, restarts, uptime."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import psutil

from stack.core.settings import Settings
from stack.ops import compose_file, health
from stack.ops.local import processes, supervisor
from stack.ops.local.supervisor import Supervisor
from stack.ops.status import Row

DAEMON = "supervisord"


def rows(settings: Settings, file: Path = compose_file.FILE) -> list[Row]:
    """Return the state of every service of the stack, and of supervisord itself."""
    services = compose_file.services(settings, file)
    states = Supervisor(settings).states()
    problems = health.problems(service for service in services if service.name in states and states[service.name].pid)
    running = processes.by_service(supervisor.address(settings))
    rows = [_row(service, states.get(service.name), problems, running.get(service.name, [])) for service in services]
    return [*rows, _daemon(settings)] if states else rows


def _row(
    service: compose_file.Service,
    state: supervisor.State | None,
    problems: dict[str, str | None],
    running: list[psutil.Process],
) -> Row:
    return Row(
        name=service.name,
        health=_health(service, state, problems),
        port=service.ports[0] if service.ports else None,
        memory=processes.memory(running),
        restarts=state.restarts if state else 0,
        uptime=timedelta(seconds=round(state.uptime) if state else 0),
    )


def _health(service: compose_file.Service, state: supervisor.State | None, problems: dict[str, str | None]) -> str:
    if state is None or state.status == "STOPPED":
        return "done" if state and service.once else "stopped"
    if service.once and not state.pid:
        return f"failed with exit code {state.exit_code}" if state.exit_code else "done"
    if not state.pid:
        return f"does not run ({state.status.lower()}); see `make logs SERVICE={service.name}`"
    problem = problems[service.name]
    if problem and service.health and state.uptime < service.health.start_period:
        return f"starting ({problem})"
    return problem or "healthy"


def _daemon(settings: Settings) -> Row:
    process = psutil.Process(int((settings.run / "supervisord.pid").read_text()))
    age = timedelta(seconds=round(time.time() - process.create_time()))
    return Row(DAEMON, "healthy", None, processes.memory([process]), 0, age)
