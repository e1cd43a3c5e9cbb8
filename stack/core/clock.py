"""The two clocks: ``wall`` is now, ``replay`` is a stored instant that a replay advances.

No function of the stack calls ``now()`` for itself: the border (a flow, a request) asks here once and passes the
instant on.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from stack.core.database import clocks, engine, in_utc
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.core.wall_clock import FAR, TITLE, TODO, observe


def require_vouched(settings: Settings, clock: "Clock", until: datetime) -> None:
    """Refuse an instant of the wall clock that lies beyond what this machine can vouch for; a replay's is stored."""
    seen = observe(settings)
    if clock.kind == "wall" and until > seen.trusted:
        problem = f"{TITLE} {seen.problem}" if seen.jump else f"it is {seen.now:%Y-%m-%d %H:%M} UTC"
        raise StackError(
            f"window of {clock.project}, until {until:%Y-%m-%d %H:%M} UTC",
            found=problem,
            expected="an instant that has come; nothing is lost, a later run fetches from where the last one ended",
            todo=TODO if seen.jump else "give an earlier instant",
        )


def oldest_kept(settings: Settings, now: datetime, newest: datetime | None) -> datetime | None:
    """Return the instant before which records of a table may be deleted at `now`; None where none may.

    None may where the clock has jumped, or `now` lies far after the newest record, made before the clock was watched.
    """
    seen = observe(settings)
    if newest is None or seen.jump or now > seen.trusted or (newest < seen.since and now - newest > FAR):
        return None
    return now - timedelta(days=settings.keep_days)


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


def instant(text: str) -> datetime:
    """Parse an ISO 8601 instant; without a zone it is a StackError."""
    with suppress(ValueError):
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo:
            return parsed
    expected = "ISO 8601 with a zone, like 2013-03-01T00:00:00Z"
    raise StackError("instant", found=repr(text), expected=expected, todo="add the zone")


def end_of(text: str) -> datetime:
    """Return the end (UTC) of an ISO 8601 date, or else the :func:`instant` of the text."""
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(text) + timedelta(days=1), time(), UTC)
    return instant(text)
