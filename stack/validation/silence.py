"""Sources that bring nothing: no error is raised, and the model knows less of the world each day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pandas import DataFrame

from stack.lake import lake
from stack.project import Project


def grown(project: Project, tables: Mapping[str, DataFrame], since: datetime, until: datetime) -> dict[str, datetime]:
    """Name the tables whose silence became longer than ``monitoring.max_silence``, or twice, thrice ... as long.

    Each multiple of it falls into one window, so that hourly batches give one alarm and not one an hour.

    Args:
        settings: the stack.
        spec: the project.
        tables: the batch of (since, until], which is in the lake.
        since: exclusive start of the window.
        until: inclusive end.

    Returns:
        Table -> until when it had rows.
    """
    silent = [name for name, table in project.spec.tables.items() if not table.snapshot and tables[name].empty]
    if not silent:
        return {}
    last = {name: project.spec.clock.start for name in silent} | lake.newest(project.settings, project.spec)
    limit = project.spec.monitoring.max_silence
    return {
        name: last[name]
        for name in silent
        if last[name] <= since and (since - last[name]) // limit < (until - last[name]) // limit
    }
