"""Find the line of column names: spreadsheets and meters write titles, dates and serial numbers above it."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pandas as pd

SEPARATORS = ",;\t|"
BLANKS = r"\s+"
"""How pandas separates columns by any number of blanks."""
NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?")
MOST = 20
"""Lines that there may be above the names."""
SUMS = 5
"""Rows that there may be at the end, from the empty one on."""
ALIKE = 0.8
"""Share of the lines that a separator splits into as many parts as the names, where it is the right one."""


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
    return 0


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


def titles(rows: Sequence[Sequence[str]]) -> int:
    """Return how many rows are above the names: those that fill half of the columns at most, and not the last one."""
    width = max(map(len, rows), default=0)
    for number, row in enumerate(rows[: MOST + 1]):
        filled = [cell for cell in row if cell.strip()]
        if 2 * len(filled) > width or (len(row) == width and row[-1].strip()):
            return number if 2 * sum(any(map(str.isalpha, cell)) for cell in filled) >= len(filled) else 0
    return 0


def of_workbook(file: Path) -> dict[str, int]:
    """Return the arguments of ``pandas.read_excel`` that leave out titles, and sums below an empty row at the end."""
    cells = pd.read_excel(file, engine="openpyxl", header=None, dtype=object)
    above = titles(cells.head(MOST + 1).map(lambda cell: "" if pd.isna(cell) else str(cell)).to_numpy().tolist())
    filled = cells.notna().sum(axis=1).to_numpy()
    ends = [row for row in range(max(above + 2, len(cells) - SUMS), len(cells)) if not filled[row]]
    below = len(cells) - ends[0] if ends and 2 * filled[ends[0] :].max() <= cells.shape[1] else 0
    return ({"skiprows": above} if above else {}) | ({"skipfooter": below} if below else {})


def _best(lines: Sequence[str]) -> str:
    return max(SEPARATORS, key=lambda separator: _fit(lines, separator))


def _fit(lines: Sequence[str], separator: str) -> tuple[float, int]:
    """Return which share of lines has as many parts as the first, and how many those are."""
    counts = [len(row) for row in cells(lines, separator) if row] or [0]
    equal = sum(count == counts[0] for count in counts) / len(counts)
    return round(equal, 1) if counts[0] > 1 else 0.0, counts[0]


def _others(lines: Sequence[str], separator: str) -> bool:
    """Return whether another separator splits one of the first lines, which is a single cell: names below a title."""
    cells = [row[0] for row in islice(csv.reader(lines, delimiter=separator), MOST) if len(row) == 1]
    return any(other in cell for cell in cells for other in SEPARATORS)
