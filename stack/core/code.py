"""The version of the code of a run: of the checkout, and of the workspace where the projects are elsewhere."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from stack.core.settings import ROOT, settings
from stack.core.version import version as stated

DIRTY = "-dirty"
"""Ends the version of a checkout that differs from its commit."""
KINDS = (".py", ".yaml", ".lock")
"""Suffixes of the files that decide the outcome of a training."""
KEPT = "files"
"""Folder beside a run's recipe, with the files that no commit has."""
DESCRIBE = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
COMMIT = re.compile(r"[0-9a-f]{7,40}")
STORE = "feature_repo/feature_store.yaml"


def version() -> str:
    """The git commit of the checkout, with ``-dirty`` when it differs from it; the stack's version without git.

    The image, which has no checkout, has it from its build in ``CODE_VERSION``.
    """
    if recorded := os.environ.get("CODE_VERSION"):
        return recorded
    try:
        return git(*DESCRIBE)
    except (OSError, subprocess.CalledProcessError):
        return stated()


def workspace_version() -> str | None:
    """The git commit of the workspace, as of the checkout; empty where it has none, None where the checkout is it."""
    if settings().workspace == ROOT:
        return None
    try:
        return git(*DESCRIBE, at=settings().workspace)
    except (OSError, subprocess.CalledProcessError):
        return ""


def digest(project: str) -> str:
    """Hash every file that decides the outcome of a project's training, committed or not."""
    content = (f"{name}\n".encode() + _place(name).read_bytes() for name in _files(_parts(project)))
    return hashlib.sha256(b"".join(content)).hexdigest()


def uncommitted(project: str) -> list[str] | None:
    """Return the files of :func:`digest` that differ from the commit; None where there is no git.

    The image has no git, and is of a commit; only the project is mounted, and may differ from it. Of a workspace
    without git, no file is of a commit.
    """
    words = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored"]
    names: list[str] = []
    for folder in dict.fromkeys([ROOT, settings().workspace]):
        parts = [part for part in _parts(project) if _root(part) == folder]
        try:
            entries = git(*words, "--", *parts, at=folder).split("\0")
        except (OSError, subprocess.CalledProcessError):
            built = os.environ.get("CODE_VERSION", "")
            if folder == ROOT and (not built or built.endswith(DIRTY)):
                return None
            names += _files([part for part in parts if part != "stack"])
        else:
            changed = [entry.strip().partition(" ")[2].strip() for entry in entries]
            names += [name for name in changed if Path(name).suffix in KINDS]
    return names


def keep(names: list[str], folder: Path) -> None:
    """Copy those of the files that exist, so that uncommitted code can be restored."""
    for name in names:
        if _place(name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(_place(name), folder / name)


def put_back(names: list[str], kept: Path, folder: Path) -> None:
    """Restore the files of :func:`keep` in a checkout of the commit, and delete those that did not exist."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        if (kept / name).is_file():
            shutil.copy(kept / name, folder / name)


def changes(project: str, before: str, after: str, at: Path = ROOT) -> list[str] | None:
    """Return the lines of git's ``diff --stat`` of those files of :func:`digest` that stand in a repository.

    Args:
        project: its name.
        before: a version of the code, as a recipe has it.
        after: another one.
        at: the checkout, or the workspace.

    Returns:
        None where git does not know the versions, or there is no git.
    """
    commits = [version.removesuffix(DIRTY) for version in (before, after)]
    parts = [part for part in _parts(project) if _root(part) == at]
    if not parts or not all(map(COMMIT.fullmatch, commits)):
        return None
    try:
        return git("diff", "--stat=110", *commits, "--", *parts, at=at).splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None


def is_of_workspace(name: str) -> bool:
    """Return whether a file of :func:`digest` is the project's, and not the stack's."""
    return name.startswith(("projects/", "feature_repo/")) and name != STORE


def _root(name: str) -> Path:
    return settings().workspace if is_of_workspace(name) else ROOT


def _place(name: str) -> Path:
    return _root(name) / name


def _parts(project: str) -> list[str]:
    """Return the paths that decide the outcome of a project's training."""
    return ["stack", f"projects/{project}", f"feature_repo/{project}.py", STORE]


def _files(parts: list[str]) -> list[str]:
    """Return the names of the files in parts of checkout and workspace, sorted."""
    names = [
        path.relative_to(_root(part))
        for part in parts
        for path in (_place(part), *_place(part).rglob("*"))
        if path.suffix in KINDS and path.is_file()
    ]
    return [str(name) for name in sorted(names)]


UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}


def git(*words: str, at: Path = ROOT, patience: float | None = None) -> str:
    """Return the output of a git command in the checkout or another repository, whose owner may be another account.

    Args:
        words: of the command, which fails where git would ask for a password.
        at: the repository.
        patience: seconds after which the command is given up.
    """
    command = ["git", "-c", f"safe.directory={at}", *words]
    environ = UNATTENDED | os.environ | {"GIT_CEILING_DIRECTORIES": str(at.parent)}
    ran = subprocess.run(
        command,
        cwd=at,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=patience,
        stdin=subprocess.DEVNULL,
    )
    return ran.stdout.strip()
