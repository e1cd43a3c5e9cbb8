"""Read a file: CSV with any of the usual separators, encodings and ways to write numbers, TSV or Parquet."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from stack.authoring.scaffold import number_formats
from stack.core.errors import StackError

SEPARATORS = ",;\t|"
SNIFFED = 200
"""Lines by which a separator is found."""
SAMPLE = 20_000
"""Rows by which the writing of numbers is found."""
LEAST = 20
"""Rows from which a model can be learnt at all."""
MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte order marks; pandas skips that of UTF-8 by itself."""


@dataclass(frozen=True)
class Source:
    """A file's name, the pandas function that reads it, and the arguments of that."""

    name: str
    reader: str
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path) -> Source:
        """Detect the kind of a file, and how it is written.

        Raises:
            StackError: there is no such file, it is of no known kind, or no table with a line of names.
        """
        if not file.is_file():
            expected = "a CSV, TSV or Parquet file"
            raise StackError("FROM", found=f"no file {file}", expected=expected, todo="fix the path")
        if file.suffix == ".parquet":
            return cls(file.name, "read_parquet")
        if not {".csv", ".tsv", ".txt"} & {*file.suffixes}:
            raise StackError(f"FROM={file}", found=f"a file {file.suffix}", expected=".csv, .csv.gz, .tsv or .parquet")
        encoding = _encoding(file)
        head = _head(file, encoding)
        separator = _separator(head)
        names = next(csv.reader(StringIO(head), delimiter=separator), [])
        _require_names(file, names)
        options: dict[str, Any] = {"encoding": encoding} if encoding != "utf-8" else {}
        options |= {"sep": separator} if separator != "," else {}
        options |= {"skipinitialspace": True} if any(name.startswith(" ") for name in names) else {}
        texts = _read(file, options | {"dtype": str, "nrows": SAMPLE})
        # Whole columns decide their types: read in chunks, a column is of two.
        return cls(file.name, "read_csv", options | number_formats.options(texts, separator) | {"low_memory": False})

    def read(self, file: Path) -> pd.DataFrame:
        """Read the table as the project will.

        Raises:
            StackError: it cannot be read, or has too few rows.
        """
        table = pd.read_parquet(file) if self.reader == "read_parquet" else _read(file, self.options)
        if len(table) < LEAST or len(table.columns) < 2:
            found = f"{len(table)} rows, {len(table.columns)} columns"
            raise StackError(f"FROM={file}", found=found, expected=f"at least {LEAST} rows and 2 columns")
        return table


def _read(file: Path, options: dict[str, Any]) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pd.read_csv(file, **options)
    except (ValueError, OSError) as error:
        raise StackError(
            f"FROM={file}",
            found=" ".join(str(error).split()),
            expected="a table: a line of column names, then a line a row",
            todo="fix the line, or save the table anew as CSV",
        ) from None
    return table


def _encoding(file: Path) -> str:
    """Return UTF-8, or the encoding of a byte order mark, or else that of Windows in western Europe."""
    content = _bytes(file)
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            return encoding
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _bytes(file: Path, most: int = -1) -> bytes:
    if file.suffix == ".gz":
        with gzip.open(file) as packed:
            return packed.read(most)
    with file.open("rb") as plain:
        return plain.read(most)


def _head(file: Path, encoding: str) -> str:
    """Return the first lines, without a byte order mark."""
    content = _bytes(file, SNIFFED * 1000)
    lines = content.decode(encoding, errors="replace").removeprefix("\ufeff").splitlines(keepends=True)
    whole = lines[:-1] if len(lines) > 1 and len(content) == SNIFFED * 1000 else lines  # the last one may be cut
    return "".join(whole[:SNIFFED])


def _separator(head: str) -> str:
    """Return the separator that splits the lines into as many parts as the first, and that into the most."""

    def fit(separator: str) -> tuple[float, int]:
        counts = [len(row) for row in csv.reader(StringIO(head), delimiter=separator) if row]
        whole = sum(count == counts[0] for count in counts) / len(counts) if counts and counts[0] > 1 else 0.0
        return round(whole, 1), counts[0] if counts else 0

    return max(SEPARATORS, key=fit)


def _require_names(file: Path, names: list[str]) -> None:
    """Raise on a first line that is a row: half of its parts are numbers."""
    numbers = [name for name in names if number_formats.NUMBER.fullmatch(name.strip())]
    if 2 * len(numbers) >= len(names) > 0:
        raise StackError(
            f"FROM={file}, line 1",
            found=", ".join(names[:6]),
            expected="the names of the columns",
            todo="put a line of names on top",
        )
