"""A lake that comes from an archive: it is treated as data: nothing of it may be run or written elsewhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake import history, repository

OUT = {"md5", "size", "nfiles", "hash", "path"}
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


def secure(root: Path) -> None:
    """Write the configuration of git and DVC anew, and refuse what a checkout would write elsewhere.

    Args:
        root: an unpacked lake, which need not exist and has not been opened yet.

    Raises:
        StackError: a file of DVC's is none that the stack writes.
    """
    if not root.exists():
        return
    for name, text in repository.CONFIGURATION.items():
        repository.write(root / name, text)
    for name in ("refs/heads", "objects/pack"):  # an archive has no empty folders
        (root / ".git" / name).mkdir(parents=True, exist_ok=True)
    for path, problem in _problems(root):
        raise StackError(
            str(path.relative_to(root.parent)),
            found=problem,
            expected="data below its own folder, as the stack writes it",
            todo="restore an archive of your own",
        )


def check_out(settings: Settings) -> None:
    """Fill the working tree from DVC's cache.

    Raises:
        StackError: the repository cannot be read, or lacks data.
    """
    try:
        with repository.opened(settings) as repo:
            history.content(repo.scm, "HEAD", ".dvc/config")
            repo.checkout(force=True)
    except Exception as error:  # a repository that is damaged in whatever way
        raise StackError(
            str(settings.lake),
            found=f"{type(error).__name__}: {error}",
            expected="a git and DVC repository with all of its data",
            todo="restore an older archive",
        ) from error


def _problems(root: Path) -> Iterator[tuple[Path, str]]:
    for path in root.glob("[!.]*/**/*.dvc"):
        if not _is_plain(_read(path, yaml.safe_load), path.stem):
            yield path, "other keys, or a path elsewhere"
    for path in root.glob(".dvc/cache/files/md5/*/*.dir"):
        listed = _read(path, json.loads)
        if not isinstance(listed, list) or not all(_is_listed(entry) for entry in listed):
            yield path, "a list of files that are not those of batches"


def _is_plain(content: Any, name: str) -> bool:
    """Return whether a .dvc file tracks the folder beside it, and nothing else."""
    if not isinstance(content, dict) or content.keys() != {"outs"} or not isinstance(content["outs"], list):
        return False
    first = content["outs"][0] if len(content["outs"]) == 1 else None
    return isinstance(first, dict) and first.keys() <= OUT and first.get("path") == name and _is_md5(first)


def _is_listed(entry: Any) -> bool:
    keys = isinstance(entry, dict) and entry.keys() == {"md5", "relpath"}
    return keys and _is_md5(entry) and not {"", ".", ".."} & set(re.split(r"[/\\\0]", str(entry["relpath"])))


def _is_md5(entry: dict[str, Any]) -> bool:
    return bool(MD5.fullmatch(str(entry.get("md5"))))


def _read(path: Path, parse: Any) -> Any:
    """Return the content of a file; None where it does not read."""
    try:
        return parse(path.read_text())
    except (ValueError, yaml.YAMLError, RecursionError):
        return None
