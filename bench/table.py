"""What was measured, as a table: each figure beside the one that it is compared with, of the same run."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

HEAD = ("", "found", "against", "ratio", "bar", "", "last run")
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


class Cost(NamedTuple):
    """What a step in a process of its own takes."""

    wall: float
    cpu: float
    gigabytes: float
    """Peak of the process, with what it was given."""
    busiest: float = 0
    """Of several processes, the core seconds of the one that took most."""

    def __str__(self) -> str:
        """Seconds, those of all cores, and memory."""
        return f"{self.wall:.1f} s, {self.cpu:.1f} core s, {self.gigabytes:.2f} GB"


def ratio(found: float, baseline: float) -> str:
    """How many times the baseline it is."""
    return f"{found / baseline:.2f}"


def print_rows(rows: Sequence[Row], last: Mapping[str, str] | None = None) -> bool:
    """Print the table, with the figures of the last run where they are given; say whether every bar is met."""
    head = HEAD if last else HEAD[:-1]
    of_rows = ((*astuple(row)[:-1], MARKS[row.met], (last or {}).get(row.what, "")) for row in rows)
    lines = [head, *(line[: len(head)] for line in of_rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return all(row.met is not False for row in rows)
