"""The two clocks: ``wall`` is now, ``replay`` is a stored instant that a replay advances.

No function of the stack calls ``now()`` for itself: the border (a flow, a request) asks here once and passes the
instant on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from stack.core.database import clocks, engine, in_utc
from stack.core.errors import StackError


@dataclass(frozen=True)
class Clock:
    """The clock of a project."""

    database: str
    """SQLAlchemy URL of the state database, which keeps the instant of a replay clock."""
    project: str
    kind: Literal["wall", "replay"]
    start: datetime
    """Instant of a replay that has not begun."""

    def now(self) -> datetime:
        """Return the project's present instant, UTC."""
        if self.kind == "wall":
            return datetime.now(UTC)
        with engine(self.database).connect() as connection:
            return self._stored(connection) or self.start

    def advance(self, to: datetime) -> datetime:
        """Move a replay clock forward, never back; return its instant. A wall clock is a StackError."""
        if self.kind == "wall":
            raise StackError(
                f"projects/{self.project}/project.yaml, key clock.kind",
                found="wall",
                expected="replay, as only a replayed clock can be moved",
            )
        to = to.astimezone(UTC)
        with engine(self.database).begin() as connection:
            stored = self._stored(connection)
            if stored and to <= stored:
                return stored
            connection.execute(delete(clocks).where(clocks.c.project == self.project))
            connection.execute(insert(clocks).values(project=self.project, now=to))
        return to

    def _stored(self, connection: Connection) -> datetime | None:
        stored = connection.execute(select(clocks.c.now).where(clocks.c.project == self.project)).scalar()
        return in_utc(stored) if stored else None


def spans(since: datetime, until: datetime, length: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Split (since, until] into spans of a length; the last may be shorter."""
    while since < until:
        yield since, min(since + length, until)
        since += length
