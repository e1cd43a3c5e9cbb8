"""Jinja filters that format instants and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def instant(value: datetime | str | None) -> str:
    """Format an instant in UTC, to the minute; other text is returned unchanged."""
    if not value:
        return ""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    return (parsed.astimezone(UTC) if parsed.tzinfo else parsed).strftime("%Y-%m-%d %H:%M UTC")


def percent(value: float | None) -> str:
    """Format a share in percent."""
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """Format a score."""
    return "-" if value is None else f"{value:.4f}"


def figures(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the monitored metrics of a report's summary as text, by title; of an older release's, those it had."""
    shares = {"Features drifting": report.get("drift_share"), "Missing": report.get("missing_share")}
    return dict(report.get("figures") or {title: percent(share) for title, share in shares.items()})


FILTERS = {"instant": instant, "percent": percent, "number": number, "figures": figures}
