"""Processes that run flows on the running stack, forked from one that has imported what flows need."""

import multiprocessing
import os
from collections.abc import Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.end_to_end.heavy import MODULES
from tests.polling import PATIENCE_SECONDS


class Ended(NamedTuple):
    exit_code: int | None
    output: str


class Forks:
    """Starts forks; each gets the environment of a user's shell.

    Args:
        environ: of the shell.
        folder: for their output.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._folder, self._started = folder, list[ForkServerProcess]()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(MODULES))
        with pytest.MonkeyPatch.context() as patch:
            for key, value in environ.items():
                patch.setenv(key, value)
            forkserver.ensure_running()

    def start(self, code: str) -> ForkServerProcess:
        """Run code as ``python -c`` does."""
        log = self._folder / f"{len(self._started)}.log"
        started = self._context.Process(target=work, args=(code, log), name=str(log))
        started.start()
        self._started.append(started)
        return started

    def run(self, code: str, seconds: float) -> Ended:
        """Run code to its end; the exit code is None when so many seconds were too few."""
        started = self.start(code)
        started.join(seconds)
        return Ended(started.exitcode, Path(started.name).read_text())

    def close(self) -> None:
        """Kill the processes that a test has left."""
        for process in self._started:
            if process.exitcode is None:
                process.kill()
                process.join()


def work(code: str, log: Path) -> None:
    """Run code in a fork, with its output in a file."""
    from prefect.events.worker import EventsWorker

    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        exec(code, {"__name__": "__main__"})
    finally:
        EventsWorker.drain_all(timeout=PATIENCE_SECONDS)  # a fork runs nothing at its exit
