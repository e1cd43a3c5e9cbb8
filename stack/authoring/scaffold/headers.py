"""Find the line of column names: spreadsheets and meters write titles, dates and serial numbers above it."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pandas as pd

SEPARATORS = ",;\t|"
BLANKS = r"\s+"
"""How pandas separates columns by any number of blanks."""
NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?")
MOST = 20
"""Lines that there may be above the names."""
SUMS = 5
"""Rows that there may be at the end, from the empty one on."""
BLANK = re.compile(r"\W*|n/?a|nan|null|none", re.IGNORECASE)
"""A cell without a value, or with what stands for a missing one."""
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")
ALIKE = 0.8
"""Share of the lines that a separator splits into as many parts as the names, where it is the right one."""
ALL = 1.0


def written(lines: Sequence[str]) -> tuple[str, int]:
    """Return how the first lines of a file separate their columns, and how many lines are above the names.

    The separator is the one that splits the lines into as many parts as the names, and those into the most. Blanks
    are one where no other sign is.
    """
    comments = _comments(lines)
    separator, above = _written(lines[comments:])
    return separator, comments + above


def _written(lines: Sequence[str]) -> tuple[str, int]:
    for above in range(min(MOST, len(lines) - 1)):
        separator = _best(lines[above:])
        if _fit(lines[above:], separator)[0] >= ALIKE and not _others(lines[above:], separator):
            return separator, above + titles([*cells(lines[above:], separator)])
        if short := next((sign for sign in (*SEPARATORS, BLANKS) if unnamed(lines[above:], sign)), None):
            return short, above
    return (_best(lines) if _fit(lines, BLANKS)[0] < ALIKE else BLANKS), 0


def _comments(lines: Sequence[str]) -> int:
    """Return how many lines above the names begin with ``#``; none where such a line holds the names."""
    count, names = next(((number, line) for number, line in enumerate(lines) if not line.startswith("#")), (0, ""))
    return 0 if any(map(is_number, re.split(f"[{SEPARATORS}]", names))) else count


def footer(lines: Sequence[str], separator: str, width: int) -> int:
    """Return how many of the last lines of a file are no rows: remarks of other widths, from an empty line on.

    An empty line in quotes is a part of a text.
    """
    for start in range(max(0, len(lines) - MOST), len(lines)):
        after = [row for row in cells(lines[start:], separator) if row]
        within = "".join(lines[start:]).count('"') % 2
        if not (lines[start].strip() or within) and after and all(len(row) != width for row in after):
            return len(lines) - start
    return _total(lines, separator)


def _total(lines: Sequence[str], separator: str) -> int:
    """Return how many lines from a last row on that begins with a word, below rows that all begin with a date."""
    rows = [row for row in cells(lines[-MOST:], separator) if row]
    *kinds, last = [_kind(row[0].strip()) for row in rows] or [""]
    blank = next((number for number, line in enumerate(reversed(lines)) if line.strip()), 0)
    return 1 + blank if last == "text" and {*kinds} == {"date"} else 0


def has_units(lines: Sequence[str], separator: str) -> bool:
    """Return whether the line below the names holds units: texts alone where the rows below it have numbers."""
    table = [row for row in cells(lines, separator) if row]
    units, rows = table[1] if len(table) > 1 else [], table[2:]
    texts = [not BLANK.fullmatch(unit.strip()) for unit in units]
    if any(_kind(unit.strip()) != "text" for unit, is_text in zip(units, texts, strict=True) if is_text):
        return False
    columns = ([row[at] for row in rows if len(row) == len(units)] for at, is_text in enumerate(texts) if is_text)
    return any(_usual(column) == "number" for column in columns)


