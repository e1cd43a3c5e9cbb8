"""Choose the runtime of a command."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from stack.core.errors import StackError
from stack.core.runtimes import RUNTIMES
from stack.core.settings import Settings
from stack.ops import compose_file, credentials
from stack.ops.runtime import Report, Runtime


def every(settings: Settings) -> list[Runtime]:
    """Return the stack in every way to run it."""
    return [_class(name)(settings) for name in RUNTIMES]


@cache
def _class(name: str) -> type[Runtime]:
    runtime: type[Runtime] = import_module(f"stack.ops.{name}.runtime").RUNTIME
    return runtime


def to_start(settings: Settings, report: Report) -> Runtime:
    """Return the runtime for `up`: the one asked for, or containers where an engine answers.

    Raises:
        StackError: another one runs, or the one asked for cannot be used here.
    """
    chosen = _wanted(settings)
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
    if settings.runtime == "auto" and not chosen.state_location():
        for other in others:
            if left := other.state_location():
                report(
                    f"a new {chosen.name} stack; the {other.name} one in {left} stays, RUNTIME={other.name} starts it"
                )
    return chosen


def remember(chosen: Runtime, file: Path = credentials.FILE) -> None:
    """Keep the profiles of a start in ``.env``, where every later command finds them.

    Raises:
        StackError: there is no such profile, or it needs another runtime; then nothing is kept.
    """
    compose_file.require_known(chosen.settings)
    chosen.check_profiles()
    credentials.keep({"profiles": chosen.settings.profiles}, file)


def current(settings: Settings) -> Runtime:
    """Return the runtime that runs; when none does the one that has state, or that `up` would choose."""
    if settings.runtime != "auto":
        return _wanted(settings)
    runtimes = every(settings)
    if running := next((runtime for runtime in runtimes if runtime.running()), None):
        return running
    kept = [runtime for runtime in runtimes if runtime.state_location()]
    return kept[0] if len(kept) == 1 else _wanted(settings)


def _wanted(settings: Settings) -> Runtime:
    """Return the runtime that the settings name; for ``auto`` the last one of the table that can be used here."""
    if settings.runtime != "auto":
        return _class(settings.runtime)(settings)
    runtimes = every(settings)
    return next((runtime for runtime in reversed(runtimes) if not runtime.unavailable_reason()), runtimes[0])
