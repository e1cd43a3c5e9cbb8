"""What the flows have left for people to look at: reports, quarantined batches, batches in the lake. Only reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from stack.core.settings import Settings
from stack.lake.windows import checked_out

INSTANT = "%Y%m%dT%H%M%SZ"
HEADLINE = {"headline": ["log_loss", "auc"]}
"""What a report shows that an older stack has left."""


@dataclass(frozen=True)
class Batches:
    """The batches of a project's lake: how many, and up to which instant."""

    count: int
    until: datetime


@dataclass(frozen=True)
class Shelf:
    """The pages of a project: how many drift reports, the last one, sweeps, and a replayed time."""

    name: str
    count: int
    last: dict[str, Any] | None
    sweeps: list[str]
    year: bool


def shelf(settings: Settings, project: str) -> Shelf:
    """Look which pages a project has."""
    count = sum(1 for _ in (settings.pages / project).glob("*.json"))
    last = next(iter(reports(settings, project)), None)
    return Shelf(project, count, last, sweeps(settings, project), year(settings, project))


def year(settings: Settings, project: str) -> bool:
    """Whether the page of a replayed time is written."""
    return (settings.pages / project / "year.html").is_file()


def reports(settings: Settings, project: str, limit: int = 1) -> list[dict[str, Any]]:
    """Summaries of the last reports, the newest first: names of reports sort as their instants do."""
    paths = sorted((settings.pages / project).glob("*.json"), reverse=True)
    return list(islice((HEADLINE | found for path in paths if (found := _read(path))), limit))


def sweeps(settings: Settings, project: str) -> list[str]:
    """Names of the pages that compare the trials of a sweep, the newest first."""
    return sorted((page.name for page in (settings.pages / project).glob("sweep-*.html")), reverse=True)


def quarantined(settings: Settings, project: str) -> dict[str, Any] | None:
    """The verdict on the last batch that went to quarantine, whole or in part."""
    verdicts = sorted((settings.quarantine / project).glob("*/verdict.json"), reverse=True)
    for path in verdicts:
        if found := _read(path):
            return found | {"href": data_docs(settings, found.get("page"))}
    return None


def data_docs(settings: Settings, page: str | None) -> str | None:
    """Where the portal serves a page of Data Docs, given its file; None when there is none."""
    if not page:
        return None
    file = Path(page) if Path(page).is_absolute() else settings.data_docs / page
    if not file.is_relative_to(settings.data_docs) or not file.is_file():
        return None
    return f"/docs/{file.relative_to(settings.data_docs).as_posix()}"


def batches(settings: Settings, project: str) -> Batches | None:
    """The batches that the lake's working tree holds; their file names carry their windows."""
    names = {path.stem for path in checked_out(settings.lake, project)}
    ends = [end for name in names if (end := _end(name))]
    return Batches(len(ends), max(ends)) if ends else None


def _end(batch: str) -> datetime | None:
    try:
        return datetime.strptime(batch.rpartition("_")[2], INSTANT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object; None when the file is gone by now or is no such thing."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
