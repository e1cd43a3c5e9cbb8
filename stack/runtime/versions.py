"""A small file in the stack's home that says which versions wrote the state there."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path

from stack.errors import StackError
from stack.settings import Settings

LAYOUT = 1
"""Raised when an older stack could not read the state."""
PACKAGES = ("mlflow", "prefect", "feast", "dvc", "evidently", "great-expectations", "bentoml")


def file(settings: Settings) -> Path:
    """The version file."""
    return settings.home / "versions.json"


def current() -> dict[str, str | int]:
    """The versions of what is installed."""
    installed = {name: metadata.version(name) for name in PACKAGES}
    return {"layout": LAYOUT, "python": platform.python_version(), **installed}


def stored(settings: Settings) -> dict[str, str | int]:
    """The versions that last used the state; empty for a new one."""
    return dict(json.loads(file(settings).read_text())) if file(settings).exists() else {}


def check(settings: Settings) -> None:
    """Mark a new home as the stack's; refuse state that a newer stack has written.

    Raises:
        StackError: the state's layout is newer than this code.
    """
    found = int(stored(settings).get("layout", LAYOUT))
    if found > LAYOUT:
        raise StackError(
            str(file(settings)),
            found=f"state of layout {found}",
            expected=f"layout {LAYOUT} or older",
            todo="use the newer checkout, or another STACK_HOME",
        )
    if not file(settings).exists():
        write(settings)


def write(settings: Settings) -> None:
    """Note that the installed versions use the state."""
    file(settings).write_text(json.dumps(current(), indent=1) + "\n")