def cells(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Return the cells of each line."""
    if separator == BLANKS:
        return csv.reader((" ".join(line.split()) for line in lines), delimiter=" ")
    return csv.reader(lines, delimiter=separator)


def unnamed(lines: Sequence[str], separator: str) -> bool:
    """Return whether each row has one cell more than there are names, before or after them, as R writes row names."""
    names, *rows = [row for row in cells(lines, separator) if row] or [[]]
    longer = len(rows) > 1 and len(names) > 1 and all(len(row) == len(names) + 1 for row in rows)
    return longer and not any(map(is_number, names)) and all(any(map(is_number, row)) for row in rows)


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, as people write it."""
    return bool(NUMBER.fullmatch(cell.strip()))


def has_no_names(lines: Sequence[str], separator: str) -> bool:
    """Return whether the first line is a row: its values are of the kinds of their columns, or come again in them.

    Numbers that are counted, such as years, are names.
    """
    first, *rows = [row for row in cells(lines, separator) if row] or [[]]
    columns = [[row[at].strip() for row in rows if len(row) == len(first)] for at in range(len(first))]
    of_first = [_kind(cell.strip()) for cell in first]
    alike = fitting = 0
    for cell, kind, column in zip(first, of_first, columns, strict=True):
        if BLANK.fullmatch(cell.strip()):
            continue
        usual = _usual(column)
        if usual not in ("text", kind):
            return False
        fitting += usual != "text"
        alike += cell.strip() in column
    numbers = [float(cell.replace(",", ".")) for cell, kind in zip(first, of_first, strict=True) if kind == "number"]
    return bool(fitting or 2 * alike > len(first)) and not _are_counted(numbers)


def _are_counted(numbers: Sequence[float]) -> bool:
    steps = {round(after - before, 6) for before, after in pairwise(numbers)}
    return len(steps) == 1 and min(steps) > 0 and (len(numbers) > 2 or steps == {1.0})


def _usual(column: Sequence[str]) -> str:
    """Return which kind nearly all cells of a column are, but for blanks; a text where there is none."""
    kinds = [_kind(cell.strip()) for cell in column if not BLANK.fullmatch(cell.strip())]
    usual = max({*kinds}, key=kinds.count, default="text")
    return usual if kinds.count(usual) >= ALIKE * len(kinds) else "text"


def _kind(cell: str) -> str:
    return "number" if is_number(cell) else "date" if DATE.fullmatch(cell) else "text"


def titles(rows: Sequence[Sequence[str]]) -> int:
    """Return how many rows are above the names: those that fill half of the columns at most, and not the last one."""
    width = max(map(len, rows), default=0)
    for number, row in enumerate(rows[: MOST + 1]):
        filled = [cell for cell in row if cell.strip()]
        if 2 * len(filled) > width or (len(row) == width and row[-1].strip()):
            return number if 2 * sum(any(map(str.isalpha, cell)) for cell in filled) >= len(filled) else 0
    return 0


def of_workbook(file: Path, least: int) -> dict[str, Any]:
    """Return the arguments of ``pandas.read_excel``: the sheet, and how much of it are titles and sums.

    It is the first sheet that has so many rows, else the first one; sums are below an empty row at the end.
    """
    sheets = pd.read_excel(file, engine="openpyxl", sheet_name=None, header=None, dtype=object)
    first = next(iter(sheets))
    name = next((name for name, cells in sheets.items() if len(cells) > least and cells.shape[1] > 1), first)
    return ({"sheet_name": name} if name != first else {}) | _around(sheets[name])


def _around(cells: pd.DataFrame) -> dict[str, Any]:
    """Return how many rows to leave out above and below those of a sheet."""
    above = titles(cells.head(MOST + 1).map(lambda cell: "" if pd.isna(cell) else str(cell)).to_numpy().tolist())
    filled = cells.notna().sum(axis=1).to_numpy()
    ends = [row for row in range(max(above + 2, len(cells) - SUMS), len(cells)) if not filled[row]]
    below = len(cells) - ends[0] if ends and 2 * filled[ends[0] :].max() <= cells.shape[1] else 0
    return ({"skiprows": above} if above else {}) | ({"skipfooter": below} if below else {})


def _best(lines: Sequence[str]) -> str:
    """Return the likeliest separator; a tab is a blank where blanks split all lines into the same number of parts."""
    best = max(SEPARATORS, key=lambda separator: _fit(lines, separator))
    return BLANKS if best == "\t" and _fit(lines, BLANKS) > (ALL, _fit(lines, best)[1]) else best


def _fit(lines: Sequence[str], separator: str) -> tuple[float, int]:
    """Return which share of lines has as many parts as the first, and how many those are."""
    counts = [len(row) for row in cells(lines, separator) if row] or [0]
    equal = sum(count == counts[0] for count in counts) / len(counts)
    return round(equal, 1) if counts[0] > 1 else 0.0, counts[0]


def _others(lines: Sequence[str], separator: str) -> bool:
    """Return whether another separator splits one of the first lines, which is a single cell: names below a title."""
    single = [row[0] for row in islice(cells(lines, separator), MOST) if len(row) == 1]
    return any(other in cell for cell in single for other in SEPARATORS)
