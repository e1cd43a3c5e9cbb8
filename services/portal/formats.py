"""Jinja filters that format instants and numbers."""

from __future__ import annotations

from datetime import UTC, datetime


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


FILTERS = {"instant": instant, "percent": percent, "number": number}
