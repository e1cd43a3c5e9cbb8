"""Take the stack to the checkout's version: archive, stop, install, start; and how to go back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from stack.backup import backup
from stack.errors import StackError
from stack.runtime import local, versions
from stack.settings import ROOT, Settings

Say = Callable[[str], None]


def upgrade(settings: Settings, out: Path, at: datetime, say: Say) -> None:
    """Bring packages and state to the version that is checked out; the services migrate their databases at the start.

    Args:
        settings: the stack; it may run or not.
        out: folder of the archive.
        at: the instant of the wall clock.
        say: is told each step.

    Raises:
        StackError: a step failed; says how to go back.
    """
    before = versions.stored(settings)
    back = _back(before, backup.make(settings, out, at, say) if before else None)
    say("stopping the services")
    local.down(settings)
    say("installing the locked packages")
    # Both run with what is installed by then, which this process is not.
    for step in (("stack.bootstrap",), ("stack", "up", "--no-pipeline")):
        ended = subprocess.run([sys.executable, "-m", *step], cwd=ROOT, check=False)
        if ended.returncode:
            raise StackError(
                f"upgrade, python -m {' '.join(step)}",
                found=f"exit code {ended.returncode}",
                expected="0",
                todo=f"read the lines above; to go back: {back}",
            )
    changed = [
        f"{name} {before.get(name)} -> {now}"
        for name, now in versions.stored(settings).items()
        if before.get(name) != now
    ]
    say(f"upgraded: {', '.join(changed) or 'the versions are the same'}\nto go back: {back}")


def _back(before: dict[str, str | int], archive: Path | None) -> str:
    """The commands that undo an upgrade."""
    code = str(before.get("code", "")).removesuffix("-dirty") or "<the commit you had>"
    restore = f" && make restore FILE={archive} YES=1" if archive else ""
    return f"make down && git checkout {code}{restore} && make up"
