"""A file: a table that grows, or is replaced by another one."""

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow.parquet as pq

from stack.kit import packaged, parquet
from stack.sources import Query, chosen, require, storage, tables
from stack.specification.sources import File, Format


def read(source: File, folder: Path, query: Query) -> pd.DataFrame:
    """Return the rows of the file; of a Parquet file in the order of time, those of about the window."""
    files, path = storage.locate(source, _base(source, folder))
    kind = tables.format_of(source, path)
    with storage.explained(source, folder):
        if kind == "parquet":
            return _of_parquet(_seekable(files, path), source.path, query)
        if storage.is_local(files):
            state = Path(path).stat()
            options = json.dumps(source.options, sort_keys=True)
            table = _unchanged(path, kind, options, source.path, state.st_mtime_ns, state.st_size)
        else:
            table = tables.read(storage.opened(files, path), kind, source.options, source.path)
    return chosen(source.path, query, table)


def split(source: File, folder: Path, query: Query) -> list[datetime]:
    """Return instants that split a long Parquet file into batches; none of another file."""
    files, path = storage.locate(source, _base(source, folder))
    if tables.format_of(source, path) != "parquet":
        return []
    with storage.explained(source, folder):
        file = _seekable(files, path)
        return parquet.split(file, str(query.time), query.since, query.until) if _in_time(file, query) else []


def forget() -> None:
    """Free the tables that were read."""
    _unchanged.cache_clear()


def _base(source: File, folder: Path) -> Path:
    """Return the folder below which a relative path is: of the project, or of the package that carries the file."""
    if not source.package:
        return folder
    return packaged.file(source.package, source.path).parents[len(Path(source.path).parts) - 1]


def _seekable(files: Any, path: str) -> Path | IO[bytes]:
    return Path(path) if storage.is_local(files) else storage.opened(files, path)


def _of_parquet(file: Path | IO[bytes], name: str, query: Query) -> pd.DataFrame:
    with tables.explained("parquet", name):
        known = pq.read_schema(file).names
    require(name, query.columns, known)
    if _in_time(file, query):
        return parquet.window(file, str(query.time), query.columns, query.since, query.until)
    table = pq.read_table(file, columns=query.columns or None, partitioning=None)
    rows: pd.DataFrame = table.to_pandas(self_destruct=True)
    return rows


def _in_time(file: Path | IO[bytes], query: Query) -> bool:
    """Return whether a Parquet file holds instants by which it can be read in parts."""
    schema = pq.read_schema(file)
    return query.time in schema.names and str(schema.field(query.time).type).startswith("timestamp")


@lru_cache(maxsize=2)
def _unchanged(path: str, kind: Format, options: str, name: str, changed: int, size: int) -> pd.DataFrame:
    """Read a file once for each state of it."""
    with storage.opened(storage.LOCAL, path) as file:
        return tables.read(file, kind, json.loads(options), name)
