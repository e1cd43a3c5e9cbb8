"""Rows of files and messages: CSV, Parquet, Excel, JSON, JSON lines; nested JSON gives columns like ``main.temp``."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any
from zipfile import BadZipFile

import pandas as pd
import pyarrow.parquet as pq

from stack.core import secrets
from stack.core.errors import StackError
from stack.specification.sources import FileSection, Format

ENDINGS: dict[str, Format] = {
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
PART = 250_000
"""Rows of CSV that are read at a time."""
WHOLE = {"nrows", "chunksize", "iterator", "skipfooter", "engine", "index_col"}
"""Arguments of ``pandas.read_csv`` with which a file is not read in parts."""


def format_of(source: FileSection, path: str) -> Format:
    """Return the format of a file: that of project.yaml, or the one of its ending; CSV for an unknown one."""
    name = PurePosixPath(path.partition("?")[0].lower())
    packed = name.suffix in (".gz", ".bz2", ".xz", ".zst")
    return source.format or ENDINGS.get((PurePosixPath(name.stem) if packed else name).suffix, "csv")


def read(file: IO[bytes], kind: Format, options: dict[str, Any], name: str) -> pd.DataFrame:
    """Return the whole table in a file. StackError: it is not what it should be."""
    with explained(kind, name):
        table = _read(file, kind, options)
    table.columns = table.columns.map(str)
    return table


@contextmanager
def explained(kind: Format, name: str) -> Iterator[None]:
    """Turn what a reader raises into an error that says what a file should be."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise StackError(
            name,
            found=secrets.redact(" ".join(str(error).split()))[:300],
            expected=EXPECTED[kind],
            todo="correct the file, or source.format and source.options in project.yaml",
        ) from None


EXPECTED = {
    "csv": "a table: a line of column names, then a line a row",
    "parquet": "a Parquet file",
    "excel": "an Excel workbook (.xlsx)",
    "json": "JSON: a list of objects, or an object of lists",
    "jsonl": "a JSON object on each line",
}


def _read(file: IO[bytes], kind: Format, options: dict[str, Any]) -> pd.DataFrame:
    if kind == "parquet":
        return pd.DataFrame(pq.read_table(file, partitioning=None).to_pandas(self_destruct=True))
    table: pd.DataFrame
    if kind == "excel":
        table = _filled(pd.read_excel(file, engine="openpyxl", **options))
    elif kind == "json":
        content = json.load(file)
        lists = [*_lists_of_objects(content)]
        table = from_records(lists[0] if len(lists) == 1 else content)
    elif kind == "jsonl":
        table = flat(pd.read_json(file, lines=True, convert_dates=False, dtype=False, **options))
    else:
        table = read_csv(file, options)
    return table


def read_csv(file: Path | IO[bytes], options: Mapping[str, Any]) -> pd.DataFrame:
    """Return the table that ``pandas.read_csv`` reads in one go, without the rows that hold nothing.

    The text of a part of it alone is in memory.
    """
    whole = {} if options.get("engine") == "python" else {"low_memory": False}
    read: Callable[..., Any] = partial(pd.read_csv, **whole, **options)
    if {*options} & WHOLE or (not isinstance(file, Path) and not file.seekable()):
        return _filled(read(file))
    start = 0 if isinstance(file, Path) else file.tell()
    with read(file, chunksize=PART) as reader:
        parts = [_filled(part) for part in reader]
    if len(parts) == 1:
        return parts[0]
    columns = [[part.pop(name) for part in parts] for name in parts[0].columns]
    if not all(map(_are_alike, columns)):  # the whole column decides what its values are
        del parts, columns
        if not isinstance(file, Path):
            file.seek(start)
        return _filled(read(file))
    joined = {parts_of[0].name: pd.concat(parts_of, ignore_index=True) for parts_of in columns}
    return pd.DataFrame(joined, copy=False)


def _filled(table: pd.DataFrame) -> pd.DataFrame:
    if table.columns.empty or table.iloc[:, 0].notna().all():  # looking at every cell takes long
        return table
    return table.dropna(how="all", ignore_index=True).infer_objects()


def _are_alike(parts: list[pd.Series]) -> bool:
    """Return whether parts of a column have types of which pandas would read the whole as these values."""
    if any(part.dtype.kind == "u" for part in parts):
        return False
    kinds = {pd.api.types.infer_dtype(part) for part in parts if part.notna().any()}
    return len(kinds) < 2 or kinds == {"integer", "floating"}


def _lists_of_objects(content: Any) -> Iterator[list[Any]]:
    """Yield the lists of objects in parsed JSON that are in no other list, as the rows beside ``{"status": "ok"}``."""
    if isinstance(content, dict):
        for value in content.values():
            yield from _lists_of_objects(value)
    elif isinstance(content, list) and content and isinstance(content[0], dict):
        yield content


def from_records(content: Any) -> pd.DataFrame:
    """Return the rows of parsed JSON: a list of objects, an object of lists of one length, or one object.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(content, dict):
        lists = bool(content) and all(isinstance(value, list) for value in content.values())
        return flat(pd.DataFrame(content)) if lists else from_records([content])
    if not isinstance(content, Sequence) or isinstance(content, str):
        raise ValueError(f"found {type(content).__name__}, no rows")
    if wrong := next((row for row in content if not isinstance(row, dict)), None):
        raise ValueError(f"found {type(wrong).__name__} where a row should be")
    return flat(pd.DataFrame.from_records(content))


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with a column for each value inside of objects: ``main.temp`` of ``{"main": {"temp": 3}}``."""
    nested = [name for name in table if any(isinstance(value, dict) for value in table[name].head(1000))]
    if not nested:
        return table
    inner = [
        flat(
            pd.DataFrame([value if isinstance(value, dict) else {} for value in table[name]], index=table.index)
        ).add_prefix(f"{name}.")
        for name in nested
    ]
    return pd.concat([table.drop(columns=nested), *inner], axis=1)
