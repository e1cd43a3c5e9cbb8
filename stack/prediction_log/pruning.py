"""Move the predictions that are older than the settings keep them out of the database, month by month."""

from datetime import UTC, datetime, timedelta

from filelock import FileLock
from sqlalchemy import delete, func, select

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
            until = _month(since + timedelta(days=31))
            for project in older.projects(settings.state_database, since, until):
                file = settings.older_predictions / project / f"{since:%Y-%m}.parquet"
                older.write(settings.state_database, file, project, since, until)
            pruned += _delete(settings.state_database, until)
    return pruned


def _oldest(database: str) -> datetime | None:
    """Return the month of the oldest prediction."""
    with engine(database).connect() as connection:
        oldest = connection.execute(select(func.min(predictions.c.answered_at))).scalar()
    return oldest and _month(in_utc(oldest))


def _month(at: datetime) -> datetime:
    """Return the beginning of the month of an instant, UTC."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _delete(database: str, until: datetime) -> int:
    """Delete what was answered before an instant, in many short transactions: an answer waits while another writes."""
    id_, answered_at = predictions.c.id, predictions.c.answered_at
    old = select(id_).where(answered_at < until).order_by(answered_at, id_).limit(PRUNED_AT_ONCE)
    total = 0
    while True:
        with engine(database).begin() as connection:
            connection.execute(delete(shadows).where(shadows.c.id.in_(old)))
            deleted = connection.execute(delete(predictions).where(id_.in_(old))).rowcount
        total += deleted
        if deleted < PRUNED_AT_ONCE:
            return total
