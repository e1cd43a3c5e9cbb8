"""The two clocks: ``wall`` is now, ``replay`` is a stored instant that a replay advances.

No function of the stack calls ``now()`` for itself: the border (a flow, a request) asks here once and passes the
instant on.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, insert, select

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.core.state import clocks, engine
from stack.specification.project import ProjectSpec


def now(settings: Settings, spec: ProjectSpec) -> datetime:
    """The project's present instant, UTC. A replay that has not begun stands at ``clock.start``."""
    if spec.clock.kind == "wall":
        return datetime.now(UTC)
    with engine(settings.state_database).connect() as connection:
        stored = connection.execute(select(clocks.c.now).where(clocks.c.project == spec.name)).scalar()
    return _utc(stored) if stored else spec.clock.start


def advance(settings: Settings, spec: ProjectSpec, to: datetime) -> datetime:
    """Move a replay clock forward; an instant already reached changes nothing.

    Returns:
        The instant the clock stands at.

    Raises:
        StackError: the project runs on the wall clock.
    """
    if spec.clock.kind == "wall":
        raise StackError(
            f"projects/{spec.name}/project.yaml, key clock.kind",
            found="wall",
            expected="replay, as only a replayed clock can be moved",
        )
    with engine(settings.state_database).begin() as connection:
        stored = connection.execute(select(clocks.c.now).where(clocks.c.project == spec.name)).scalar()
        reached = _utc(stored) if stored else spec.clock.start
        if to.astimezone(UTC) <= reached and stored:
            return reached
        connection.execute(delete(clocks).where(clocks.c.project == spec.name))
        connection.execute(insert(clocks).values(project=spec.name, now=to.astimezone(UTC)))
    return to.astimezone(UTC)


def _utc(stored: datetime) -> datetime:
    """SQLite gives instants back without their zone, PostgreSQL in the session's."""
    return stored.astimezone(UTC) if stored.tzinfo else stored.replace(tzinfo=UTC)
