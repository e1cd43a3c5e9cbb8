"""Storage that the workers of a cluster share with this machine: what they see there, and a folder for their work."""

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from stack.core import code, files
from stack.core.workers import Workers

KEPT_SECONDS = 24 * 60 * 60
"""A folder as old as this is of a run that was killed."""


class Seen(NamedTuple):
    """What a process sees of a project and of shared storage."""

    code: str
    """Digest of the code and the project."""
    files: list[tuple[int, int] | None]
    """Size and time of change of each file; None where it is missing."""


def missing(project: str, places: Iterable[Path], workers: Workers) -> str:
    """Return what a worker has not as this process has it, of a project's code, and of files and folders; or ""."""
    paths = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.*")))]
    here = seen(project, paths)
    for other in workers.on_each(partial(seen, project, paths)):
        if other.code != here.code:
            return f"has other code in stack/, projects/{project}/ or feature_repo/"
        for path, own, its in zip(paths, here.files, other.files, strict=True):
            if own != its:
                return f"does not see {path} as it is here"
    return ""


def seen(project: str, paths: list[Path]) -> Seen:
    """Return what this process sees of a project's code, and of files."""
    stats = [path.stat() if path.exists() else None for path in paths]
    return Seen(code.digest(project), [(stat.st_size, stat.st_mtime_ns) if stat else None for stat in stats])


@contextmanager
def folder(beside: Path) -> Iterator[Path]:
    """Make a hidden folder beside a file or folder, for the time of the context; a killed run's is removed some day."""
    own = files.partial(beside.with_name(f"{beside.name}-{uuid4().hex}"))
    beside.parent.mkdir(parents=True, exist_ok=True)
    for other in beside.parent.glob(files.partial(beside.with_name(f"{beside.name}-*")).name):
        if time.time() - other.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    own.mkdir()
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
