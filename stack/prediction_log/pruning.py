"""Delete the predictions that are older than the settings keep them."""

from datetime import UTC, datetime

from sqlalchemy import delete, func, select

from stack.core import clock
from stack.core.database import engine, in_utc, predictions, shadows
from stack.core.settings import Settings

PRUNED_AT_ONCE = 5000


def prune(settings: Settings, now: datetime) -> int:
    """Delete the predictions answered longer ago than the settings keep them; return their number.

    In many short transactions: an answer waits while another process writes. None is deleted on the word of a clock
    that has jumped.
    """
    id_, answered_at, database = predictions.c.id, predictions.c.answered_at, settings.state_database
    with engine(database).connect() as connection:
        newest = connection.execute(select(func.max(answered_at))).scalar()
    before = clock.oldest_kept(settings, now, newest and in_utc(newest))
    if before is None:
        return 0
    old = select(id_).where(answered_at < before.astimezone(UTC)).order_by(answered_at, id_).limit(PRUNED_AT_ONCE)
    pruned = 0
    while True:
        with engine(database).begin() as connection:
            connection.execute(delete(shadows).where(shadows.c.id.in_(old)))
            deleted = connection.execute(delete(predictions).where(id_.in_(old))).rowcount
        pruned += deleted
        if deleted < PRUNED_AT_ONCE:
            return pruned
