"""Files of the user that a flow reads and writes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from stack.ops.runtime import Paths


def lent(given: Path | None, wanted: Path | None) -> AbstractContextManager[Paths]:
    """Give the absolute paths of the file to read and of the one to write."""
    return nullcontext((str(given.absolute()) if given else None, str(wanted.absolute()) if wanted else None))
