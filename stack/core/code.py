"""The version of the code of a run."""

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
"""Suffixes of the files that decide the outcome of a training."""
KEPT = "files"
"""Folder beside a run's recipe, with the files that no commit has."""


def version() -> str:
    """The git commit of the checkout, with ``-dirty`` when it differs from it; the package's version without git.

    The image, which has no checkout, has it from its build in ``CODE_VERSION``.
    """
    if recorded := os.environ.get("CODE_VERSION"):
        return recorded
    try:
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return installed("homelab-mlops")


def digest(project: str) -> str:
    """Hash every file that decides the outcome of a project's training, committed or not."""
    content = (f"{name}\n".encode() + (ROOT / name).read_bytes() for name in _files(_parts(project)))
    return hashlib.sha256(b"".join(content)).hexdigest()


def uncommitted(project: str) -> list[str] | None:
    """Return the files of :func:`digest` that differ from the commit; None where there is no git.

    The image has no git, and is of a commit; only the project is mounted, and may differ from it.
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
    """Copy those of the checkout's files that exist, so that uncommitted code can be restored."""
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def put_back(names: list[str], kept: Path, folder: Path) -> None:
    """Restore the files of :func:`keep` in a checkout of the commit, and delete those that did not exist."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        if (kept / name).is_file():
            shutil.copy(kept / name, folder / name)


def _parts(project: str) -> list[str]:
    """Return the paths that decide the outcome of a project's training."""
    return ["stack", f"projects/{project}", f"feature_repo/{project}.py", "feature_repo/feature_store.yaml"]


def _files(parts: list[str]) -> list[str]:
    """Return the names of the files in parts of the checkout, sorted."""
    paths = [path for part in parts for path in (ROOT / part, *(ROOT / part).rglob("*")) if path.suffix in KINDS]
    return [str(path.relative_to(ROOT)) for path in sorted(path for path in paths if path.is_file())]


def git(*words: str) -> str:
    """Return the output of a git command in the checkout."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
