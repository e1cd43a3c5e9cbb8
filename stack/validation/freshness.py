"""Tables of which no row has arrived for long: nothing fails, and the model is trained on older data each day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pandas import DataFrame

from stack.project import Project


def newly_stale(
    project: Project, tables: Mapping[str, DataFrame], since: datetime, until: datetime
) -> dict[str, datetime]:
    """Return the tables that became stale in (since, until]: no row for ``monitoring.max_silence``.

    Each multiple of it falls into one window, so that hourly batches raise one alarm and not one an hour.

    Args:
        tables: the batch of (since, until], which is in the lake.

    Returns:
        Table -> instant of its last row.
    """
    empty = [name for name, table in project.spec.tables.items() if not table.snapshot and tables[name].empty]
    if not empty:
        return {}
    last = {name: project.spec.clock.start for name in empty} | project.lake.newest()
    limit = project.spec.monitoring.max_silence
    return {
        name: last[name]
        for name in empty
        if last[name] <= since and (since - last[name]) // limit < (until - last[name]) // limit
    }
