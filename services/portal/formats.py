"""Jinja filters that format instants and numbers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import floor, log10
from typing import Any

from markupsafe import Markup

from services.portal.documents import MARKDOWN

TITLES = {"auc": "AUC", "log_loss": "Log-loss", "brier": "Brier", "rmse": "RMSE", "mae": "MAE", "r2": "R²"}
"""How metrics are written; others by their name."""


def instant(value: datetime | str | None) -> str:
    """Format an instant in UTC, to the minute; other text is returned unchanged."""
    if not value:
        return ""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    return (parsed.astimezone(UTC) if parsed.tzinfo else parsed).strftime("%Y-%m-%d %H:%M UTC")


def whole(text: str, most: int) -> int:
    """Read a number without a sign, as addresses and forms have it; 0 where the text is none, `most` at most."""
    return min(int(text), most) if text.isdecimal() and len(text) <= len(str(most)) else most * text.isdecimal()


def number(value: float | None) -> str:
    """Format a score."""
    return "-" if value is None else f"{value:.4f}"


def quantity(value: float | None) -> str:
    """Format a number of any size with four significant digits, and without trailing zeros."""
    if value is None:
        return "-"
    digits = min(max(3 - floor(log10(abs(value))), 0), 8) if value else 0
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def titled(metric: str) -> str:
    """Return the display name of a metric."""
    return TITLES.get(metric) or metric.replace("_", " ").capitalize()


def figures(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the monitored metrics of a report's summary as text, by title; of an older release's, those it had."""
    shares = {"Features drifting": report.get("drift_share"), "Missing": report.get("missing_share")}
    texts = {title: "-" if share is None else f"{share:.1%}" for title, share in shares.items()}
    return dict(report.get("figures") or texts)


def verdict(report: Mapping[str, Any]) -> Markup:
    """Format the verdict of a report as a tag: what follows, ``quiet``, or that the rows were too few to say."""
    action, decided = report["verdict"]["action"], report["verdict"].get("decided", True)
    name = action if action != "none" or decided else "undecided"
    text = {"none": "quiet", "undecided": "too few to say"}.get(name, name)
    return Markup('<span class="tag {}" title="{}">{}</span>').format(name, report["verdict"]["summary"], text)


def since_1970(seconds: float) -> datetime:
    """Return the instant of a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def prose(text: str) -> Markup:
    """Render a line of Markdown, in which HTML is escaped."""
    return Markup(MARKDOWN.renderInline(text))  # noqa: S704  # the renderer escapes


FILTERS = {
    "prose": prose,
    "instant": instant,
    "since_1970": since_1970,
    "number": number,
    "quantity": quantity,
    "titled": titled,
    "figures": figures,
    "verdict": verdict,
}
