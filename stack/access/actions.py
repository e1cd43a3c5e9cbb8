"""The audit of what people did in the browser: who, when, what, and what came of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select

from stack.core import database
from stack.core.database import in_utc


@dataclass(frozen=True)
class Action:
    """What a person did."""

    caller: str
    """Who: the name of the login, and the address where it is not this machine's."""
    project: str
    """Name of a project; empty for an action on the whole stack."""
    action: str
    parameters: Mapping[str, Any]
    outcome: str
    """What was started, or why nothing was."""
    at: datetime
    """On the wall clock."""


def record(url: str, action: Action) -> None:
    """Add an action to the audit in the database at `url`."""
    outcome = action.outcome.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL's texts hold none
    row = {**vars(action), "parameters": dict(action.parameters), "outcome": outcome, "at": action.at.astimezone(UTC)}
    with database.engine(url).begin() as connection:
        connection.execute(insert(database.actions).values(row))


def happened(url: str, actions: Collection[str]) -> bool:
    """Return whether any of these actions has ever been taken, with success or not."""
    table = database.actions
    with database.engine(url).connect() as connection:
        return (
            connection.execute(select(table.c.number).where(table.c.action.in_(actions)).limit(1)).first() is not None
        )


def entries(url: str, project: str | None = None, last: int = 20) -> list[Action]:
    """Return the last actions on a project, or on anything without one, oldest first."""
    table = database.actions
    query = select(table).order_by(table.c.number.desc()).limit(last)
    if project is not None:
        query = query.where(table.c.project == project)
    with database.engine(url).connect() as connection:
        rows = connection.execute(query).all()
    return [
        Action(row.caller, row.project, row.action, row.parameters, row.outcome, in_utc(row.at)) for row in rows[::-1]
    ]
