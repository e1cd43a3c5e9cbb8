"""What the card of a project shows of the recent past: quality against the naive answer, and requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from services.portal import report_index, sparklines
from services.portal.sparklines import Frame
from stack.core.settings import Settings
from stack.prediction_log import logged
from stack.project import Project

REPORTS = 40
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Quality:
    """The skill of the champion in the last reports that have labels: 1 is without error, 0 the naive answer."""

    path: str
    """Of a line, for a `d` of SVG."""
    naive: float
    """Height of the naive answer in the same picture."""
    reports: int
    last: float


@dataclass(frozen=True)
class Recent:
    """The recent past of a project."""

    quality: Quality | None
    """None without a report that has labels."""
    predictions: int
    """In the log, asked in the last seven days on the project's clock."""
    unlabelled: int
    """Of these, those without a label."""


def recent(settings: Settings, name: str) -> Recent:
    """Return the recent past of a project."""
    project = Project.open(name, settings)
    reports = [*islice(report_index.reports(settings, name), REPORTS)][::-1]
    return Recent(
        quality(reports, project.task.skill),
        *logged.since(settings.state_database, name, project.clock.now() - WEEK),
    )


def quality(reports: Sequence[Mapping[str, Any]], skill: str) -> Quality | None:
    """Return the skill of reports.

    Args:
        reports: summaries, oldest first.
        skill: name of the metric.
    """
    measured = [(report["at"], (report.get("performance") or {}).get(skill)) for report in reports]
    points = [(datetime.fromisoformat(at).timestamp(), value) for at, value in measured if value is not None]
    if not points:
        return None
    values = [0.0, *(value for _, value in points)]
    frame = Frame(points[0][0], points[-1][0], min(values), max(values))
    return Quality(sparklines.path(points, frame), frame.y(0.0), len(points), values[-1])
