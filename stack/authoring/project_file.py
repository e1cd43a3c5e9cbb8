"""The file of a project, changed: compared, checked before it is saved, its old content kept."""

import difflib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

from stack.core import code, files
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.specification import specs

NAME = "project.yaml"
KEPT = "project_files"
"""Folder of the home with earlier contents, where no git repository of the user's own has them."""
IDENTITY = ("-c", "user.name=Home-lab MLOps", "-c", "user.email=stack@localhost")
"""Of commits, where git knows no identity of the user's."""


@dataclass(frozen=True)
class ProjectFile:
    """A project.yaml as it is on the disk."""

    path: Path
    text: str

    @property
    def digest(self) -> str:
        """What a form is made from, so that it does not undo a later change."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def writable(self) -> bool:
        """Whether it can be changed here; in containers it may belong to another user than theirs."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)


def read(settings: Settings, name: str) -> ProjectFile:
    """Return the file of a project."""
    path = (settings.projects / name / NAME).resolve()
    return ProjectFile(path, path.read_text(encoding="utf-8"))


def normalized(text: str) -> str:
    """Return the text of a form, which ends lines with CRLF, as it is written to a file."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"


def difference(old: str, new: str) -> str:
    """Return the unified difference of two contents; empty where they are the same."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "as it is", "as you want it", lineterm="")
    return "\n".join(lines)


@contextmanager
def proposed(settings: Settings, name: str, text: str) -> Iterator[Path]:
    """Give a workspace in which the project has another project.yaml; the rest of it are links to what is there."""
    with TemporaryDirectory(prefix="stack-check-") as folder:
        workspace = Path(folder).resolve()
        project = workspace / "projects" / name
        project.mkdir(parents=True)
        _link(settings.projects, project.parent, without=name)
        _link(settings.projects / name, project, without=NAME)
        (workspace / settings.definitions.name).symlink_to(settings.definitions)
        (project / NAME).write_text(text, encoding="utf-8")
        yield workspace


def _link(source: Path, target: Path, *, without: str) -> None:
    for path in source.iterdir():
        if path.name not in (without, "__pycache__"):
            (target / path.name).symlink_to(path)


def require_valid(settings: Settings, name: str, text: str) -> None:
    """Raise a StackError that names the wrong key or line of a project.yaml."""
    with proposed(settings, name, text) as workspace:
        try:
            specs.read(workspace / "projects" / name / NAME)
        except StackError as error:
            where = error.where.replace(f"{workspace}/", "")
            raise StackError(where, found=error.found, expected=error.expected, todo=error.todo) from None


def is_valid(settings: Settings, name: str, text: str) -> bool:
    """Return whether a text is a valid project.yaml of a project."""
    try:
        require_valid(settings, name, text)
    except StackError:
        return False
    return True


def save(settings: Settings, name: str, text: str, digest: str, now: datetime) -> str:
    """Replace the file of a project, and return where its old content is.

    Args:
        settings: of the stack.
        name: of the project.
        text: the new content.
        digest: of the content that the new one was made from.
        now: names the copy of the old content.

    Raises:
        StackError: the file has changed meanwhile, or the text is no valid project.yaml. Nothing is written then.
    """
    require_valid(settings, name, text)
    settings.run.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.run / f"{name}.{NAME}.lock"):
        file = read(settings, name)
        if file.digest != digest:
            raise StackError(
                str(file.path),
                found="a change since your form was made",
                expected="the content that you have seen",
                todo="check again: it shows the difference from the file as it is now",
            )
        if file.text == text:
            raise StackError(str(file.path), found="the same text", expected="a change")
        repository = _repository(settings)
        kept = settings.home / KEPT / name / f"{NAME}.{now:%Y%m%dT%H%M%S%fZ}"
        if repository:
            _commit(repository, file.path, f"Keep {NAME} of {name} as it was")
        else:
            files.write(kept, file.text, mode=0o600)
        files.write(file.path, text, durable=True, mode=file.path.stat().st_mode & 0o777)
        if repository:
            _commit(repository, file.path, f"Change {NAME} of {name}")
        return f"git log of {repository}" if repository else str(kept)


def _repository(settings: Settings) -> Path | None:
    """Return the workspace where it is a git repository of the user's own, which the checkout is not."""
    if settings.workspace == ROOT:
        return None
    try:
        code.git("rev-parse", "--git-dir", at=settings.workspace)
    except (OSError, subprocess.CalledProcessError):
        return None
    return settings.workspace


def _commit(repository: Path, path: Path, message: str) -> None:
    """Commit one file, if it differs from the last commit; what else is changed or staged stays as it is."""
    place = ("--", str(path.relative_to(repository.resolve())))
    try:
        if not code.git("status", "--porcelain", *place, at=repository):
            return
        try:
            known: tuple[str, ...] = () if code.git("config", "user.email", at=repository) else IDENTITY
        except subprocess.CalledProcessError:
            known = IDENTITY
        code.git("add", *place, at=repository)
        code.git(
            *known, "-c", "commit.gpgsign=false", "commit", "--no-verify", "--message", message, *place, at=repository
        )
    except (OSError, subprocess.CalledProcessError) as error:
        found = (getattr(error, "stderr", "") or str(error)).strip()
        raise StackError(str(repository), found=found, expected="a repository that takes a commit") from None
