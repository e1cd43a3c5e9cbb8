"""The outbox: each answer of a sink waits in the state database until its receiver has acknowledged it.

An answer enters in the transaction that logs it, so that an acknowledged one is never lost.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, tuple_

from stack.core.database import engine, in_utc, outbox

Message = dict[str, Any]
"""An answer as a receiver gets it: :func:`stack.publishing.messages.columns`, of a forecast perhaps with its steps;
instants as ISO 8601."""
Key = tuple[str, str]
"""Project and name of the sink."""


@dataclass(frozen=True)
class Waiting:
    """The answers that wait for a receiver."""

    count: int
    since: datetime | None
    """The oldest one's instant, on the wall clock."""


def add(connection: Connection, project: str, sink: str, messages: list[Message], now: datetime) -> None:
    """Add answers for a sink, in their order, within a transaction."""
    rows = [{"project": project, "sink": sink, "message": message, "waits_since": now} for message in messages]
    if rows:
        connection.execute(insert(outbox), rows)


def oldest(database: str, key: Key, limit: int) -> dict[int, Message]:
    """Return the answers that have waited longest, by number, in order."""
    query = select(outbox.c.number, outbox.c.message).where(*_of(key)).order_by(outbox.c.number).limit(limit)
    with engine(database).connect() as connection:
        return {number: message for number, message in connection.execute(query)}


def remove(database: str, numbers: Collection[int]) -> None:
    """Remove answers that their receiver has acknowledged."""
    with engine(database).begin() as connection:
        connection.execute(delete(outbox).where(outbox.c.number.in_(numbers)))


def waiting(database: str, key: Key) -> Waiting:
    """Return how many answers wait, and since when."""
    query = select(func.count(), func.min(outbox.c.waits_since)).where(*_of(key))
    with engine(database).connect() as connection:
        count, since = connection.execute(query).one()
    return Waiting(count, since and in_utc(since))


def shorten(database: str, key: Key, most: int) -> int:
    """Drop the oldest answers beyond the newest `most`; return their number."""
    numbers = select(outbox.c.number).where(*_of(key)).order_by(outbox.c.number.desc()).offset(most).limit(1)
    with engine(database).begin() as connection:
        last = connection.execute(numbers).scalar()
        if last is None:
            return 0
        return connection.execute(delete(outbox).where(*_of(key), outbox.c.number <= last)).rowcount


def discard_others(database: str, sinks: Collection[Key], unreadable: Collection[str]) -> None:
    """Drop the answers of all other sinks; of projects whose project.yaml is wrong at present, none."""
    others = outbox.c.project.not_in(unreadable), tuple_(outbox.c.project, outbox.c.sink).not_in([*sinks])
    with engine(database).begin() as connection:
        connection.execute(delete(outbox).where(*others))


def _of(key: Key) -> tuple[Any, Any]:
    return outbox.c.project == key[0], outbox.c.sink == key[1]
