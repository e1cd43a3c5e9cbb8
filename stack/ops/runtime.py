"""What every way to run the stack offers; ``stack.ops.local`` and ``stack.ops.compose`` say how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from stack.core.settings import Settings
from stack.ops.archive import Manifest
from stack.ops.doctor import Finding
from stack.ops.status import Row

Report = Callable[[str], None]
"""Receives the lines that the user reads meanwhile."""
Paths = tuple[str | None, str | None]
Command = tuple[list[str], dict[str, str]]
"""The words of a command, and its whole environment."""


class Runtime(ABC):
    """One stack, run in one way.

    Args:
        settings: of the stack.
    """

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
    def up(self, report: Report) -> None:
        """Start the stack and wait until every service is healthy."""

    @abstractmethod
    def apply_changes(self, report: Report) -> None:
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
    def exports(self, inherited: Mapping[str, str]) -> str:
        """Return shell commands after which the tools' own commands work on the stack."""

    @abstractmethod
    def notebook(self, inherited: Mapping[str, str], report: Report) -> Command:
        """Return the command that opens Jupyter on the stack."""

    @abstractmethod
    def files(
        self, given: Path | None, wanted: Path | None, default: Path, report: Report
    ) -> AbstractContextManager[Paths]:
        """Give the paths by which a flow reads one file of the user's and writes another.

        Args:
            given: the file to read.
            wanted: the file to write, there when the context has ended.
            default: where to write when `wanted` is None and the flow's own choice is out of the user's reach.
            report: receives the path in that case.
        """

    @abstractmethod
    def lake(self) -> AbstractContextManager[Settings]:
        """Give settings whose lake is on this disk, for as long as the context lasts."""

    @abstractmethod
    def beside_state(self, here: Callable[[], None], words: Sequence[str], report: Report) -> None:
        """Run a `stack` command where the state is.

        Args:
            here: does the work in this process.
            words: the same as a command line.
            report: receives the command's output.
        """

    @abstractmethod
    def backup(self, out: Path, at: datetime, report: Report, *, secrets: Path | None = None) -> Path:
        """Write one archive of the whole state while the stack runs, and return its path."""

    @abstractmethod
    def restore(
        self, file: Path, at: datetime, report: Report, *, replace: bool = False, secrets: bool = False
    ) -> Manifest:
        """Replace the state by what an archive holds.

        Args:
            file: the archive.
            at: the instant of the wall clock, which names what is moved aside.
            report: receives each step.
            replace: move the state that is there aside instead of refusing.
            secrets: write ``.env`` from the archive.
        """
