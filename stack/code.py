"""The version of the code that a run was made with."""

from __future__ import annotations

import hashlib
import os
import subprocess
from importlib.metadata import version as installed

from stack.settings import ROOT


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
    parts = [ROOT / part for part in _parts(project)]
    files = [file for part in parts for file in (part, *part.rglob("*")) if file.suffix in (".py", ".yaml")]
    for path in sorted(file for file in files if file.is_file()):
        found.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return found.hexdigest()


def uncommitted(project: str) -> list[str] | None:
    """Files of :func:`digest` that differ from the commit, or that git does not know; None where there is no git."""
    try:
        lines = git("status", "--porcelain", "--untracked-files=all", "--", *_parts(project)).splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    return [line.strip().partition(" ")[2].strip() for line in lines]


def _parts(project: str) -> list[str]:
    """What decides the outcome of a project's training."""
    return ["stack", f"projects/{project}", f"feature_repo/{project}.py", "feature_repo/feature_store.yaml"]


def git(*words: str) -> str:
    """What a git command says of the checkout."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
