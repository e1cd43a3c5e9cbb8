"""Processes forked from one that has imported what they need, which takes seconds."""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable, Iterable, Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

import pytest

from stack.core.settings import ROOT
from tests.polling import PATIENCE_SECONDS


class Ended(NamedTuple):
    exit_code: int | None
    """None when it took too long."""
    output: str
    errors: str


class Forks:
    """Starts forks; each gets the environment of a user's shell.

    The modules are imported once in a test session, by the first that starts a fork.

    Args:
        environ: of the shell.
        folder: for their output.
        modules: that are imported before.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path, modules: Iterable[str]) -> None:
        self._environ, self._folder, self._started = dict(environ), folder, list[ForkServerProcess]()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(modules))
        with pytest.MonkeyPatch.context() as patch:
            for key, value in environ.items():
                patch.setenv(key, value)
            forkserver.ensure_running()

    def start(self, code: str) -> ForkServerProcess:
        """Run code as ``python -c`` does, with its errors in the log of its output."""
        return self._start(flow, (code,), self._environ, merged=True)

    def run(self, code: str, seconds: float) -> Ended:
        """Run code to its end."""
        return self._end(self.start(code), seconds)

    def module(self, *words: str, environ: Mapping[str, str] | None = None, seconds: float = PATIENCE_SECONDS) -> Ended:
        """Run a module with arguments as ``python -m`` does, to its end.

        Args:
            words: the module and its arguments.
            environ: of the process; default: of the shell.
            seconds: after which it is killed.
        """
        return self._end(self._start(module, words, self._environ if environ is None else environ), seconds)

    def close(self) -> None:
        """Kill the processes that a test has left."""
        for process in self._started:
            if process.exitcode is None:
                process.kill()
                process.join()

    def _start(
        self, work: Callable[..., None], words: tuple[str, ...], environ: Mapping[str, str], *, merged: bool = False
    ) -> ForkServerProcess:
        log = self._folder / f"{len(self._started)}.log"
        errors = log if merged else log.with_suffix(".errors")
        started = self._context.Process(target=shell, args=(work, words, dict(environ), (log, errors)), name=str(log))
        started.start()
        self._started.append(started)
        return started

    def _end(self, started: ForkServerProcess, seconds: float) -> Ended:
        started.join(seconds)
        if (code := started.exitcode) is None:
            started.kill()
            started.join()
        log = Path(started.name)
        errors = log.with_suffix(".errors")
        return Ended(code, log.read_text(), errors.read_text() if errors.exists() else "")


def shell(work: Callable[..., None], words: tuple[str, ...], environ: dict[str, str], logs: tuple[Path, Path]) -> None:
    """Do some work in a fork, in an environment and with its output and errors in files."""
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(ROOT)
    for number, log in enumerate(logs, start=1):
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    work(*words)


def flow(code: str) -> None:
    """Run code that runs flows; a fork runs nothing at its exit, so the events are sent here."""
    from prefect.events.worker import EventsWorker

    try:
        exec(code, {"__name__": "__main__"})
    finally:
        EventsWorker.drain_all(timeout=PATIENCE_SECONDS)


def module(*words: str) -> None:
    """Run a module with arguments."""
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
