"""Copies of served models on disk: complete or absent, and enough to start without a registry."""

from __future__ import annotations

import shutil
from pathlib import Path

from stack.core import files
from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import Version

MAX_COPIES = 2
"""Copies kept of each project: the champion and the one before it."""


def fetch(project: Project, version: Version) -> Path:
    """Download a version's served form unless it is cached; return its folder, named ``<version>-<run id>``.

    The run id tells version 1 of a new registry from version 1 of an old one.
    """
    folder = _folder(project) / f"{version.version}-{version.run_id}"
    if not folder.is_dir():
        artifacts.fetch(project.settings, version, folder)
    return folder


def mark_champion(folder: Path) -> None:
    """Record a copy as the champion's, and delete older copies and interrupted downloads."""
    files.write(folder.parent / "champion", folder.name)
    folder.touch()
    interrupted = folder.parent.glob(".*/")
    copies = sorted(folder.parent.glob("[!.]*/"), key=lambda copy: copy.stat().st_mtime, reverse=True)
    for old in [*interrupted, *copies[MAX_COPIES:]]:
        shutil.rmtree(old, ignore_errors=True)


def last_champion(project: Project) -> Path | None:
    """Return the copy of the last champion, for a start while the registry does not answer."""
    pointer = _folder(project) / "champion"
    folder = pointer.with_name(pointer.read_text()) if pointer.is_file() else None
    return folder if folder and folder.is_dir() else None


def _folder(project: Project) -> Path:
    return project.settings.home / "models" / project.name
