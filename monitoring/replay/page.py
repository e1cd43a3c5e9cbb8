"""The page of a replayed period: one self-contained HTML file."""

from collections import Counter
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from monitoring import pages
from monitoring.replay import plots
from monitoring.replay.period import Period
from stack.core import files
from stack.core.pages import REPLAY
from stack.core.settings import Settings
from stack.training.evaluation import NAMES, scores

KINDS = {
    "live": "the answers that callers received",
    "frozen": "the first champion, on the same features",
    "oracle": "the live recipe, refitted each week",
}


def save(settings: Settings, period: Period) -> Path:
    """Write the page beside the project's drift reports."""
    path = pages.folder(settings, period.spec.name) / REPLAY
    files.write(path, html(period), durable=True)
    return path


def html(period: Period) -> str:
    """Render the page."""
    return (
        templates()
        .get_template(REPLAY)
        .render(
            spec=period.spec,
            since=period.since,
            until=period.until,
            requests=period.requests,
            rows=int(period.weeks["rows"].sum()),
            kinds=KINDS,
            colours=plots.COLOURS,
            scores=scores(period.spec),
            names={name: title.partition(" (")[0] for name, title in NAMES.items()},
            totals=period.totals,
            retrainings=period.retrainings,
            counts=Counter(entry.kind for entry in period.decisions if entry.state == "done"),
            plot=plots.svg(period),
            decisions=period.decisions,
            reviews=period.reviews,
        )
    )


def templates() -> Environment:
    """Return the templates of the pages about a replay, with their filters."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape(), trim_blocks=True
    )
    environment.filters |= {
        "date": lambda value: f"{_instant(value):%-d %B %Y}",
        "minute": lambda value: f"{_instant(value):%Y-%m-%d %H:%M}",
        "number": lambda value: "-" if value is None else f"{value:.4f}",
        "seconds": lambda value: f"{value:,.1f}",
        "percent": lambda value: "-" if value is None else f"{value:.0%}",
    }
    return environment


def _instant(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
