"""What keeps the processes of a stack from running well."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import psutil

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import compose_file, health, ports
from stack.ops.doctor import Finding, disk, memory, packages, python, secrets, state_versions, taken
from stack.ops.local import processes, supervisor
from stack.ops.local.supervisor import Supervisor


def findings(settings: Settings) -> list[Finding]:
    """Check Python, packages, secrets, disk, memory, state, supervisord, services and ports."""
    return [
        python(sys.version_info[:2]),
        packages(),
        secrets(settings),
        disk(settings.home),
        memory(psutil.virtual_memory().available, bool(Supervisor(settings).states())),
        state_versions(settings),
        _leftovers(settings),
        *_services(settings),
    ]


def _leftovers(settings: Settings) -> Finding:
    """Look for processes of a stack whose supervisord is gone."""
    daemon = Supervisor(settings)
    alone = [] if daemon.alive() else processes.by_service(supervisor.address(settings))
    return Finding(
        "leftovers",
        not alone,
        f"running without supervisord: {', '.join(sorted(alone))}" if alone else "none",
        "`make down` ends them, `make up` starts the stack anew",
    )


def _services(settings: Settings) -> Iterator[Finding]:
    """Ask each running service, and look for the ports of the others."""
    try:
        listed = compose_file.services(settings)
    except StackError as error:
        yield Finding("docker-compose.yml", False, str(error), error.todo)
        return
    states = Supervisor(settings).states()
    running = {name for name, state in states.items() if state.pid}
    for name, problem in health.problems(service for service in listed if service.name in running).items():
        yield Finding(name, problem is None, problem or "healthy", f"make logs SERVICE={name}")
    for service in listed:
        if service.name in running:
            continue
        if states and not service.once:
            yield Finding(service.name, False, states[service.name].status.lower(), "make up")
        for port in service.ports:
            if ports.taken(settings.bind, port):
                yield taken(service, port)
