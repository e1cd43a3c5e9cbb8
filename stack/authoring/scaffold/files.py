"""Read a file: CSV with any of the usual separators, encodings and ways to write numbers, TSV or Parquet."""

import codecs
import gzip
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self, TextIO

import pandas as pd
import pyarrow.parquet as pq

from stack.authoring.scaffold import headers, units
from stack.core.errors import StackError
from stack.kit import numbers
from stack.sources import tables
from stack.specification import frames

EXPECTED = "a file .csv, .tsv, .txt, .dat, .parquet, .xlsx, .json or .jsonl, packed as .gz or not"
SNIFFED = 200
"""Lines by which separator and names are detected."""
CHUNK = 2**20
"""Characters of a file that are read at a time."""
SAMPLE = 20_000
"""Rows by which the writing of numbers is detected."""
LEAST = 20
"""Rows from which a model can be learnt at all."""
NUMBER = headers.NUMBER
TEXTS = {".csv", ".tsv", ".txt", ".dat", ".data"}
ROW_NAME = "row_name"
"""A column without a name is called so."""
POINT, COMMA = numbers.WRITTEN["."], numbers.WRITTEN[","]
MOST_COLUMNS = 500
"""Of more, each request would name more values than a person can look after, and the files are past reading."""
GROUPED = 20
"""Numbers of exactly three digits after a sign, from which on that is no accident of decimals."""
MARKS, SHARE, VARIED = 3, 0.8, 10
"""A column of numbers has at most so many marks for a missing value; with words, numbers in this share of its rows, of
which so many are different."""
GROUPING = ("'", " ", "’", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}")
"""Signs between thousands besides comma and point, as of Switzerland and France."""


@dataclass(frozen=True)
class Source:
    """A file's name, the pandas function that reads it, and the arguments of that."""

    name: str
    reader: str
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path) -> Self:
        """Detect the kind of a file, and how it is written.

        Raises:
            StackError: there is no such file, it is of no known kind, or no table with a line of names.
        """
        if not file.is_file():
            raise StackError("FROM", found=f"no file {file}", expected=EXPECTED, todo="fix the path")
        if file.name != file.name.encode(errors="replace").decode():
            expected, todo = "a name in UTF-8, which the project's code can hold", "rename the file"
            raise StackError("FROM", found=ascii(file.name), expected=expected, todo=todo)
        if file.suffix == ".parquet":
            _require_few(file, pq.read_schema(file).names)
            return cls(file.name, "read_parquet")
        if not TEXTS & {*file.suffixes}:
            raise StackError(f"FROM={file}", found=f"a file {file.suffix}", expected=EXPECTED)
        encoding, lines, last_lines = _decoded(file)
        separator, above = headers.written(lines)
        names = next(headers.cells(lines[above:], separator), [])
        _require_few(file, names)
        options: dict[str, Any] = {"encoding": encoding} if encoding != "utf-8" else {}
        options |= {"sep": separator} if separator != "," else {}
        options |= _name_options(lines, separator, above)
        if footer := headers.footer(last_lines, separator, len(names)):
            options |= {"skipfooter": footer, "engine": "python"}
        options |= {"skipinitialspace": True} if any(name.startswith(" ") for name in names) else {}
        first = {"dtype": str} | ({} if "skipfooter" in options else {"nrows": SAMPLE})  # pandas does not take both
        options |= _number_options(_read_csv(file, options | first).head(SAMPLE), separator)
        return cls(file.name, "read_csv", options)

    def read(self, file: Path) -> pd.DataFrame:
        """Read the table as the project will; refuse a table of too few rows."""
        parquet = self.reader == "read_parquet"
        table = pq.read_table(file).to_pandas(self_destruct=True) if parquet else _read_csv(file, self.options)
        require_rows(table, str(file))
        return table


def require_rows(table: pd.DataFrame, place: str) -> None:
    """Refuse a table of too few rows, or with numbers that no model takes."""
    if len(table) < LEAST or len(table.columns) < 2:
        found = f"{len(table)} rows, {len(table.columns)} columns"
        raise StackError(f"FROM={place}", found=found, expected=f"at least {LEAST} rows and 2 columns")
    for name, values in ((name, table[name]) for name in table if table[name].dtype.kind in "fiu"):
        if infinite := int((values.abs() > frames.LARGEST).sum()):
            found, todo = f"{infinite} values that no 32-bit number holds", "leave them empty there"
            raise StackError(f"FROM={place}, column {name}", found=found, expected="numbers", todo=todo)


