"""The last week in numbers, sampled every ten minutes, in a small SQLite file: no other service is needed for it."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stack.core.settings import Settings

WEEK = timedelta(days=7)
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS samples "
    "(title TEXT, name TEXT, at INTEGER, value REAL, PRIMARY KEY (title, name, at)) WITHOUT ROWID"
)

HALF_HOUR = 1800
POINTS = """
    SELECT title, name, at / :width * :width AS began, avg(value) FROM samples
    WHERE at > :since AND at <= :now AND (:only IS NULL OR name = :only)
    GROUP BY title, name, began ORDER BY title, name, began
"""
SERIES = """
    SELECT title, name, min(value), max(value), (
        SELECT value FROM samples AS other
        WHERE other.title = samples.title AND other.name = samples.name AND at <= :now ORDER BY at DESC LIMIT 1
    ) FROM samples WHERE at > :since AND at <= :now AND (:only IS NULL OR name = :only)
    GROUP BY title, name ORDER BY title, name
"""


@dataclass(frozen=True)
class Sample:
    """A number that is drawn: what is measured, with its unit, and of what."""

    title: str
    name: str
    value: float


@dataclass(frozen=True)
class Series:
    """The samples of one number."""

    title: str
    name: str
    least: float
    most: float
    last: float
    points: list[tuple[float, float]]
    """Seconds since 1970, and the mean of half an hour that begins there, oldest first: a line has no room for more."""


class History:
    """The samples of the last week.

    Args:
        file: where they are kept; a damaged one is begun anew.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of(cls, settings: Settings) -> "History":
        """Return the history of a stack."""
        return cls(settings.run / "week.db")

    def add(self, samples: Iterable[Sample], now: datetime) -> None:
        """Add samples, and delete those that are older than a week, or later than now by a clock that was set back."""
        at = int(now.timestamp())
        rows = [(each.title, each.name, at, each.value) for each in samples]
        try:
            self._write(rows, at)
        except sqlite3.DatabaseError:
            self._file.unlink(missing_ok=True)
            self._write(rows, at)

    def _write(self, rows: list[tuple[str, str, int, float]], at: int) -> None:
        with self._open() as connection:
            connection.execute("DELETE FROM samples WHERE at <= ? OR at > ?", (at - WEEK.total_seconds(), at))
            connection.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", rows)

    def read(self, now: datetime, only: str | None = None) -> list[Series]:
        """Return the series of the last week, by title and name; with `only`, those of that name."""
        found: dict[tuple[str, str], Series] = {}
        span = {"since": (now - WEEK).timestamp(), "now": now.timestamp(), "width": HALF_HOUR, "only": only}
        try:
            with self._open() as connection:
                for title, name, least, most, last in connection.execute(SERIES, span):
                    found[title, name] = Series(title, name, least, most, last, [])
                for title, name, at, value in connection.execute(POINTS, span):
                    found[title, name].points.append((at, value))
        except sqlite3.DatabaseError:  # the next sample begins it anew
            return []
        return [*found.values()]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._file, timeout=10)) as connection, connection:
            connection.execute(SCHEMA)
            yield connection


def now() -> datetime:
    """Return the time of the samples: that of the machine."""
    return datetime.now(UTC)
