"""What the charts of a project show: quality, drift and traffic over time, from its reports, beside its decisions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.portal.formats import titled
from stack.promotion.decisions import Entry

MARKED = ("promote", "rollback", "refuse")
"""Decisions that a chart marks."""


def charts(reports: Sequence[dict[str, Any]], decisions: Sequence[Entry]) -> dict[str, Any]:
    """Return the charts of a project as data for the browser.

    Args:
        reports: summaries, the newest first.
        decisions: in the order of time.

    Returns:
        ``times`` (seconds since 1970), ``charts``: a list of title, share (whether values are shares) and lines, each
        with a name and a value or None for each time; ``marks``: instant, kind and text of each decision.
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
    marks = [
        {"at": entry.at.timestamp(), "kind": entry.kind, "text": f"{entry.kind} {entry.version}"}
        for entry in decisions
        if entry.kind in MARKED and entry.state != "void"
    ]
    return {"times": times, "charts": shown, "marks": marks}


def _line(reports: Sequence[dict[str, Any]], name: str, section: str, key: str) -> dict[str, Any]:
    """Return a line: the values of a key of the reports, or of a section of theirs."""
    parts = [(report.get(section) or {}) if section else report for report in reports]
    return {"name": name, "values": [part.get(key) for part in parts]}


def _known(line: dict[str, Any]) -> bool:
    return any(value is not None for value in line["values"])
