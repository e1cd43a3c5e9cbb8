"""The page of a replayed period: one HTML file that asks nobody for anything."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from monitoring import drawing, pages
from monitoring.performance import NAMES, scores
from monitoring.year import Year
from stack.core.pages import REPLAY
from stack.core.settings import Settings

KINDS = {
    "live": "what callers were answered",
    "frozen": "the first champion, on the same features",
    "oracle": "the live recipe, fitted anew each week",
}


def save(settings: Settings, year: Year) -> Path:
    """Write the page beside the project's drift reports."""
    return pages.write(pages.folder(settings, year.spec.name) / REPLAY, html(year))


def html(year: Year) -> str:
    """Make the page."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape(), trim_blocks=True
    )
    templates.filters |= {
        "date": lambda value: f"{_instant(value):%-d %B %Y}",
        "minute": lambda value: f"{_instant(value):%Y-%m-%d %H:%M}",
        "number": lambda value: "-" if value is None else f"{value:.4f}",
        "percent": lambda value: "-" if value is None else f"{value:.0%}",
    }
    return templates.get_template(REPLAY).render(
        spec=year.spec,
        since=year.since,
        until=year.until,
        requests=year.requests,
        rows=int(year.weeks["rows"].sum()),
        kinds=KINDS,
        colours=drawing.COLOURS,
        scores=scores(year.spec),
        names={name: title.partition(" (")[0] for name, title in NAMES.items()},
        totals=year.totals,
        retrainings=year.retrainings,
        counts=Counter(one.kind for one in year.decisions if one.state == "done"),
        picture=drawing.svg(year),
        decisions=year.decisions,
        reviews=year.reviews,
    )


def _instant(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
