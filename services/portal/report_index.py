"""Read what the flows have written for people: reports, quarantined batches, batches in the lake."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
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
    """The pages of a project: its drift reports, the last one, sweeps, and whether it has a replay page."""

    name: str
    count: int
    last: dict[str, Any] | None
    sweeps: list[str]
    """Newest first."""
    replay_page: bool


def index(settings: Settings, project: str) -> ReportIndex:
    """Return the pages of a project."""
    folder = settings.pages / project
    return ReportIndex(
        name=project,
        count=sum(1 for _ in folder.glob("*.json")),
        last=next(reports(settings, project), None),
        sweeps=sorted((page.name for page in folder.glob(pages.sweep("*"))), reverse=True),
        replay_page=(folder / pages.REPLAY).is_file(),
    )


def card(settings: Settings, project: str, version: str) -> str:
    """Return the address of the card of a version; empty when it has none."""
    name = pages.card(version)
    return f"/reports/{project}/{name}" if (settings.pages / project / name).is_file() else ""


def reports(settings: Settings, project: str) -> Iterator[dict[str, Any]]:
    """Yield the summaries of the reports, newest first: names of reports sort by their instants."""
    return (HEADLINE | summary for summary in _objects(settings.pages / project, "*.json"))


def quarantined(settings: Settings, project: str) -> dict[str, Any] | None:
    """Return the verdict on the last batch that was quarantined, whole or in part."""
    return next(refused_batches(settings, project), None)


def refused_batches(settings: Settings, project: str) -> Iterator[dict[str, Any]]:
    """Yield the verdicts on the batches that were quarantined, whole or in part, the newest first."""
    for verdict in _objects(settings.quarantine / project, "*/verdict.json"):
        yield verdict | {"href": data_docs(settings, verdict.get("page"))}


def data_docs(settings: Settings, page: str | None) -> str | None:
    """Return the path at which the portal serves a page of Data Docs, given its file; None if it does not exist."""
    file = settings.data_docs / (page or "")
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


def _objects(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in files by falling name; pass over a file that is gone or holds no object."""
    for path in sorted(folder.glob(pattern), reverse=True):
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            yield content
