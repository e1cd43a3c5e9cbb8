"""Notices to the user in the terminal: JSON lines in the log of a process."""

import json
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

Reporter = Callable[[str], None]
"""Receives the lines that the user reads meanwhile."""
KEY = "notice"


def emit(text: str, file: TextIO | None = None) -> None:
    """Write a notice to standard output, or to a file."""
    print(json.dumps({KEY: text}), file=file or sys.stdout, flush=True)


def read(lines: Iterable[str]) -> list[str]:
    """Return the lines of every notice in a log."""
    return [text for line in lines for text in (parse(line) or "").splitlines()]


def parse(line: str) -> str | None:
    """Return the text of a notice; None when the line is anything else."""
    if not line.startswith(f'{{"{KEY}": '):
        return None
    try:
        return str(json.loads(line)[KEY])
    except ValueError:  # cut off
        return None
