"""Report pages: one HTML file a report, with a small summary beside it that the portal reads.

Evidently writes its whole library into each page, 3.5 of 5 MB; the pages share one copy of it, in ``assets``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from stack.core.errors import StackError
from stack.core.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
STYLE = (
    "font:15px/1.5 system-ui,sans-serif;padding:1rem 1.5rem;margin:0;color:#1b1f24;background:#fff;"
    "border-left:6px solid {colour}"
)
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
LIBRARY = 1_000_000
"""Characters; a script of the body that is longer is the same in every page."""
COLOURS = {"retrain": "#cf222e", "notice": "#bf8700", "none": "#1a7f37"}


def folder(settings: Settings, project: str) -> Path:
    """Where the pages of a project lie."""
    return settings.pages / project


def check(name: str) -> None:
    """Refuse a report name that is no plain file name.

    Raises:
        StackError: says what a name may hold.
    """
    if not NAME.fullmatch(name):
        raise StackError("report name", found=repr(name), expected="letters, digits, '.', '_' and '-'")


def save(settings: Settings, summary: dict[str, Any], html: str | None) -> Path:
    """Write page and summary, each in one step, the summary last: a summary always has its page.

    Args:
        settings: ``pages`` is where to.
        summary: at least project, name, at, title and verdict {action, reasons}.
        html: Evidently's page; None when there were no rows to make one of.
    """
    place = folder(settings, summary["project"])
    page = place / f"{summary['name']}.html"
    whole = _with_verdict(html or "<!doctype html><html><body></body></html>", summary)
    write(page, _shared(settings.pages / "assets", whole))
    write(place / f"{summary['name']}.json", json.dumps(summary, indent=1))
    return page


def summaries(settings: Settings, project: str) -> list[dict[str, Any]]:
    """The summaries of a project's reports, by rising instant."""
    found = [json.loads(path.read_text()) for path in folder(settings, project).glob("*.json")]
    return sorted(found, key=lambda summary: (datetime.fromisoformat(summary["at"]), summary["name"]))


def remove(settings: Settings, project: str, name: str) -> None:
    """Delete a report's summary and page."""
    for suffix in (".json", ".html"):
        (folder(settings, project) / f"{name}{suffix}").unlink(missing_ok=True)


def write(path: Path, text: str) -> Path:
    """Replace a file in one step; the partial one has a name that nothing reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def _shared(assets: Path, html: str) -> str:
    """Put the library of a page into a file beside the projects' folders; the data, in its head, stay in it."""
    head, mark, body = html.partition("<body>")

    def linked(script: re.Match[str]) -> str:
        if len(script[1]) < LIBRARY:
            return script[0]
        file = assets / f"{hashlib.sha256(script[1].encode()).hexdigest()[:16]}.js"
        if not file.exists():
            write(file, script[1])
        return f'<script src="../assets/{file.name}"></script>'

    return head + mark + SCRIPT.sub(linked, body)


def _minute(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M}"


def _with_verdict(html: str, summary: dict[str, Any]) -> str:
    """Put the policy's verdict and its numbers above Evidently's page."""
    verdict = summary["verdict"]
    items = "".join(f"<li>{escape(reason['text'])}</li>" for reason in verdict["reasons"])
    banner = (
        f'<header id="verdict" style="{STYLE.format(colour=COLOURS[verdict["action"]])}">'
        f"<strong>{escape(summary['project'])}, {_minute(summary['since'])} to {_minute(summary['at'])} UTC: "
        f'{escape(verdict["summary"])}</strong><ul style="margin:.4rem 0">{items}</ul>'
        '<a href="./" style="color:inherit">all reports</a></header>'
    )
    title = f"<title>{escape(summary['project'])} · drift report {escape(summary['name'])}</title>"
    html = html.replace("<head>", f"<head>{title}", 1)
    return html.replace("<body>", f"<body>{banner}", 1)
