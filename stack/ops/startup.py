"""Start services in the order of their needs, each as soon as it can, and wait until all are healthy."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.ops import health, launch, logs
from stack.ops.compose import Service
from stack.ops.supervisor import State, Supervisor
from stack.specification import specs

Say = Callable[[str], None]
TOO_OFTEN = 4
"""A service that had to be started again this often does not become healthy."""
NEWS = ("left out:", "withdrawn:")
"""How a one-shot service's log begins what the user is to read."""
SOURCES = ("stack", "flows", "services/migrations", "services/tracking", "feature_repo", "projects")
"""What a one-shot service applies: it runs again when something here, or a package, has changed."""


class Startup:
    """One start of a stack.

    Args:
        settings: of the stack.
        daemon: its running supervisord.
        say: is told when a service is ready.
    """

    def __init__(self, settings: Settings, daemon: Supervisor, say: Say) -> None:
        self._settings, self._daemon, self._say = settings, daemon, say
        self._began = time.monotonic()
        self._started: dict[str, float] = {}
        self._restarts: dict[str, int] = {}
        self._ready: set[str] = set()

    def run(self, services: Iterable[Service]) -> None:
        """Start what does not run yet; return when all is healthy.

        Raises:
            StackError: a service does not become healthy; holds the end of its log.
        """
        waiting = list(services)
        while waiting:
            states = self._daemon.states()
            for service in waiting:
                if service.name not in self._started and set(service.needs) <= self._ready:
                    self._begin(service, states[service.name])
            self._settle([service for service in waiting if service.name in self._started])
            waiting = [service for service in waiting if service.name not in self._ready]
            if waiting:
                time.sleep(0.2)

    def _begin(self, service: Service, state: State) -> None:
        self._started[service.name] = time.monotonic()
        self._restarts[service.name] = state.restarts if state.pid else 0
        if not state.pid and not (service.once and stamp(self._settings, service).exists()):
            self._daemon.start(service.name)

    def _settle(self, pending: list[Service]) -> None:
        """Ask every started service; those that are healthy are ready."""
        states = self._daemon.states()
        found = health.problems(service for service in pending if not service.once)
        for service in pending:
            state = states[service.name]
            problem = self._unfinished(service, state) if service.once else self._ill(service, state, found)
            if problem is None:
                self._ready.add(service.name)
                how = "done" if service.once else "healthy"
                self._say(f"  {service.name:<12} {how:<7} after {time.monotonic() - self._began:5.1f} s")
            elif time.monotonic() - self._started[service.name] > service.patience:
                raise unhealthy(self._settings, service.name, problem)

    def _ill(self, service: Service, state: State, found: dict[str, str | None]) -> str | None:
        restarts = state.restarts - self._restarts[service.name]
        if state.status == "FATAL" or restarts >= TOO_OFTEN:
            raise unhealthy(self._settings, service.name, f"it was started {restarts + 1} times and ended each time")
        return found[service.name] if state.pid else f"it does not run ({state.status.lower()})"

    def _unfinished(self, service: Service, state: State) -> str | None:
        """Why a one-shot service is not done; its success is noted, so that it need not run again."""
        done = stamp(self._settings, service)
        if done.exists():
            return None
        if state.status not in ("EXITED", "FATAL"):
            return f"it still runs ({state.status.lower()})"
        if state.exit_code or state.status == "FATAL":
            raise unhealthy(self._settings, service.name, f"it ended with exit code {state.exit_code}")
        for old in self._settings.run.glob(f"{service.name}.*.done"):
            old.unlink()
        done.touch()
        for line in left_out(logs.tail(self._settings, service.name, 200)):
            self._say(f"  {service.name:<12} {line}")
        return None


def left_out(lines: list[str]) -> list[str]:
    """What a one-shot service's last run left out, as a broken project, or withdrew, as one that is gone; and why."""
    last = max((index for index, line in enumerate(lines) if line.startswith(launch.START)), default=-1)
    found: list[str] = []
    for line in lines[last + 1 :]:
        if line.startswith(NEWS) or (found and line.startswith("  ")):
            found.append(line)
    return found


def stamp(settings: Settings, service: Service) -> Path:
    """The file that says a one-shot service has succeeded for this definition and these sources."""
    return settings.run / f"{service.name}.{service.fingerprint}.{sources()}.done"


@lru_cache(maxsize=1)
def sources() -> str:
    """A fingerprint of the code and definitions in the checkout."""
    found = sorted(
        path for folder in SOURCES for suffix in ("py", "yaml") for path in (ROOT / folder).rglob(f"*.{suffix}")
    )
    found.append(ROOT / "requirements.lock")
    there = " ".join(specs.names())  # an example is there when its data is installed
    return hashlib.sha256(b"".join([there.encode(), *(path.read_bytes() for path in found)])).hexdigest()[:16]


def unhealthy(settings: Settings, name: str, problem: str) -> StackError:
    """The error of a service that does not become healthy, with the end of its log."""
    return StackError(
        f"service {name}",
        found="\n            ".join([problem, *logs.tail(settings, name, 12)]),
        expected="a healthy service",
        todo=f"read {logs.file(settings, name)}, run `make doctor`, then `make up` again",
    )
