"""The local runtime: the services of docker-compose.yml as supervised processes on this machine."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import compose, ports, startup, supervisor, versions
from stack.ops.compose import Service
from stack.ops.doctor import findings
from stack.ops.exchange import same_disk as exchange
from stack.ops.logs import shown as logs
from stack.ops.shell import exports
from stack.ops.startup import Say, Startup
from stack.ops.status import rows
from stack.ops.supervisor import Supervisor

__all__ = [
    "NAME",
    "clean",
    "down",
    "exchange",
    "exports",
    "findings",
    "logs",
    "place",
    "rows",
    "running",
    "take_up",
    "unfit",
    "up",
]
NAME = "local"


def unfit(settings: Settings) -> str | None:
    """Why this runtime cannot be used here: it always can."""
    return None


def running(settings: Settings) -> bool:
    """Say whether a service of the stack runs."""
    return any(state.pid for state in Supervisor(settings).states().values())


def place(settings: Settings) -> str:
    """Where the state lies; empty when there is none."""
    return str(settings.home) if versions.file(settings).exists() else ""


def up(settings: Settings, say: Say, file: Path = compose.FILE) -> None:
    """Start the stack and wait until every service is healthy; what already runs unchanged is left alone.

    Args:
        settings: of the stack.
        say: is told each step.
        file: the list of services.

    Raises:
        StackError: a port is taken, or a service does not become healthy.
    """
    services = compose.services(settings, file)
    compose.require_processes(settings, file)
    _prepare(settings)
    with _alone(settings):
        versions.check(settings)
        supervisor.render(settings, services)
        daemon = Supervisor(settings)
        daemon.ensure()
        daemon.update()
        running = {name for name, state in daemon.states().items() if state.pid}
        ports.require_free(settings, [service for service in services if service.name not in running])
        Startup(settings, daemon, say).run(services)
        versions.write(settings)


def take_up(settings: Settings, say: Say) -> None:
    """Apply and register what is new in projects/ and feature_repo/; what runs goes on."""
    if running(settings):
        up(settings, lambda line: say(line) if any(news in line for news in startup.NEWS) else None)


def down(settings: Settings, file: Path = compose.FILE) -> list[str]:
    """Stop every service and the daemon; what a killed daemon left behind too.

    Returns:
        Names of the services that ran.
    """
    daemon = Supervisor(settings)
    ran = sorted(name for name, state in daemon.states().items() if state.pid)
    try:
        first = _independent(compose.services(settings, file))
    except StackError:  # a broken file must not keep the stack from stopping
        first = []
    daemon.shutdown([first])
    return ran


def clean(settings: Settings) -> None:
    """Stop the stack and delete its state.

    Raises:
        StackError: the folder holds something that the stack did not make.
    """
    if not settings.home.exists():
        return
    if any(settings.home.iterdir()) and not versions.file(settings).exists():
        raise StackError(
            str(settings.home),
            found="a folder without the stack's version file",
            expected="the state of a stack",
            todo="check STACK_HOME; delete the folder yourself if it is the right one",
        )
    down(settings)
    shutil.rmtree(settings.home)


def _prepare(settings: Settings) -> None:
    """Make the folders that the services expect to find."""
    databases = (settings.mlflow_database, settings.prefect_database, settings.feast_registry, settings.state_database)
    files = [url.partition(":///")[2] for url in databases if url.startswith("sqlite")]
    if settings.online_store_type == "sqlite":
        files.append(settings.online_store)
    folders = [
        settings.run,
        settings.logs,
        settings.reports,
        settings.data_docs,
        *(Path(file).parent for file in files),
    ]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    settings.run.chmod(0o700)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Let one `up` at a time work on a stack."""
    with (settings.run / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                str(settings.home), found="another `up` at work on this stack", expected="one", todo="wait for its end"
            ) from None
        yield


def _independent(services: list[Service]) -> list[str]:
    """The services that no other one needs: they stop first."""
    needed = {other for service in services for other in service.needs}
    return [service.name for service in services if service.name not in needed]
