"""supervisord for one stack: its configuration rendered from the services, its daemon, and its XML-RPC interface.

Source: http://supervisord.org/configuration.html and http://supervisord.org/api.html
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from stack.core import files
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.core.wait import wait_until
from stack.ops.compose_file import Service
from stack.ops.local import processes
from stack.ops.local.launch import starts

PAUSE = 0.05
"""Seconds between two questions to the daemon."""

LONGEST_SOCKET = 90  # sun_path holds 104 bytes on macOS, and supervisord appends its pid for a moment
FOREIGN = ("STACK_", "PREFECT_", "MLFLOW_", "_MLFLOW_", "FEAST_", "BENTOML_", "DVC_", "SUPERVISOR_", "PYTHON")
DAEMON = """\
[supervisord]
pidfile={run}/supervisord.pid
logfile={logs}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
directory={root}
identifier=homelab-mlops

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}
"""
# A service that dies is started again at once; one that cannot start is retried after 1, 2, 3 ... seconds, for days: a
# disk that was full for an hour must not end the stack.
PROGRAM = """
[program:{name}]
command={command}
environment=DEFINITION="{fingerprint} {code}"
autostart=false
autorestart={autorestart}
startsecs={startsecs}
startretries={startretries}
stopwaitsecs={grace:.0f}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={logs}/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


@dataclass(frozen=True)
class State:
    """What supervisord knows of a service."""

    name: str
    status: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or UNKNOWN."""
    pid: int
    uptime: float
    """Seconds since it was started; 0 when it does not run."""
    exit_code: int
    restarts: int
    """Starts without a command of the user."""


def socket(settings: Settings) -> Path:
    """Return the path of the daemon's socket: below the temporary folder where the run folder's path is too long."""
    path = settings.run / "supervisor.sock"
    if len(str(path)) <= LONGEST_SOCKET:
        return path
    name = f"stack-{os.getuid()}-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.sock"
    return min((Path(folder) / name for folder in (tempfile.gettempdir(), "/tmp")), key=lambda path: len(str(path)))  # noqa: S108  # the name is hashed, the socket 0700


def address(settings: Settings) -> str:
    """Return the daemon's address, which also marks the processes of this stack."""
    return f"unix://{socket(settings)}"


def definition(settings: Settings, name: str) -> Path:
    """Return the file with a service's command and environment."""
    return settings.run / f"{name}.json"


def render(settings: Settings, services: Iterable[Service], code: str) -> None:
    """Write the daemon's configuration and a definition file for each service, readable by their owner only.

    Commands and environment stand in the definition files, as supervisord's own format has no quoting for them.

    Args:
        settings: of the stack.
        services: all of them.
        code: fingerprint of the code; services that run with another one are started anew.
    """
    places = {"run": settings.run, "logs": settings.logs, "root": ROOT, "socket": socket(settings)}
    parts = [DAEMON.format_map({key: _escaped(value) for key, value in places.items()})]
    for service in services:
        launch = [sys.executable, "-m", "stack.ops.local.launch", str(definition(settings, service.name))]
        body = {"command": service.command, "environment": dict(service.environment)}
        files.write(definition(settings, service.name), json.dumps(body, indent=1), mode=0o600)
        parts.append(
            PROGRAM.format(
                name=service.name,
                command=_escaped(shlex.join(launch)),
                fingerprint=service.fingerprint,
                code=code,
                autorestart="false" if service.once else "true",
                startsecs=0 if service.once else 3,
                startretries=0 if service.once else 1000,
                grace=service.grace,
                logs=_escaped(settings.logs),
            )
        )
    files.write(settings.run / "supervisord.conf", "".join(parts), mode=0o600)


