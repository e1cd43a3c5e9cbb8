"""The inbox of a project: messages and pushed rows, on the disk before they are acknowledged, until the lake has them.

Each has an instant of its own from which it is known. A window that is read holds all that came until its end, as what
comes after the read gets a later instant.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from stack.core import wall_clock
from stack.core.database import engine, in_utc, inboxes, insert_new, messages
from stack.core.settings import Settings

STEP = timedelta(microseconds=1)
FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def add(settings: Settings, connection: Connection, project: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows (`topic`, `payload`, `packet`) in order; others neither add nor read until the transaction ends."""
    newest, now = _hold(connection, project), wall_clock.observe(settings).now
    at = max(now, newest + STEP)
    written = [{**row, "project": project, "received_at": at + number * STEP} for number, row in enumerate(rows)]
    if written:
        connection.execute(messages.insert(), written)
        _advance(connection, project, written[-1]["received_at"])


def read(settings: Settings, project: str, since: datetime, until: datetime) -> Sequence[Row[Any]]:
    """Return what came in (since, until], in that order."""
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    with engine(settings.state_database).begin() as connection:
        newest, now = _hold(connection, project), wall_clock.observe(settings).now
        _advance(connection, project, max(newest, min(until, now)))
        column = messages.c.received_at
        window = select(messages).where(messages.c.project == project, column > since, column <= until)
        return connection.execute(window.order_by(messages.c.number)).all()


def newest(settings: Settings, project: str, most: int) -> Sequence[Row[Any]]:
    """Return what came last."""
    last = select(messages).where(messages.c.project == project).order_by(messages.c.number.desc()).limit(most)
    with engine(settings.state_database).connect() as connection:
        return connection.execute(last).all()


def mark_ingested(settings: Settings, project: str, until: datetime, keep: timedelta | None) -> None:
    """Record that the lake has all that came until an instant; delete what came longer before it, None: nothing."""
    until = until.astimezone(UTC)
    with engine(settings.state_database).begin() as connection:
        _hold(connection, project)
        connection.execute(update(inboxes).where(inboxes.c.project == project).values(ingested=until))
        if keep is not None:
            old = messages.c.project == project, messages.c.received_at <= until - keep
            connection.execute(delete(messages).where(*old))


def clear(settings: Settings, project: str) -> None:
    """Delete all that came, as of a project that is given up."""
    with engine(settings.state_database).begin() as connection:
        for table in (messages, inboxes):
            connection.execute(delete(table).where(table.c.project == project))


def instants(settings: Settings, project: str) -> tuple[datetime | None, datetime | None]:
    """Return when the newest row came, and up to which instant the lake has all; None before the first."""
    column = messages.c.received_at
    with engine(settings.state_database).connect() as connection:
        ingested = connection.execute(select(inboxes.c.ingested).where(inboxes.c.project == project)).scalar()
        last = connection.execute(select(func.max(column)).where(messages.c.project == project)).scalar()
    return last and in_utc(last), ingested and in_utc(ingested)


def _hold(connection: Connection, project: str) -> datetime:
    """Keep other transactions from the inbox until this one ends; return its newest instant."""
    mine = inboxes.c.project == project
    insert_new(connection, inboxes, [{"project": project, "newest": FIRST}])
    connection.execute(update(inboxes).where(mine).values(project=project))
    return in_utc(connection.execute(select(inboxes.c.newest).where(mine)).scalar_one())


def _advance(connection: Connection, project: str, newest: datetime) -> None:
    connection.execute(update(inboxes).where(inboxes.c.project == project).values(newest=newest.astimezone(UTC)))
