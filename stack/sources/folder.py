"""A folder whose files are read once each: what one holds is known from the instant at which it was complete."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from fsspec.utils import glob_translate

from stack.core.errors import StackError
from stack.sources import AVAILABLE_AT, Query, chosen, key, storage, tables
from stack.specification.sources import Folder

UNFINISHED = (".part", ".partial", ".tmp", ".crdownload")
BATCHES = 50
"""A window has a batch for each file, or so many at most."""


class Complete(NamedTuple):
    """A file, and the instant from which on its rows are known."""

    available_at: datetime
    path: str


def read(source: Folder, folder: Path, query: Query) -> pd.DataFrame:
    """Return the rows of the files that were complete in the window, in that order; of all without time.

    Of files with the past, all rows are returned, and not when they were known.
    """
    files, found = complete(source, folder)
    history = source.history or datetime.min.replace(tzinfo=UTC)
    before = query.time is None or query.since < history
    past = [file for file in found if before and file.available_at <= history]
    wanted = [file for file in found if history < file.available_at <= query.until]
    new = [file for file in wanted if query.time is None or query.since < file.available_at]
    rows = [_rows(source, folder, files, file, query) for file in [*past, *new]]
    if not rows:
        return pd.DataFrame(columns=[*query.columns, AVAILABLE_AT])
    return pd.concat(rows, ignore_index=True)


def split(source: Folder, folder: Path, query: Query) -> list[datetime]:
    """Return the instants at which files of the window were complete."""
    if query.time is None:
        return []
    ends = sorted({at for at, _ in complete(source, folder)[1] if query.since < at < query.until})
    return ends[:: math.ceil(len(ends) / BATCHES) or 1]


def _rows(source: Folder, folder: Path, files: Any, file: Complete, query: Query) -> pd.DataFrame:
    name = f"{source.path}, file {Path(file.path).name}"
    with storage.explained(source, folder), storage.opened(files, file.path) as content:
        table = tables.read(content, tables.format_of(source, file.path), source.options, name)
    known = pd.NaT if source.history and file.available_at <= source.history else pd.Timestamp(file.available_at)
    return chosen(name, query, table).assign(**{AVAILABLE_AT: pd.Series(known, table.index, "datetime64[us, UTC]")})


def complete(source: Folder, folder: Path) -> tuple[Any, list[Complete]]:
    """Return the file system, and the files in the order in which they came."""
    files, root = storage.locate(source, folder)
    pattern = re.compile(glob_translate(source.pattern))
    if not storage.has_times(files):
        expected = "a folder of this machine, or a prefix of s3://"
        raise StackError(key(folder, "path"), found=source.path, expected=expected, todo="name one")
    with storage.explained(source, folder):
        files.info(root)  # of a server that is away, isdir() says that there is no such folder
        if not files.isdir(root):
            raise NotADirectoryError(root)
        entries = [*_below(files, root)]
    found = []
    for entry in entries:
        path = entry["name"]
        name = path[len(root) :].lstrip("/")
        hidden = any(part.startswith((".", "~$")) for part in name.split("/")) or name.endswith(UNFINISHED)
        if not hidden and pattern.match(name):
            found.append(Complete(_settled(path, entry, source.settled), path))
    return files, sorted(found)


def _below(files: Any, folder: str) -> Iterator[dict[str, Any]]:
    """Yield the files below a folder; fsspec's own ``find`` leaves out what cannot be listed at the moment."""
    for entry in files.ls(folder, detail=True):
        if entry["name"].rstrip("/") == folder.rstrip("/"):
            continue
        if entry["type"] == "directory":
            yield from _below(files, entry["name"])
        else:
            yield entry


def _settled(path: str, entry: dict[str, Any], after: timedelta) -> datetime:
    """Return when a file has been as it is for `after`, in whole seconds as batches are named."""
    return datetime.fromtimestamp(math.ceil(_changed(path, entry) + after.total_seconds()), UTC)


def _changed(path: str, entry: dict[str, Any]) -> float:
    """Return when a file came or was changed; a copy may keep the time of the original, and yet comes with its name."""
    at = entry["mtime"]
    return at.timestamp() if isinstance(at, datetime) else max(at, Path(path).stat().st_ctime)
