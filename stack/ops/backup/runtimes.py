"""Which backup goes with which runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from stack.core.settings import Settings
from stack.ops import runtimes
from stack.ops.backup import backup, containers, restore
from stack.ops.backup.archive import Manifest


class Backups(NamedTuple):
    """The two directions."""

    make: Callable[..., Path]
    """As `backup.make`."""
    bring_back: Callable[..., Manifest]
    """As `restore.bring_back`."""


def current(settings: Settings) -> Backups:
    """Those of the runtime that runs, has state, or would be started."""
    if runtimes.current(settings) is runtimes.COMPOSE:
        return Backups(containers.make, containers.bring_back)
    return Backups(backup.make, restore.bring_back)
