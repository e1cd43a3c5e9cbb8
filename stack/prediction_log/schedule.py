"""How far the scheduled predictions of a project have come."""

from datetime import UTC, datetime

from sqlalchemy import select

from stack.core.database import engine, in_utc, scheduled, upsert


def predicted_until(database: str, project: str) -> datetime | None:
    """Return the end of the last window whose requests were answered; None before the first."""
    with engine(database).connect() as connection:
        until = connection.execute(select(scheduled.c.until).where(scheduled.c.project == project)).scalar()
    return in_utc(until) if until else None


def mark_predicted(database: str, project: str, until: datetime) -> None:
    """Note that the requests up to an instant are answered."""
    with engine(database).begin() as connection:
        upsert(connection, scheduled, {"project": project, "until": until.astimezone(UTC)})
