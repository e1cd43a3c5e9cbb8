"""The free space where the state is stored, and the reserve that ingestion leaves to all others."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from stack.core.errors import StackError
from stack.core.problems import Problem
from stack.core.settings import Settings

MIB, GIB = 2**20, 2**30
RESERVE = GIB
"""Bytes. No batch is added below it: it is for the prediction log, runs and databases."""
WARNING = 3 * RESERVE
"""Bytes. Below it an alarm is raised."""

TODO = "free some space (docs/operations.md says what may go), or move the state with STACK_HOME"


class DiskFullError(StackError):
    """Too little space is left on the disk."""


def free(folder: Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder; those that go meanwhile are left out."""
    total, folders = 0, [str(folder)]
    while folders:
        try:
            entries = [*os.scandir(folders.pop())]
        except OSError:
            continue
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def low(settings: Settings) -> bool:
    """Return whether less than the reserve is left."""
    return free(settings.home) < RESERVE


def filling(settings: Settings) -> bool:
    """Return whether too little space is left to go on without an alarm."""
    return free(settings.home) < WARNING


def problems(settings: Settings) -> list[Problem]:
    """Return what is wrong with the free space."""
    if not (filling(settings) or low(settings)):
        return []
    stopped = "; ingestion has stopped" if low(settings) else ""
    left, needed = (size / GIB for size in (free(settings.home), WARNING))
    text = f"{left:.1f} GiB free on the disk of {settings.home}, {needed:.0f} needed"
    return [Problem("the disk fills up", f"{text}{stopped}", TODO)]


def free_space(settings: Settings) -> str:
    """Return the free space as a sentence."""
    return f"{free(settings.home) / MIB:,.0f} MiB free on the disk of {settings.home}"


def require_reserve(settings: Settings, what: str) -> None:
    """Refuse to add data, `what` in the DiskFullError, below the reserve."""
    if low(settings):
        raise DiskFullError(
            what,
            found=free_space(settings),
            expected=f"at least {RESERVE / MIB:,.0f} MiB; nothing is lost, and serving goes on",
            todo=f"{TODO}; then run it again: it fetches what it missed",
        )
