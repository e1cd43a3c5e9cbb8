"""A CSV or Parquet file."""

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from stack.core.errors import StackError, nearest
from stack.kit import parquet
from stack.sources import Query
from stack.specification.sources import File


def read(source: File, folder: Path, query: Query) -> pd.DataFrame:
    """Return the rows of the file; of a Parquet file in the order of time, those of about the window."""
    path = _existing(source, folder)
    if path.suffix == ".parquet":
        _require(path, query.columns, pq.read_schema(path).names)
        if _in_time(path, query):
            return parquet.window(path, str(query.time), query.columns, query.since, query.until)
        rows: pd.DataFrame = pq.read_table(path, columns=query.columns, partitioning=None).to_pandas(self_destruct=True)
        return rows
    state = path.stat()
    table = _csv(path, state.st_mtime_ns, state.st_size, json.dumps(source.options, sort_keys=True))
    _require(path, query.columns, [str(name) for name in table])
    return table[query.columns]


def split(source: File, folder: Path, query: Query) -> list[datetime]:
    """Return instants that split a long Parquet file into batches; none of another file."""
    path = _existing(source, folder)
    if path.suffix != ".parquet" or not _in_time(path, query):
        return []
    return parquet.split(path, str(query.time), query.since, query.until)


def _existing(source: File, folder: Path) -> Path:
    path = folder / source.path
    if not path.is_file():
        found, todo = f"no file {path}", "put the file there, or correct the path"
        raise StackError(f"{folder}/project.yaml, key source.path", found=found, expected="a file", todo=todo)
    return path


def _in_time(path: Path, query: Query) -> bool:
    """Return whether a Parquet file holds instants by which it can be read in parts."""
    return query.time is not None and str(pq.read_schema(path).field(query.time).type).startswith("timestamp")


def _require(path: Path, columns: list[str], known: list[str]) -> None:
    for name in columns:
        if name not in known:
            raise StackError(
                f"{path}, column {name}",
                found=f"no such column{nearest(name, known)}; there are {', '.join(known)}",
                expected="the columns of project.yaml",
                todo="correct the file, or the name under columns in project.yaml",
            )


@lru_cache(maxsize=2)
def _csv(path: Path, changed: int, size: int, options: str) -> pd.DataFrame:
    """Read a file once for each state of it."""
    try:
        table: pd.DataFrame = pd.read_csv(path, low_memory=False, **json.loads(options))
        return table
    except (ValueError, TypeError, OSError) as error:
        raise StackError(
            str(path),
            found=" ".join(str(error).split()),
            expected="a table: a line of column names, then a line a row",
            todo="correct the file, or source.options in project.yaml",
        ) from None
