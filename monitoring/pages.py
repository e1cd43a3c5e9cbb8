"""Report pages: one HTML file a report, with a small summary beside it that the portal reads.

Evidently writes its whole library into each page, 3.5 of 5 MB; the pages share one copy of it, in ``assets``.
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from stack.core import files
from stack.core.errors import StackError
from stack.core.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
STYLE = (
    "font:15px/1.5 system-ui,sans-serif;padding:1rem 1.5rem;margin:0;color:#1b1f24;background:#fff;"
    "border-left:6px solid {colour}"
)
COLOURS = {"retrain": "#cf222e", "notice": "#bf8700", "none": "#1a7f37"}
UNDECIDED = "#6e7781"
EMPTY = "<!doctype html><html><head></head><body></body></html>"
"""The page of a window without rows, before its verdict."""


def folder(settings: Settings, project: str) -> Path:
    """Return the folder of a project's pages."""
    return settings.pages / project


def check(name: str) -> None:
    """Refuse a report name that is no plain file name.

    Raises:
        StackError: names the characters that are allowed.
    """
    if not NAME.fullmatch(name):
        raise StackError("report name", found=repr(name), expected="letters, digits, '.', '_' and '-'")


def save(settings: Settings, summary: dict[str, Any], html: str | None) -> None:
    """Write page and summary, each in one step, the summary last: a summary always has its page.

    Args:
        settings: the pages go to ``settings.pages``.
        summary: at least project, name, since, at and verdict {action, summary, reasons}.
        html: Evidently's page; None of a window without rows.
    """
    page = _with_verdict(_slim(settings, html) if html else EMPTY, summary)
    target = folder(settings, summary["project"]) / f"{summary['name']}.html"
    files.write(target, page, durable=True)
    files.write(target.with_name(f"{summary['name']}.json"), json.dumps(summary, indent=1), durable=True)


def _slim(settings: Settings, html: str) -> str:
    """Escape the data of Evidently's page, and let it share its library with all other pages."""
    from monitoring import _compat  # imports Evidently, 2 s that readers of summaries need not pay

    def link(library: str) -> str:
        """Return the address of the library's file beside the projects' folders."""
        file = settings.pages / "assets" / f"{hashlib.sha256(library.encode()).hexdigest()[:16]}.js"
        if not file.exists():
            files.write(file, library, durable=True)
        return f"../assets/{file.name}"

    return _compat.link_library(_compat.escape_data(html), link)


def summaries(settings: Settings, project: str) -> list[dict[str, Any]]:
    """Read the summaries of a project's reports, by rising instant."""
    reports = [json.loads(path.read_text()) for path in folder(settings, project).glob("*.json")]
    return sorted(reports, key=lambda summary: (datetime.fromisoformat(summary["at"]), summary["name"]))


def remove(settings: Settings, project: str, name: str) -> None:
    """Delete a report's summary and page."""
    for suffix in (".json", ".html"):
        (folder(settings, project) / f"{name}{suffix}").unlink(missing_ok=True)


def _with_verdict(html: str, summary: dict[str, Any]) -> str:
    """Put the policy's verdict and its numbers above Evidently's page."""
    verdict, instants = summary["verdict"], (datetime.fromisoformat(summary[key]) for key in ("since", "at"))
    since, until = (f"{instant.astimezone(UTC):%Y-%m-%d %H:%M}" for instant in instants)
    colour = COLOURS[verdict["action"]] if verdict["decided"] or verdict["action"] != "none" else UNDECIDED
    items = "".join(f"<li>{escape(reason['text'])}</li>" for reason in verdict["reasons"])
    banner = (
        f'<header id="verdict" style="{STYLE.format(colour=colour)}">'
        f"<strong>{escape(summary['project'])}, {since} to {until} UTC: "
        f'{escape(verdict["summary"])}</strong><ul style="margin:.4rem 0">{items}</ul>'
        '<a href="./" style="color:inherit">all reports</a></header>'
    )
    title = f"<title>{escape(summary['project'])} · drift report {escape(summary['name'])}</title>"
    return html.replace("<head>", f"<head>{title}", 1).replace("<body>", f"<body>{banner}", 1)