def _require_few(file: Path, names: list[str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise StackError(
            f"FROM={file}",
            found=f"{len(names):,} columns",
            expected=f"at most {MOST_COLUMNS}",
            todo="keep those that a caller knows when asking, or make one of many in a file of your own",
        )


def _read_csv(file: Path, options: dict[str, Any]) -> pd.DataFrame:
    try:
        return tables.read_csv(file, options)
    except (ValueError, OSError) as error:
        raise StackError(
            f"FROM={file}",
            found=" ".join(str(error).split()),
            expected="a table: a line of column names, then a line a row",
            todo="fix the line, or save the table anew as CSV",
        ) from None


def _decoded(file: Path) -> tuple[str, list[str], list[str]]:
    """Return the encoding, the first lines and the last lines.

    The encoding is UTF-16 by its mark, UTF-8, or else that of Windows in western Europe.
    """
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rb") as content:
        marked = content.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding = "utf-16" if marked else "utf-8"
    try:
        lines, last = _ends(opened(file, "rt", encoding=encoding, newline=""))
    except UnicodeDecodeError:
        encoding = "cp1252"
        lines, last = _ends(opened(file, "rt", encoding=encoding, errors="replace", newline=""))
    return encoding, [lines[0].removeprefix("\ufeff"), *lines[1:]] if lines else [], last


def _ends(text: TextIO) -> tuple[list[str], list[str]]:
    """Return the first lines, and the last ones; all is read, as a character of another encoding may be anywhere."""
    with text:
        lines, before, last = list(islice(text, SNIFFED)), "", ""
        while part := text.read(CHUNK):
            before, last = last, part
    return lines, (before + last).splitlines()[1:] if before else [*lines, *last.splitlines()]


def _name_options(lines: list[str], separator: str, above: int) -> dict[str, Any]:
    """Return the arguments of ``pandas.read_csv`` that say where the names are, and what they are where they are not.

    Args:
        above: lines above the names.
    """
    table = lines[above:]
    names = next(headers.cells(table, separator), [])
    if headers.has_units(table, separator):
        return {"skiprows": [*range(above), above + 1]}
    options: dict[str, Any] = {"skiprows": above} if above else {}
    if headers.unnamed(table, separator):
        after = all(line.rstrip("\r\n").endswith(separator) for line in table[1:] if line.strip())
        options |= {"header": 0, "names": [*names, ROW_NAME] if after else [ROW_NAME, *names]}
    elif headers.has_no_names(table, separator):
        options |= {"header": None, "names": [f"column_{number}" for number, _ in enumerate(names, 1)]}
    return options


def _number_options(texts: pd.DataFrame, separator: str) -> dict[str, Any]:
    """Return the arguments of ``pandas.read_csv`` for decimal commas, thousands separators, marks and leading zeros.

    Args:
        texts: the file, or its first rows, as text.
        separator: of the columns; beside a semicolon, 1,234 has a decimal comma.
    """
    columns, missing = {}, set()
    for name, values in texts.dropna(axis="columns", how="all").items():
        marks = _marks(values.dropna())
        columns[str(name)] = values[values.notna() & ~values.isin(marks)].str.strip()
        missing |= {*marks}
    with_unit = [name for name, values in columns.items() if units.shared(values)]
    columns |= {name: columns[name].str.extract(rf"({NUMBER.pattern})")[0] for name in with_unit}
    grouping = next((sign for sign in GROUPING if any(_groups(values, sign) for values in columns.values())), "")
    if grouping:
        columns = {
            name: values.str.replace(grouping, "") if _groups(values, grouping) else values
            for name, values in columns.items()
        }
    by_comma = {name: values for name, values in columns.items() if values.str.fullmatch(COMMA).all()}
    by_point = {name: values for name, values in columns.items() if values.str.fullmatch(POINT).all()}
    options = _style(by_comma, by_point, separator)
    if grouping:
        options |= {"thousands": grouping} | ({} if grouping.isascii() else {"engine": "python"})
    plain = by_comma if "decimal" in options else by_point
    codes = {name: values for name, values in columns.items() if values.str.fullmatch(units.CODE).any()}
    kept = [name for name, values in codes.items() if values.str.fullmatch(NUMBER).all()]
    if "thousands" in options:  # pandas would take the signs out of dates and lists as well
        kept += with_unit
        kept += [name for name, values in columns.items() if name not in plain and values.str.contains(r"\d").any()]
    options |= {"na_values": sorted(missing)} if missing else {}
    return options | ({"dtype": dict.fromkeys(kept, "str")} if kept else {})


def _style(by_comma: dict[str, pd.Series], by_point: dict[str, pd.Series], separator: str) -> dict[str, Any]:
    """Return the decimal and thousands signs; none where the columns of the file disagree."""
    commas = [name for name, values in by_comma.items() if values.str.contains(",", regex=False).any()]
    only = [name for name in commas if name not in by_point]
    either = [values for name, values in by_comma.items() if name in by_point]
    if not only and any(_grouped(values, ",") for values in either):
        return {"thousands": ","}
    by_thousands = any(_grouped(values, ".") for values in either)
    if (only or by_thousands or (commas and separator != ",")) and not by_point.keys() - by_comma.keys():
        points = any(values.str.contains(".", regex=False).any() for values in by_comma.values())
        return {"decimal": ","} | ({"thousands": "."} if points else {})
    thousands = any(values.str.contains(",", regex=False).any() for values in by_point.values())
    return {"thousands": ","} if thousands and not only else {}


def _groups(values: pd.Series, sign: str) -> bool:
    """Return whether texts are numbers, some of them with a sign between thousands that is neither comma nor point."""
    pattern = rf"[+-]?([1-9]\d{{0,2}}({sign}\d{{3}})+|\d{{1,3}})([.,]\d+)?"
    alike = values.head(50).str.fullmatch(pattern).all() and values.str.fullmatch(pattern).all()
    return bool(alike and values.str.contains(sign, regex=False).any())


def _grouped(values: pd.Series, sign: str) -> bool:
    """Return whether a sign is between thousands: none but those have it, and three digits after it in each of many."""
    signed = values.str.contains(sign, regex=False)
    if signed.sum() < GROUPED or signed.all():
        return False
    groups = values[signed].str.fullmatch(rf"[+-]?[1-9]\d{{0,2}}(\{sign}\d{{3}})+")
    return bool(groups.all() and values[~signed].str.fullmatch(r"[+-]?\d{1,3}").all())


def _marks(values: pd.Series) -> list[str]:
    """Return what stands for a missing value in a column of numbers."""
    numbers = values.str.strip().str.fullmatch(NUMBER)
    marks = [str(text) for text in values[~numbers].unique()] if numbers.any() else []
    few = values[numbers].nunique() < VARIED  # beside words these are categories
    words = (few or numbers.mean() < SHARE) and any(re.search(r"\w", mark) for mark in marks)
    refused = len(marks) > MARKS or words or any(re.search(r"\d", mark) for mark in marks)
    return [] if refused else marks
