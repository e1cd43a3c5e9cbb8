"""Start services in the order of their needs, each as soon as it can, and wait until all are healthy."""

import time
from collections.abc import Iterable
from pathlib import Path

from stack.core import files, notices
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.ops import compose_file, databases, lan, ports, status, versions
from stack.ops.compose_file import Service
from stack.ops.local import launch, logs, supervisor
from stack.ops.local.supervisor import State, Supervisor

TOO_OFTEN = 4
"""A service that had to be started again this often does not become healthy."""


def up(
    settings: Settings, report: Reporter, notify: Reporter, file: Path = compose_file.FILE, *, renew: bool = True
) -> None:
    """Start the stack and wait until every service is healthy; what already runs unchanged is left alone.

    Args:
        settings: of the stack.
        report: receives each service that is ready.
        notify: receives the notices of one-shot services.
        file: the list of services.
        renew: start services anew whose code has changed. Not for a child of theirs, which would end with them.
    """
    compose_file.require_known(settings, file)
    compose_file.require_processes(settings, file)
    if not settings.join_url:
        settings = lan.with_login(settings, report)
    services = compose_file.services(settings, file)
    folders = (settings.run, settings.logs, settings.reports, settings.data_docs)
    for folder in (*folders, *(file.parent for file in databases.files(settings).values())):
        folder.mkdir(parents=True, exist_ok=True)
    # Data, predictions and models are no other account's; DVC makes folders that all may write.
    for folder in (settings.home, settings.run):
        folder.chmod(0o700)
    with versions.exclusive(settings, settings.run / "up.lock", "`up`"):
        versions.check(settings)
        loaded = settings.run / "code"
        code = versions.served() if renew or not loaded.exists() else loaded.read_text()
        supervisor.render(settings, services, code)
        files.write(loaded, code)
        daemon = Supervisor(settings)
        daemon.ensure()
        daemon.update()
        running = {name for name, state in daemon.states().items() if state.pid}
        ports.require_free(settings.bind, [service for service in services if service.name not in running])
        Startup(settings, daemon, report, notify).run(services)
        versions.write(settings)


class Startup:
    """A start of a stack, whose supervisord runs."""

    def __init__(self, settings: Settings, daemon: Supervisor, report: Reporter, notify: Reporter) -> None:
        self._settings, self._daemon, self._report, self._notify = settings, daemon, report, notify
        self._began = time.monotonic()
        self._started: dict[str, float] = {}
        self._restarts: dict[str, int] = {}
        self._ready: set[str] = set()

    def run(self, services: Iterable[Service]) -> None:
        """Start what does not run yet; return when all is healthy. An error holds the end of a service's log."""
        waiting = list(services)
        while waiting:
            states = self._daemon.states()
            for service in waiting:
                if service.name in self._started or not set(service.needs) <= self._ready:
                    continue
                state = states[service.name]
                self._started[service.name] = time.monotonic()
                self._restarts[service.name] = state.restarts if state.pid else 0
                if not state.pid and not (service.once and self._stamp(service).exists()):
                    self._daemon.start(service.name)
            self._check([service for service in waiting if service.name in self._started])
            waiting = [service for service in waiting if service.name not in self._ready]
            if waiting:
                time.sleep(0.2)

    def _check(self, pending: list[Service]) -> None:
        """Probe every started service; those that are healthy are ready."""
        states = self._daemon.states()
        problems = status.problems(service for service in pending if not service.once)
        for service in pending:
            state = states[service.name]
            problem = self._unfinished(service, state) if service.once else self._unhealthy(service, state, problems)
            if problem is None:
                self._ready.add(service.name)
                how = "done" if service.once else "healthy"
                self._report(f"  {service.name:<12} {how:<7} after {time.monotonic() - self._began:5.1f} s")
            elif time.monotonic() - self._started[service.name] > service.patience:
                raise self._failure(service.name, problem)

    def _unhealthy(self, service: Service, state: State, problems: dict[str, str | None]) -> str | None:
        restarts = state.restarts - self._restarts[service.name]
        if state.status == "FATAL" or restarts >= TOO_OFTEN:
            raise self._failure(service.name, f"it was started {restarts + 1} times and ended each time")
        return problems[service.name] if state.pid else f"it does not run ({state.status.lower()})"

    def _unfinished(self, service: Service, state: State) -> str | None:
        """Return why a one-shot service is not done; its success is noted, so that it need not run again."""
        done = self._stamp(service)
        if done.exists():
            return None
        if state.status not in ("EXITED", "FATAL"):
            return f"it still runs ({state.status.lower()})"
        if state.exit_code or state.status == "FATAL":
            raise self._failure(service.name, f"it ended with exit code {state.exit_code}")
        for old in self._settings.run.glob(f"{service.name}.*.done"):
            old.unlink()
        done.touch()
        log = logs.tail(self._settings, service.name, 200)
        last_start = max((index for index, line in enumerate(log) if line.startswith(launch.START)), default=-1)
        for notice in notices.read(log[last_start + 1 :]):
            self._notify(f"  {service.name:<12} {notice}")
        return None

    def _stamp(self, service: Service) -> Path:
        """Return the file that exists when a one-shot service has succeeded with this definition and these sources."""
        return self._settings.run / f"{service.name}.{service.fingerprint}.{versions.sources()}.done"

    def _failure(self, name: str, problem: str) -> StackError:
        return StackError(
            f"service {name}",
            found="\n".join([problem, *logs.tail(self._settings, name, 12)]),
            expected="a healthy service",
            todo=f"read {logs.file(self._settings, name)}, run `make doctor`, then `make up` again",
        )
