"""A small file in the stack's home that says which versions wrote the state there."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from stack.core import code, files
from stack.core.errors import StackError
from stack.core.settings import Settings

LAYOUT = 2
"""Raised when an older stack could not read the state."""
UNFINISHED = ".restoring"
"""The folder in a home that a restore works in; while it is there, the state is not whole."""
PACKAGES = ("mlflow", "prefect", "feast", "dvc", "evidently", "great-expectations", "bentoml")


def file(settings: Settings) -> Path:
    """Return the version file."""
    return settings.home / "versions.json"


def current() -> dict[str, str | int]:
    """Return the versions of what is installed."""
    installed = {name: metadata.version(name) for name in PACKAGES}
    return {"layout": LAYOUT, "python": platform.python_version(), **installed}


def stored(settings: Settings) -> dict[str, str | int]:
    """Return the versions that last used the state; empty for a new one."""
    return dict(json.loads(file(settings).read_text())) if file(settings).exists() else {}


def changes(before: Mapping[str, str | int]) -> list[str]:
    """Describe what differs between other versions and those that are installed."""
    return [f"{name} {before[name]} -> {now}" for name, now in current().items() if before.get(name, now) != now]


def check(settings: Settings) -> None:
    """Mark a new home as the stack's; refuse state that a newer stack has written, or that is not whole.

    Raises:
        StackError: the state's layout is newer than this code, or a restore was broken off.
    """
    if (settings.home / UNFINISHED).exists():
        raise StackError(
            str(settings.home),
            found="a restore that was broken off",
            expected="a whole state",
            todo="run `make restore` again with YES=1",
        )
    layout = int(stored(settings).get("layout", LAYOUT))
    if layout > LAYOUT:
        raise StackError(
            str(file(settings)),
            found=f"state of layout {layout}",
            expected=f"layout {LAYOUT} or older",
            todo="use the newer checkout, or another STACK_HOME",
        )
    if not file(settings).exists():
        write(settings)


def write(settings: Settings, used: Mapping[str, str | int] | None = None) -> None:
    """Note which versions use the state, and which commit: those that are installed, or those that are given."""
    files.write(file(settings), json.dumps(dict(used or current() | {"code": code.version()}), indent=1) + "\n")


@contextmanager
def unfinished(settings: Settings) -> Iterator[Path]:
    """Give a folder in the home to prepare new state in; `check` refuses the home until it is whole."""
    aside = settings.home / UNFINISHED
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        if any(settings.home.iterdir()):
            aside.mkdir(exist_ok=True)
        raise
    shutil.rmtree(aside)
