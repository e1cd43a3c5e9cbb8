"""Move the predictions that are older than the settings keep them out of the database, month by month."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Float, bindparam, delete, func, select

from stack.core import clock
from stack.core.database import engine, in_utc, predictions, shadows
from stack.core.settings import Settings
from stack.prediction_log import older

PRUNED_AT_ONCE = 5000


def prune(settings: Settings, now: datetime) -> int:
    """Move the months whose last prediction is older than the settings keep them; return the number of predictions.

    A month is deleted when its files are on the disk. None is on the word of a clock that has jumped.
    """
    with engine(settings.state_database).connect() as connection:
        newest = connection.execute(select(func.max(predictions.c.answered_at))).scalar()
    before = clock.oldest_kept(settings, now, newest and in_utc(newest))
    if before is None:
        return 0
    pruned, end = 0, _month(before)
    with FileLock(settings.home / "predictions.lock"):
        while (since := _oldest(settings.state_database)) and since < end:
            moved = _move(settings, since)
            if not moved:
                break  # A label came for each of its predictions meanwhile: the next run moves them.
            pruned += moved
    return pruned


def _move(settings: Settings, since: datetime) -> int:
    """Move the month that begins at an instant into files; return the number of predictions that left the database."""
    until, moved = _month(since + timedelta(days=31)), 0
    for project in older.projects(settings.state_database, since, until):
        file = settings.older_predictions / project / f"{since:%Y-%m}.parquet"
        older.write(settings.state_database, file, project, since, until)
        moved += _delete(settings.state_database, file)
    return moved


def _oldest(database: str) -> datetime | None:
    """Return the month of the oldest prediction."""
    with engine(database).connect() as connection:
        oldest = connection.execute(select(func.min(predictions.c.answered_at))).scalar()
    return oldest and _month(in_utc(oldest))


def _month(at: datetime) -> datetime:
    """Return the beginning of the month of an instant, UTC."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _delete(database: str, file: Path) -> int:
    """Delete the predictions of a file, in many short transactions: an answer waits while another writes.

    A prediction whose label has changed since the file was written stays, to be written again.
    """
    same = predictions.c.label.is_not_distinct_from(bindparam("written", type_=Float))
    as_written = delete(predictions).where(predictions.c.id == bindparam("key"), same)
    total = 0
    for rows in older.labels(file, PRUNED_AT_ONCE):
        ids = [name for name, _ in rows]
        left = select(predictions.c.id).where(predictions.c.id.in_(ids))
        with engine(database).begin() as connection:
            before = connection.execute(select(func.count()).select_from(left.subquery())).scalar_one()
            connection.execute(as_written, [{"key": name, "written": label} for name, label in rows])
            connection.execute(delete(shadows).where(shadows.c.id.in_(ids), shadows.c.id.not_in(left)))
            total += before - connection.execute(select(func.count()).select_from(left.subquery())).scalar_one()
    return total
