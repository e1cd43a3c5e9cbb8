"""Rows and batches that failed validation, kept aside with the reasons."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stack.core import files
from stack.core.problems import Problem
from stack.core.settings import Settings
from stack.specification import frames

if TYPE_CHECKING:  # the portal needs no pandas
    from pandas import DataFrame

SILENCE = "silence-"
"""Start of the name of a project's record of tables whose source has gone silent."""
PUSHED, PUSHED_BYTES = "pushed-", 100_000_000
"""Start of the name of a file of pushed rows that were refused, and its size."""


def keep(folder: Path, tables: Mapping[str, DataFrame], record: dict[str, Any]) -> None:
    """Keep the rows of a batch that are not accepted, with the verdict; replace an earlier one in one step."""
    partial = files.partial(folder)
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    _supersede(folder)
    tables = {name: table for name, table in tables.items() if len(table)}
    if not tables and record["accepted"]:
        return
    partial.mkdir(parents=True)
    for name, table in tables.items():
        _storable(table).to_parquet(partial / f"{name}.parquet")
    (partial / "verdict.json").write_text(json.dumps(record, indent=1))
    partial.replace(folder)


def keep_pushed(settings: Settings, project: str, rows: Iterable[Mapping[str, Any]], at: datetime) -> None:
    """Keep pushed rows that were refused, as they came, with what is wrong, in a file a day; no more than a limit."""
    file = settings.quarantine / project / f"{PUSHED}{at:%Y-%m-%d}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        if lines.tell() < PUSHED_BYTES:
            lines.writelines(json.dumps({"at": at.isoformat(), **row}) + "\n" for row in rows)


def _storable(table: DataFrame) -> DataFrame:
    """Return rows with columns of several types, as of text among numbers, as text."""
    objects = {str(name): values for name, values in table.items() if values.dtype == object}
    mixed = {name: values for name, values in objects.items() if len({*map(type, values.dropna())}) > 1}
    return frames.with_columns(table, {name: values.map(str, na_action="ignore") for name, values in mixed.items()})


def _supersede(folder: Path) -> None:
    """Delete the refused batches that begin where this one does: it contains their rows.

    A source that stays broken for weeks would otherwise fill the disk, as the window grows with each run.
    """
    since = folder.name.partition("_")[0]
    for verdict in folder.parent.glob(f"{since}_*/verdict.json"):
        if verdict.parent.name < folder.name and not json.loads(verdict.read_text())["accepted"]:
            shutil.rmtree(verdict.parent)


def refused(settings: Settings, project: str, since: datetime) -> Iterator[Problem]:
    """Yield the refused batch of a project that no good one has followed, if it was refused after an instant."""
    for verdict in sorted((settings.quarantine / project).glob("*/verdict.json"), reverse=True)[:1]:
        try:
            record = json.loads(verdict.read_text())
        except (OSError, ValueError):  # deleted meanwhile, or cut off by a power cut
            continue
        if not record.get("accepted", True) and verdict.stat().st_mtime >= since.timestamp():
            yield refusal(project, record["failures"])


def refusal(project: str, failures: list[str]) -> Problem:
    """Return the refusal of a batch as a problem."""
    todo = f"read the batch's page of Data Docs, fix the source, then `make ingest PROJECT={project}`"
    return Problem(f"{project}: batch refused", "; ".join(failures), todo)
