"""Servers of other programs that a test starts, kills and starts again."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import free_ports


def installed(program: str, *folders: Path) -> str:
    """The path of a program; without it the test is skipped."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", *map(str, folders)])
    if not (found := shutil.which(program, path=path)):
        pytest.skip(f"{program} is not installed")
    return found


class Server:
    """A process of its own; of a folder that root may not own where the program refuses root."""

    def __init__(self, command: list[Any], answers: Callable[[], Any], user: str | None = None) -> None:
        self.command, self.answers, self.user = command, answers, user
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
        self.process = subprocess.Popen(self.command, user=self.user, start_new_session=True, **quiet)
        try:
            eventually(self.answers, alive=lambda: self.process is not None and self.process.poll() is None)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the process and its children, without a chance to write anything."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=PATIENCE_SECONDS)
            self.process = None


class Postgres(Server):
    """A PostgreSQL server whose user `me` has a password; `url` has the name of it, ${SALES_PASSWORD}."""

    password = "p@ss/w:rd%20"  # noqa: S105

    def __init__(self, folder: Path) -> None:
        initdb = installed("initdb", *Path("/usr/lib/postgresql").glob("*/bin"))
        (self.port,) = free_ports(1)
        user = "nobody" if os.geteuid() == 0 else None
        data, password = folder / "data", folder / "password"
        password.write_text(self.password)
        for path in (folder, password):
            if user:
                shutil.chown(path, user)
        words = {"user": user, "cwd": "/", "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([initdb, "-D", data, "-U", "me", "-A", "scram-sha-256", "--pwfile", password], **words)
        command = [Path(initdb).resolve().with_name("postgres"), "-D", data, "-k", folder, "-p", str(self.port), "-F"]
        self.url = f"postgresql://me:${{SALES_PASSWORD}}@127.0.0.1:{self.port}/postgres"
        self.engine = create_engine(
            f"postgresql+psycopg://me@127.0.0.1:{self.port}/postgres", connect_args={"password": self.password}
        )
        super().__init__(command, self._accepts, user)

    def _accepts(self) -> bool:
        try:
            self.engine.connect().close()
        except OperationalError:
            return False
        return True
