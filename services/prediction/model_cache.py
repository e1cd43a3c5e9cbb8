"""Copies of served models on disk: complete or absent, checked before they count, and enough to start from.

Each copy holds the hashes of its files, so that one which a power cut or a bad disk has damaged is known.
"""

import fcntl
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.core import files
from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import Version

MAX_COPIES = 2
"""Copies kept of each project: the champion and the one before it."""
HASHES, POINTER, LOCK = "hashes.json", "champion", ".lock"
Stamps = dict[str, tuple[int, int]]

logger = logging.getLogger("stack.prediction")


def path(project: Project, version: Version) -> Path:
    """Return the folder of a version's copy, ``<version>-<run id>``.

    The run id tells version 1 of a new registry from version 1 of an old one.
    """
    return _folder(project) / f"{version.version}-{version.run_id}"


def fetch(project: Project, version: Version) -> Path:
    """Return a version's copy; one that is missing or damaged is downloaded."""
    folder = path(project, version)
    with _locked(folder.parent):
        if not is_whole(folder):
            delete(folder)
            artifacts.fetch(project.settings, version, folder)
            files.write(folder / HASHES, json.dumps(artifacts.hashes(folder)), durable=True)
    return folder


def is_whole(folder: Path) -> bool:
    """Return whether a copy exists and its files are as they were downloaded; a release of old wrote no hashes."""
    if not folder.is_dir():
        return False
    try:
        written = (folder / HASHES).read_bytes() if (folder / HASHES).exists() else b"{}"
        found = artifacts.hashes(folder)
        return all(found.get(name) == digest for name, digest in json.loads(written).items())
    except (OSError, ValueError):
        return False


def stamps(folder: Path) -> Stamps:
    """Return the size and time of each file of a copy, which change when another process writes to it."""
    found = {path.name: path.stat() for path in folder.glob("*")}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


def delete(folder: Path) -> None:
    """Delete a copy, if there is one, as it is damaged."""
    if folder.is_dir():
        logger.warning("the copy %s is damaged: deleted", folder)
        shutil.rmtree(folder, ignore_errors=True)


def mark_champion(folder: Path) -> None:
    """Record a copy as the champion's, and delete older copies and interrupted downloads."""
    with _locked(folder.parent):
        files.write(folder.parent / POINTER, folder.name, durable=True)
        folder.touch()
        interrupted = folder.parent.glob(".*/")
        for old in [*interrupted, *_copies(folder.parent)[MAX_COPIES:]]:
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes of the prediction service from changing a project's copies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def whole_copies(project: Project) -> list[Path]:
    """Return the copies to start with while the registry's champion cannot be had, and delete the damaged ones."""
    whole = []
    for folder in _copies(_folder(project)):
        if is_whole(folder):
            whole.append(folder)
        else:
            delete(folder)
    return whole


def _copies(folder: Path) -> list[Path]:
    """Return the last champion's copy, then the others, newest first; whatever the clock says, the first is kept."""
    last = (folder / POINTER).read_text() if (folder / POINTER).is_file() else ""
    return sorted(folder.glob("[!.]*/"), key=lambda copy: (copy.name == last, copy.stat().st_mtime), reverse=True)


def _folder(project: Project) -> Path:
    return project.settings.home / "models" / project.name
