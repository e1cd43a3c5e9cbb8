"""Run the build tools of packages, each in a process of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from stack.core.errors import StackError


def run(
    command: Sequence[object],
    where: str,
    *,
    expected: str,
    todo: str = "",
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Return the output of a command.

    Raises:
        StackError: the command failed; `found` holds the last three lines of its errors.
    """
    parts = [str(part) for part in command]
    result = subprocess.run(parts, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        found = " | ".join((result.stderr or result.stdout).strip().splitlines()[-3:])
        raise StackError(where, found=found, expected=expected, todo=todo)
    return result.stdout
