"""What the charts of a project show: quality, drift and traffic over time, beside its decisions and alarms."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.portal.alarms import Alarm
from services.portal.formats import titled
from services.portal.history import HALF_HOUR, Series
from services.portal.sampler import HALF, MOST, REQUESTS
from stack.promotion.decisions import Entry

MARKED = ("promote", "rollback", "refuse")
"""Decisions that a chart marks."""


def charts(
    reports: Sequence[dict[str, Any]], decisions: Sequence[Entry], alarms: Sequence[Alarm] = ()
) -> dict[str, Any]:
    """Return the charts of a project as data for the browser.

    Args:
        reports: summaries, the newest first.
        decisions: in the order of time.
        alarms: likewise.

    Returns:
        ``times`` (seconds since 1970), ``charts``: a list of title, share (whether values are shares) and lines, each
        with a name and a value or None for each time; ``marks``: instant, kind and text of each decision and alarm.
    """
    oldest_first = list(reversed(reports))
    times = [datetime.fromisoformat(report["at"]).timestamp() for report in oldest_first]
    headline = oldest_first[-1]["headline"][:3] if oldest_first else []
    quality: list[dict[str, Any]] = [
        {"title": titled(metric), "lines": [_line(oldest_first, titled(metric), "performance", metric), *estimated]}
        for metric in headline
        for estimated in [[_line(oldest_first, "Estimated", "measured", "estimated_loss")] if "loss" in metric else []]
    ]
    others: list[dict[str, Any]] = [
        {"title": "Features drifting", "share": True, "lines": [_line(oldest_first, "Share", "", "drift_share")]},
        {"title": "Missing values", "share": True, "lines": [_line(oldest_first, "Share", "", "missing_share")]},
        {"title": "Rows", "lines": [_line(oldest_first, "Answered", "", "rows")]},
    ]
    shown = [chart for chart in [*quality, *others] if any(_known(line) for line in chart["lines"])]
    for chart in shown:
        chart["lines"] = [line for line in chart["lines"] if _known(line)]
    marks = [_mark(entry.at, entry) for entry in _marked(decisions)]
    marks += [{"at": alarm.at.timestamp(), "kind": "alarm", "text": alarm.kind} for alarm in alarms]
    return {"times": times, "charts": shown, "marks": marks}


def traffic(week: Sequence[Series], decisions: Sequence[Entry], alarms: Sequence[Alarm]) -> dict[str, Any]:
    """Return the charts of a project's requests and their latency on the wall clock, like :func:`charts`.

    Args:
        week: the samples of the last week.
        decisions: in the order of time.
        alarms: likewise.
    """
    points = {series.title: dict(series.points) for series in week}
    known = sorted({at for title in (REQUESTS, HALF, MOST) for at in points.get(title, ())})
    times = [*range(int(known[0]), int(known[-1]) + 1, HALF_HOUR)] if known else []
    named = {REQUESTS: {"Requests": REQUESTS}, "Time to answer, ms": {"Half within": HALF, "99 % within": MOST}}
    shown: list[dict[str, Any]] = [
        {
            "title": title,
            "gaps": True,
            "lines": [
                {"name": name, "values": [points.get(of, {}).get(at) for at in times]} for name, of in lines.items()
            ],
        }
        for title, lines in named.items()
    ]
    marks = [_mark(entry.decided_at, entry) for entry in _marked(decisions)]
    marks += [{"at": alarm.made.timestamp(), "kind": "alarm", "text": alarm.kind} for alarm in alarms]
    return {
        "times": times,
        "charts": [chart for chart in shown if any(_known(line) for line in chart["lines"])],
        "marks": marks,
    }


def _marked(decisions: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in decisions if entry.kind in MARKED and entry.state != "void"]


def _mark(at: datetime, entry: Entry) -> dict[str, Any]:
    return {"at": at.timestamp(), "kind": entry.kind, "text": f"{entry.kind} {entry.version}"}


def _line(reports: Sequence[dict[str, Any]], name: str, section: str, key: str) -> dict[str, Any]:
    """Return a line: the values of a key of the reports, or of a section of theirs."""
    parts = [(report.get(section) or {}) if section else report for report in reports]
    return {"name": name, "values": [part.get(key) for part in parts]}


def _known(line: dict[str, Any]) -> bool:
    return any(value is not None for value in line["values"])
