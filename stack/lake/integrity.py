"""Compare the lake's files with the hashes that are their names, and fetch the damaged ones anew where a remote is set.

:func:`check` is for `stack doctor --deep` and for backups; reading calls it when a file cannot be read.
"""

import errno
import hashlib
import logging
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import pyarrow as pa
from dvc.exceptions import DvcException
from dvc.repo import Repo

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake import _compat, repository

logger = logging.getLogger(__name__)
OBJECTS = ".dvc/cache/files/md5"
ASIDE = ".dvc/tmp/damaged"
UNREADABLE = (None, errno.ENOENT, errno.EIO)
"""Numbers of an OSError that a damaged file raises; Arrow's own have none."""
P = ParamSpec("P")
T = TypeVar("T")


class Reader(Protocol):
    """Reads the lake of a stack."""

    _settings: Settings


S = TypeVar("S", bound=Reader)


def check(settings: Settings) -> list[StackError]:
    """Return an error for each damaged or missing file of the lake's data; each names the file and the cure.

    Every object of DVC's cache is read and its MD5 compared with its name; what the newest revision refers to must be
    there. With STACK_LAKE_REMOTE set, damaged files are first put aside and fetched anew. Objects never change, so
    they are read without the lake's lock.
    """
    if not settings.lake.exists():
        return []
    damaged = [path for path in _objects(settings) if not _intact(path)]
    with repository.opened(settings) as repo:
        if settings.lake_remote:
            damaged = _fetched_anew(settings, repo, damaged)
        lacking = {*damaged, *(path for path in _referenced(repo) if not path.exists())}
    return [_error(settings, path) for path in sorted(lacking)]


def guarded(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Let a method that meets an unreadable file raise the StackError of :func:`check`, or try again once healed."""

    @wraps(method)
    def call(self: S, /, *arguments: P.args, **options: P.kwargs) -> T:
        try:
            return method(self, *arguments, **options)
        except (pa.ArrowException, OSError, *_compat.UNREADABLE_LIST) as error:
            if isinstance(error, OSError) and error.errno not in UNREADABLE:
                raise
            for problem in check(self._settings):
                raise problem from error
            if not self._settings.lake_remote:
                raise
        return method(self, *arguments, **options)

    return call


def _objects(settings: Settings) -> Iterator[Path]:
    return (path for path in (settings.lake / OBJECTS).glob("??/*") if len(path.name.removesuffix(".dir")) == 30)


def _hash(path: Path) -> str:
    return path.parent.name + path.name.removesuffix(".dir")


def _intact(path: Path) -> bool:
    """Return whether an object's content has the MD5 that it is named by; an unreadable one has not."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest() == _hash(path)
    except OSError:
        return False


def _referenced(repo: Repo) -> Iterator[Path]:
    """Yield the objects that the newest revision refers to; a list that is no list has been found damaged."""
    for project in repo.scm.get_tree_obj(repo.scm.resolve_rev("HEAD")).scandir():
        for _, file in repository.partitions(repo, project.name, "HEAD") if project.isdir else ():
            version = repository.version(file)
            yield Path(_compat.cached(repo, version))
            try:
                listed = _compat.read_list(repo, version)
            except (OSError, *_compat.UNREADABLE_LIST):
                continue
            yield from (Path(_compat.cached(repo, oid)) for oid in listed.values())


def _fetched_anew(settings: Settings, repo: Repo, damaged: list[Path]) -> list[Path]:
    """Put damaged objects aside and fetch all that is missing from the remote; return what is still damaged."""
    aside = settings.lake / ASIDE
    for path in damaged:
        aside.mkdir(parents=True, exist_ok=True)
        path.rename(aside / _hash(path))
    if damaged or not all(path.exists() for path in _referenced(repo)):
        try:
            repo.fetch(all_commits=True, workspace=False)
            repo.checkout(force=True)
        except DvcException as error:
            logger.warning("lake: the remote does not have it: %s", error)
    healed = [path for path in damaged if _intact(path)]
    for path in healed:
        (aside / _hash(path)).unlink()
        logger.warning("lake: %s was damaged; fetched anew from %s", path, settings.lake_remote)
    return [path for path in damaged if path not in healed]


def _error(settings: Settings, path: Path) -> StackError:
    found = f"{path.stat().st_size:,} bytes with another MD5" if path.exists() else "no such file"
    folder = settings.lake
    pull = f"or delete the file, set STACK_LAKE_REMOTE to a remote that has it, and run `dvc pull` in {folder}"
    return StackError(
        str(path),
        found=found,
        expected=f"the data that the lake was given, with the MD5 {_hash(path)}",
        todo=f"run `make restore` with a backup from before the damage, {pull}",
    )