class Supervisor:
    """The supervisord of one stack."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _rpc(self) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(serverurl=address(self._settings))
        return ServerProxy("http://localhost", transport=transport).supervisor

    def alive(self) -> bool:
        """Return whether the daemon answers."""
        if not socket(self._settings).exists():
            return False
        try:
            return bool(self._rpc.getState()["statecode"] == 1)
        except (OSError, HTTPException):
            self.__dict__.pop("_rpc", None)
            return False

    def ensure(self) -> None:
        """Start the daemon unless it runs; what a dead daemon has left behind is ended first."""
        if self.alive():
            return
        processes.kill(self.leftovers())
        environ = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._settings.run / "supervisord.conf")]
        started = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        if started.returncode == 0 and wait_until(self.alive, 10, pause=PAUSE):
            return
        raise StackError(
            "supervisord",
            found=(started.stdout + started.stderr).strip() or "no answer within 10 s",
            expected="a running daemon",
            todo=f"read {self._settings.logs}/supervisord.log",
        )

    def update(self) -> None:
        """Take over the rendered configuration; services whose definition changed are stopped, to be started anew."""
        added, changed, removed = self._rpc.reloadConfig()[0]
        for name in [*changed, *removed]:
            self.stop(name)
            self._rpc.removeProcessGroup(name)
        for name in [*added, *changed]:
            self._rpc.addProcessGroup(name)

    def states(self) -> dict[str, State]:
        """Return the state of every service that the daemon knows; none when it does not run."""
        if not self.alive():
            return {}
        return {info["name"]: self._state(info) for info in self._rpc.getAllProcessInfo()}

    def start(self, name: str) -> None:
        """Start a service without waiting for it; its restarts count from here."""
        starts(definition(self._settings, name)).unlink(missing_ok=True)
        with _ignoring("ALREADY_STARTED"):
            self._rpc.startProcess(name, False)

    def stop(self, name: str) -> None:
        """Stop a service, wait for its end and end what it leaves behind."""
        with _ignoring("NOT_RUNNING"):
            self._rpc.stopProcess(name)
        processes.kill(processes.by_service(address(self._settings)).get(name, []))

    def shutdown(self, waves: Sequence[Sequence[str]] = ()) -> None:
        """Stop the services wave by wave, then the others, then the daemon, then whatever is left of the stack."""
        if self.alive():
            for wave in [*waves, list(self.states())]:
                self._stop_together(wave)
            self._rpc.shutdown()
            wait_until(lambda: not self.alive(), 10, pause=PAUSE)
        processes.kill(self.leftovers(), patience=5)

    def _stop_together(self, names: Sequence[str]) -> None:
        for name in names:
            with suppress(Fault):  # it does not run, or the daemon has no such service
                self._rpc.stopProcess(name, False)
        # The daemon kills what outlives its grace, so this ends.
        wait_until(
            lambda: not any(state.pid for state in self.states().values() if state.name in names), 120, pause=PAUSE
        )

    def leftovers(self) -> list[Any]:
        """Return the processes of this stack, whoever is their parent now."""
        return [process for running in processes.by_service(address(self._settings)).values() for process in running]

    def _state(self, info: dict[str, Any]) -> State:
        noted = starts(definition(self._settings, info["name"]))
        count = len(noted.read_text().splitlines()) if noted.exists() else 0
        return State(
            name=info["name"],
            status=info["statename"],
            pid=info["pid"],
            uptime=float(info["now"] - info["start"]) if info["pid"] else 0.0,
            exit_code=info["exitstatus"],
            restarts=max(0, count - 1),
        )


@contextmanager
def _ignoring(fault: str) -> Iterator[None]:
    try:
        yield
    except Fault as error:
        if fault not in error.faultString:
            raise


def _escaped(value: object) -> str:
    """Protect what supervisord's format reads as something else: % expands, and ``;`` or ``#`` begins a comment."""
    text = str(value)
    if set(text) & set("\n;#"):
        raise StackError(
            "path of the stack",
            found=repr(text),
            expected="a path without ; or #, as supervisord reads a comment there",
            todo="move the checkout, or set STACK_HOME",
        )
    return text.replace("%", "%%")
