"""Copies of served models on disk: whole or absent, and enough to start without a registry."""

from __future__ import annotations

import shutil
from pathlib import Path

from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import Version

KEPT = 2
"""Copies kept of each project: the champion and the one before it."""


def fetch(project: Project, version: Version) -> Path:
    """Download a version's served form, unless it is here; returns its folder, named ``<version>-<run id>``.

    The run id keeps version 1 of a new registry apart from version 1 of an old one.
    """
    folder = _folder(project) / f"{version.version}-{version.run_id}"
    if not folder.is_dir():
        artifacts.fetch(project.settings, version, folder)
    return folder


def remember(folder: Path) -> None:
    """Note a copy as the champion's, and delete those of earlier ones and of broken-off downloads."""
    note = folder.parent / "champion"
    partial = note.with_suffix(".new")
    partial.write_text(folder.name)
    partial.replace(note)
    folder.touch()
    found = [path for path in folder.parent.iterdir() if path.is_dir()]
    broken_off = [path for path in found if path.name.startswith(".")]
    copies = sorted((path for path in found if path not in broken_off), key=_written, reverse=True)
    for old in [*broken_off, *copies[KEPT:]]:
        shutil.rmtree(old, ignore_errors=True)


def remembered(project: Project) -> Path | None:
    """The copy of the last champion, for a start while the registry does not answer."""
    note = _folder(project) / "champion"
    if not note.is_file():
        return None
    folder = note.with_name(note.read_text())
    return folder if folder.is_dir() else None


def _written(folder: Path) -> float:
    return folder.stat().st_mtime


def _folder(project: Project) -> Path:
    return project.settings.home / "models" / project.spec.name
