"""Read what the flows have written for people: reports, quarantined batches, batches in the lake."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from stack.core import pages
from stack.core.settings import Settings
from stack.lake.windows import checked_out

INSTANT = "%Y%m%dT%H%M%SZ"
HEADLINE = {"headline": ["log_loss", "auc"]}
"""Metrics shown for a report of an older stack."""


@dataclass(frozen=True)
class Batches:
    """The batches of a project's lake: how many, and up to which instant."""

    count: int
    until: datetime


@dataclass(frozen=True)
class ReportIndex:
    """The pages of a project: number of drift reports, the last one, sweeps, and whether it has a replay page."""

    name: str
    count: int
    last: dict[str, Any] | None
    sweeps: list[str]
    replay_page: bool


def index(settings: Settings, project: str) -> ReportIndex:
    """Return the pages of a project."""
    count = sum(1 for _ in (settings.pages / project).glob("*.json"))
    last = next(iter(reports(settings, project)), None)
    return ReportIndex(project, count, last, sweeps(settings, project), replay_page(settings, project))


def replay_page(settings: Settings, project: str) -> bool:
    """Return whether the page of a replayed period exists."""
    return (settings.pages / project / pages.REPLAY).is_file()


def reports(settings: Settings, project: str, limit: int = 1) -> list[dict[str, Any]]:
    """Return summaries of the last reports, newest first: names of reports sort by their instants."""
    paths = sorted((settings.pages / project).glob("*.json"), reverse=True)
    return list(islice((HEADLINE | found for path in paths if (found := _read(path))), limit))


def sweeps(settings: Settings, project: str) -> list[str]:
    """Return names of the pages that compare the trials of a sweep, newest first."""
    return sorted((page.name for page in (settings.pages / project).glob(pages.sweep("*"))), reverse=True)


def quarantined(settings: Settings, project: str) -> dict[str, Any] | None:
    """Return the verdict on the last batch that was quarantined, whole or in part."""
    verdicts = sorted((settings.quarantine / project).glob("*/verdict.json"), reverse=True)
    for path in verdicts:
        if found := _read(path):
            return found | {"href": data_docs(settings, found.get("page"))}
    return None


def data_docs(settings: Settings, page: str | None) -> str | None:
    """Return the path at which the portal serves a page of Data Docs, given its file; None if it does not exist."""
    if not page:
        return None
    file = Path(page) if Path(page).is_absolute() else settings.data_docs / page
    if not file.is_relative_to(settings.data_docs) or not file.is_file():
        return None
    return f"/docs/{file.relative_to(settings.data_docs).as_posix()}"


def batches(settings: Settings, project: str) -> Batches | None:
    """Return the batches in the lake's working tree; their file names contain their windows."""
    names = {path.stem for path in checked_out(settings.lake, project)}
    ends = [end for name in names if (end := _end(name))]
    return Batches(len(ends), max(ends)) if ends else None


def _end(batch: str) -> datetime | None:
    try:
        return datetime.strptime(batch.rpartition("_")[2], INSTANT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _read(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if the file is gone or holds no object."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
