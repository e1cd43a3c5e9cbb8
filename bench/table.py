"""What was measured, as a table: each figure beside the one that it is compared with, of the same run."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

HEAD = ("", "found", "against", "ratio", "bar", "")
MARKS = {True: "met", False: "MISSED", None: ""}


@dataclass(frozen=True)
class Row:
    """One figure."""

    what: str
    found: str
    against: str = ""
    """The figure of the same run that it is compared with."""
    ratio: str = ""
    bar: str = ""
    met: bool | None = None
    """None where there is no bar."""


def ratio(found: float, baseline: float) -> str:
    """How many times the baseline it is."""
    return f"{found / baseline:.2f}"


def print_rows(rows: Sequence[Row]) -> bool:
    """Print the table; say whether every bar is met."""
    lines = [HEAD, *((*astuple(row)[:-1], MARKS[row.met]) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return all(row.met is not False for row in rows)
