"""A stack of the tests' own: its ports, its environment, and single services of it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx

from stack.core.settings import Settings
from stack.ops import compose_file
from tests.polling import INTERVAL_SECONDS, PATIENCE_SECONDS, eventually

PORTS = [name for name in Settings.model_fields if name.endswith("_port")]


class Service:
    """A service of docker-compose.yml, run as a process of its own group."""

    def __init__(self, settings: Settings, name: str, healthy: Callable[[], Any]) -> None:
        self.settings, self.name, self.healthy = settings, name, healthy
        self.definition = next(service for service in compose_file.services(settings) if service.name == name)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until it is healthy."""
        self.settings.logs.mkdir(parents=True, exist_ok=True)
        with (self.settings.logs / f"{self.name}.log").open("ab") as log:
            environ = shell(self.settings) | self.definition.environment
            self.process = subprocess.Popen(
                self.definition.command, env=environ, stdout=log, stderr=log, start_new_session=True
            )
        eventually(self.healthy, alive=lambda: self.process.poll() is None)

    def ensure(self) -> None:
        """Start the process again when a test has killed it."""
        if self.process is None or self.process.poll() is not None:
            self.start()

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """Stop the process and what it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, sign)
            self.process.wait(timeout=PATIENCE_SECONDS)


def own_environment(home: Path) -> dict[str, str]:
    """STACK_* keys of a stack that shares nothing with another one."""
    ports = zip(PORTS, free_ports(len(PORTS)), strict=True)
    own = {"STACK_HOME": str(home), "STACK_RUNTIME": "local", "STACK_PREFECT_KEY": "key-of-the-tests"}
    own |= {"STACK_BACKUP_DAILY": "0", "STACK_ACCESS_KEY": "access-key-of-the-tests"}
    return own | {f"STACK_{name}".upper(): str(port) for name, port in ports}


def shell(settings: Settings) -> dict[str, str]:
    """The environment of a user's shell after ``eval "$(make env)"``."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | compose_file.environment(settings) | {"PATH": path}


class AskingAgain(httpx.HTTPTransport):
    """Asks again after a 503, as Prefect's own client does: another writer held the database."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = super().handle_request(request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                return answer
            answer.close()
            time.sleep(INTERVAL_SECONDS)


def prefect_api(settings: Settings) -> httpx.Client:
    """A client of a stack's Prefect API, with its key."""
    return httpx.Client(
        base_url=f"{settings.prefect_url}/api",
        headers=settings.prefect_headers,
        timeout=PATIENCE_SECONDS,
        transport=AskingAgain(),
    )


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, held open together so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        return [bound.getsockname()[1] for bound in sockets]
