"""How many predictions the log holds."""

from sqlalchemy import func, select

from stack.core.database import engine, predictions


def rows(database: str) -> dict[str, int]:
    """Return the number of rows, project -> rows."""
    query = select(predictions.c.project, func.count()).group_by(predictions.c.project)
    with engine(database).connect() as connection:
        return {str(project): int(count) for project, count in connection.execute(query)}
