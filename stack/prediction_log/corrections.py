"""The newest correction of each version's intervals."""

from datetime import UTC, datetime

from sqlalchemy import select

from stack.core.database import corrections, engine, upsert


def newest(database: str, project: str, version: str) -> float | None:
    """Return the newest correction of a version; None before the first."""
    query = select(corrections.c.correction)
    query = query.where(corrections.c.project == project, corrections.c.model_version == version)
    with engine(database).connect() as connection:
        found: float | None = connection.execute(query).scalar()
    return found


def write(database: str, project: str, version: str, correction: float, rows: int, at: datetime) -> None:
    """Replace the correction of a version.

    Args:
        rows: number of labelled answers that it is from.
        at: their last instant, on the project's clock.
    """
    row = {"project": project, "model_version": version, "correction": correction, "rows": rows}
    with engine(database).begin() as connection:
        upsert(connection, corrections, row | {"at": at.astimezone(UTC)})
