"""How instants and shares read on a page."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(value: datetime | str | None) -> str:
    """An instant in UTC, to the minute; a text that is none stays as it is."""
    if not value:
        return ""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    return (parsed.astimezone(UTC) if parsed.tzinfo else parsed).strftime("%Y-%m-%d %H:%M UTC")


def percent(value: float | None) -> str:
    """A share in percent."""
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """A score."""
    return "-" if value is None else f"{value:.4f}"


FILTERS = {"instant": instant, "percent": percent, "number": number}
