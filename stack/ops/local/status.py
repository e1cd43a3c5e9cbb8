"""What runs: service, health, port, memory, restarts, uptime; and what keeps processes from running well."""

import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import compose_file, doctor
from stack.ops.compose_file import Service
from stack.ops.doctor import Finding
from stack.ops.local import processes, supervisor
from stack.ops.local.supervisor import State, Supervisor
from stack.ops.status import Row, problems

DAEMON = "supervisord"


def rows(settings: Settings, file: Path = compose_file.FILE) -> list[Row]:
    """Return the state of every service of the stack, and of supervisord itself."""
    services = compose_file.services(settings, file)
    states = Supervisor(settings).states()
    unwell = problems(service for service in services if service.name in states and states[service.name].pid)
    running = processes.by_service(supervisor.address(settings))
    rows = []
    for service in services:
        state = states.get(service.name)
        health = _health(service, state, unwell.get(service.name))
        uptime = timedelta(seconds=round(state.uptime) if state else 0)
        memory = processes.memory(running.get(service.name, []))
        port = service.ports[0] if service.ports else None
        rows.append(Row(service.name, health, port, memory, state.restarts if state else 0, uptime))
    if states:
        daemon = psutil.Process(int((settings.run / "supervisord.pid").read_text()))
        uptime = timedelta(seconds=round(time.time() - daemon.create_time()))
        rows.append(Row(DAEMON, "healthy", None, processes.memory([daemon]), 0, uptime))
    return rows


def _health(service: Service, state: State | None, problem: str | None) -> str:
    if state is None or state.status == "STOPPED":
        return "done" if state and service.once else "stopped"
    if service.once and not state.pid:
        return f"failed with exit code {state.exit_code}" if state.exit_code else "done"
    if not state.pid:
        return f"does not run ({state.status.lower()}); see `make logs SERVICE={service.name}`"
    if problem and service.health and state.uptime < service.health.start_period:
        return f"starting ({problem})"
    return problem or "healthy"


def findings(settings: Settings) -> list[Finding]:
    """Check Python, packages, secrets, disk, memory, state, supervisord, services and ports."""
    daemon = Supervisor(settings)
    states = daemon.states()
    # Processes of a stack whose supervisord is gone.
    orphans = [] if daemon.alive() else sorted(processes.by_service(supervisor.address(settings)))
    detail = f"running without supervisord: {', '.join(orphans)}" if orphans else "none"
    return [
        doctor.python(sys.version_info[:2]),
        doctor.packages(),
        doctor.secrets(settings),
        *doctor.disk(settings),
        doctor.memory(running=bool(states)),
        doctor.state_versions(settings),
        Finding("leftovers", not orphans, detail, "`make down` ends them, `make up` starts the stack anew"),
        *_services(settings, states),
    ]


def _services(settings: Settings, states: dict[str, State]) -> Iterator[Finding]:
    """Ask each running service, and look for the ports of the others."""
    try:
        services = compose_file.services(settings)
    except StackError as error:
        yield Finding("docker-compose.yml", False, str(error), error.todo)
        return
    running = {name for name, state in states.items() if state.pid}
    for name, problem in problems(service for service in services if service.name in running).items():
        yield Finding(name, problem is None, problem or "healthy", f"make logs SERVICE={name}")
    for service in services:
        if service.name not in running:
            if states and not service.once:
                yield Finding(service.name, False, states[service.name].status.lower(), "make up")
            yield from doctor.taken_ports(settings, [service])
