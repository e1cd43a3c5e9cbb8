"""The version of the code that a run was made with."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from importlib.metadata import version as installed
from pathlib import Path

from stack.core.settings import ROOT

DIRTY = "-dirty"
"""Ends the version of a checkout that differs from its commit."""
KINDS = (".py", ".yaml")
"""Of the files that decide what a training gives."""
KEPT = "files"
"""Folder beside a run's recipe, with those that no commit has."""


def version() -> str:
    """The git commit of the checkout, with ``-dirty`` when it differs from it; the package's version without git.

    The image, which has no checkout, carries what this said when it was built in ``CODE_VERSION``.
    """
    if recorded := os.environ.get("CODE_VERSION"):
        return recorded
    try:
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return installed("homelab-mlops")


def digest(project: str) -> str:
    """Name the content of every file that decides what a training of a project gives, committed or not."""
    found = hashlib.sha256()
    for name in _files(_parts(project)):
        found.update(f"{name}\n".encode() + (ROOT / name).read_bytes())
    return found.hexdigest()


def uncommitted(project: str) -> list[str] | None:
    """Files of :func:`digest` that differ from the commit, or that git does not know; None where there is no git.

    The image has none, and is of a commit; what may differ from it is mounted: the project.
    """
    words = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored"]
    try:
        entries = git(*words, "--", *_parts(project)).split("\0")
    except (OSError, subprocess.CalledProcessError):
        built = os.environ.get("CODE_VERSION", "")
        return _files(_parts(project)[1:]) if built and not built.endswith(DIRTY) else None
    names = [entry.strip().partition(" ")[2].strip() for entry in entries]
    return [name for name in names if Path(name).suffix in KINDS]


def keep(names: list[str], folder: Path) -> None:
    """Copy files of the checkout, so that code that no commit has can be had again; one that is gone is left out."""
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def put_back(names: list[str], kept: Path, folder: Path) -> None:
    """Give a checkout of the commit the files that were kept, and take out those that were gone."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        if (kept / name).is_file():
            shutil.copy(kept / name, folder / name)


def _parts(project: str) -> list[str]:
    """What decides the outcome of a project's training."""
    return ["stack", f"projects/{project}", f"feature_repo/{project}.py", "feature_repo/feature_store.yaml"]


def _files(parts: list[str]) -> list[str]:
    """Names of the files that parts of the checkout hold, sorted."""
    paths = [path for part in parts for path in (ROOT / part, *(ROOT / part).rglob("*")) if path.suffix in KINDS]
    return [str(path.relative_to(ROOT)) for path in sorted(path for path in paths if path.is_file())]


def git(*words: str) -> str:
    """What a git command says of the checkout."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
