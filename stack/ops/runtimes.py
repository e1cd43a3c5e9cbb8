"""The two ways to run, behind one interface: processes (``stack.ops.local``) or containers (``.containers``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import compose, containers, credentials, local
from stack.ops.doctor import Finding
from stack.ops.startup import Say
from stack.ops.status import Row


class Runtime(Protocol):
    """What a module that runs the services offers; the two modules say how."""

    NAME: str

    def unfit(self, settings: Settings) -> str | None:
        """Why it cannot be used here; None when it can."""

    def running(self, settings: Settings) -> bool:
        """Say whether a service of the stack runs."""

    def place(self, settings: Settings) -> str:
        """Where the state lies; empty when there is none."""

    def up(self, settings: Settings, say: Say) -> None:
        """Start the stack and wait until every service is healthy."""

    def take_up(self, settings: Settings, say: Say) -> None:
        """Apply and register what is new in projects/ and feature_repo/; what runs goes on."""

    def down(self, settings: Settings) -> list[str]:
        """Stop every service; return the names of those that ran."""

    def clean(self, settings: Settings) -> None:
        """Stop the stack and delete its state."""

    def rows(self, settings: Settings) -> list[Row]:
        """Look at every service."""

    def logs(self, settings: Settings, service: str | None, lines: int, follow: bool) -> Iterator[str]:
        """Yield the end of a service's log, or of all."""

    def exports(self, settings: Settings, inherited: Mapping[str, str]) -> str:
        """Write shell commands with which the tools' own commands reach the stack."""

    def exchange(
        self, settings: Settings, given: Path | None, wanted: Path | None, /
    ) -> AbstractContextManager[tuple[str | None, str | None]]:
        """Lend a file to a flow, and get the one that it writes."""

    def findings(self, settings: Settings) -> list[Finding]:
        """Look for what keeps the stack from running well."""


LOCAL: Runtime = local
COMPOSE: Runtime = containers


def to_start(settings: Settings, say: Say) -> Runtime:
    """The runtime for `up`: the one asked for, or containers where an engine answers.

    Raises:
        StackError: the other one runs, or the one asked for cannot be used here.
    """
    chosen = _wanted(settings)
    other = LOCAL if chosen is COMPOSE else COMPOSE
    if other.running(settings):
        raise StackError(
            "runtime",
            found=f"{chosen.NAME} wanted while the services run as {other.NAME}",
            expected="one runtime at a time",
            todo=f"run `make down` first, or `make up RUNTIME={other.NAME}`; each keeps its own state",
        )
    if problem := chosen.unfit(settings):
        raise StackError(
            "runtime compose", found=problem, expected="a Docker engine", todo="run `make up RUNTIME=local`"
        )
    if settings.runtime == "auto" and not chosen.place(settings) and (left := other.place(settings)):
        say(f"a new {chosen.NAME} stack; the {other.NAME} one in {left} stays, RUNTIME={other.NAME} brings it back")
    return chosen


def remember(chosen: Runtime, settings: Settings, file: Path = credentials.FILE) -> None:
    """Keep the profiles of a start in ``.env``, where every later command finds them.

    Raises:
        StackError: there is no such profile, or it needs the other runtime; then nothing is kept.
    """
    compose.require_known(settings)
    if chosen is LOCAL:
        compose.require_processes(settings)
    credentials.keep({"profiles": settings.profiles}, file)


def current(settings: Settings) -> Runtime:
    """The runtime that runs; when none does the one that has state, or that `up` would choose."""
    if settings.runtime != "auto":
        return _wanted(settings)
    # Processes first: they are of this home, while containers of this name may be of another checkout.
    both = (LOCAL, COMPOSE)
    if running := [one for one in both if one.running(settings)]:
        return running[0]
    kept = [one for one in both if one.place(settings)]
    return kept[0] if len(kept) == 1 else _wanted(settings)


def _wanted(settings: Settings) -> Runtime:
    if settings.runtime == "auto":
        return LOCAL if COMPOSE.unfit(settings) else COMPOSE
    return LOCAL if settings.runtime == "local" else COMPOSE
