"""What every way to run the stack offers, and the choice for a command; `local` and `compose` hold the ways."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from stack.core import notices
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.problems import Problem
from stack.core.runtimes import RUNTIMES
from stack.core.settings import Settings
from stack.ops import compose_file, credentials
from stack.ops.archive import Manifest
from stack.ops.doctor import Finding
from stack.ops.status import Row

Paths = tuple[str | None, str | None]
Command = tuple[list[str], dict[str, str]]
"""The words of a command, and its whole environment."""


class Runtime(ABC):
    """A stack, run in one way."""

    name: ClassVar[str]
    moves_state_aside: ClassVar[bool]
    """Whether a restore can keep the old state under another name; else it has to be deleted first."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def unavailable_reason(self) -> str | None:
        """Return why it cannot be used on this machine; None when it can."""

    @abstractmethod
    def check_profiles(self) -> None:
        """Raise a StackError when an optional service that is asked for cannot run in this way."""

    @abstractmethod
    def running(self) -> bool:
        """Return whether a service of the stack runs."""

    @abstractmethod
    def state_location(self) -> str:
        """Return where the state is stored; empty when there is none."""

    @abstractmethod
    def up(self, report: Reporter) -> None:
        """Start the stack and wait until every service is healthy; what runs unchanged is left alone."""

    @abstractmethod
    def apply_changes(self, report: Reporter) -> None:
        """Apply and register what is new in projects/ and feature_repo/ without stopping a service."""

    @abstractmethod
    def down(self) -> list[str]:
        """Stop every service; return the names of those that ran."""

    @abstractmethod
    def clean(self) -> None:
        """Stop the stack and delete its state."""

    @abstractmethod
    def status(self) -> list[Row]:
        """Return the state of every service."""

    @abstractmethod
    def logs(self, service: str | None, lines: int, follow: bool) -> Iterator[str]:
        """Yield the last lines of a service's log, or of all logs, then those that are written."""

    @abstractmethod
    def findings(self) -> list[Finding]:
        """Check what the stack needs to run well."""

    @abstractmethod
    def problems(self, now: datetime) -> list[Problem]:
        """Return what is wrong with services and projects, as the home page shows it."""

    @abstractmethod
    def exports(self, inherited: Mapping[str, str], *, secrets: bool) -> str:
        """Return shell commands after which the tools' own commands work on the stack; with all secrets, or few."""

    @abstractmethod
    def notebook(self, inherited: Mapping[str, str], report: Reporter) -> Command:
        """Return the command that opens Jupyter on the stack."""

    @abstractmethod
    def files(
        self, source: Path | None, target: Path | None, default: Path, report: Reporter
    ) -> AbstractContextManager[Paths]:
        """Give the paths by which a flow reads one file of the user's and writes another.

        Args:
            source: the file to read.
            target: the file to write, there when the context has ended.
            default: where to write when `target` is None and the flow's own choice is out of the user's reach.
            report: receives the path in that case.
        """

    @abstractmethod
    def lake(self) -> AbstractContextManager[Settings]:
        """Give settings whose lake is on this disk, for as long as the context lasts."""

    @abstractmethod
    def beside_state(self, here: Callable[[], None], words: Sequence[str], report: Reporter) -> None:
        """Run a `stack` command where the state is: by `here` in this process, or by its words on a command line."""

    @abstractmethod
    def backup(self, out: Path, at: datetime, report: Reporter, *, secrets: Path | None = None) -> Path:
        """Write an archive of the whole state while the stack runs, and return its path.

        Args:
            out: a folder, or the archive's own name ending in ``.tar.gz``.
            at: the instant of the wall clock, for name and manifest.
            report: receives each part.
            secrets: the ``.env`` to put in too.
        """

    @abstractmethod
    def restore(
        self, file: Path, at: datetime, report: Reporter, *, replace: bool = False, secrets: bool = False
    ) -> Manifest:
        """Replace the state by what an archive holds.

        Args:
            file: the archive.
            at: the instant of the wall clock, which names what is moved aside.
            report: receives each step.
            replace: move the state that is there aside instead of refusing.
            secrets: write ``.env`` from the archive.
        """


def every(settings: Settings) -> list[Runtime]:
    """Return the stack in every way to run it."""
    return [_class(name)(settings) for name in RUNTIMES]


@cache
def _class(name: str) -> type[Runtime]:
    runtime: type[Runtime] = import_module(f"stack.ops.{name}.runtime").RUNTIME
    return runtime


def applied(name: str, command: Sequence[str]) -> list[str]:
    """Run a command that applies what is new in a workspace, called `name` in errors; return its notices."""
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = ran.stdout.splitlines()
    if ran.returncode:
        raise StackError(
            name,
            found="\n".join([f"it ended with exit code {ran.returncode}", *lines[-12:]]),
            expected="what is new in projects/ and feature_repo/ to be applied",
            todo="run `make check` on the project that is new, then this again",
        )
    return notices.read(lines)


def to_start(settings: Settings, report: Reporter) -> Runtime:
    """Return the runtime for `up`: the requested one, or the one with state; else containers where an engine answers.

    Raises:
        StackError: another runtime runs, or the requested one cannot be used here.
    """
    chosen = current(settings)
    others = [other for other in every(settings) if other.name != chosen.name]
    if running := next((other for other in others if other.running()), None):
        raise StackError(
            "runtime",
            found=f"{chosen.name} wanted while the services run as {running.name}",
            expected="one runtime at a time",
            todo=f"run `make down` first, or `make up RUNTIME={running.name}`; each keeps its own state",
        )
    if problem := chosen.unavailable_reason():
        raise StackError(
            f"runtime {chosen.name}",
            found=problem,
            expected="a runtime that this machine can use",
            todo=f"run `make up RUNTIME={others[0].name}`",
        )
    preferred = _preferred(settings)
    if chosen.name != preferred.name and not chosen.running():
        there = f"the state is in {chosen.state_location()}"
        report(f"{there}: starting {chosen.name}; RUNTIME={preferred.name} starts a stack with a state of its own")
    return chosen


def remember(chosen: Runtime, file: Path = credentials.FILE) -> None:
    """Keep the profiles of a start in ``.env``, where every later command reads them; refuse those that cannot run."""
    compose_file.require_known(chosen.settings)
    chosen.check_profiles()
    credentials.keep({"profiles": chosen.settings.profiles}, file)


def current(settings: Settings) -> Runtime:
    """Return the runtime that runs; when none does the one that has state, or that `up` would choose."""
    if settings.runtime != "auto":
        return _preferred(settings)
    runtimes = every(settings)
    if running := next((runtime for runtime in runtimes if runtime.running()), None):
        return running
    with_state = [runtime for runtime in runtimes if runtime.state_location()]
    return with_state[0] if len(with_state) == 1 else _preferred(settings)


def _preferred(settings: Settings) -> Runtime:
    """Return the runtime that the settings name; for ``auto`` the last one of the table that can be used here."""
    if settings.runtime != "auto":
        return _class(settings.runtime)(settings)
    runtimes = every(settings)
    return next((runtime for runtime in reversed(runtimes) if not runtime.unavailable_reason()), runtimes[0])
