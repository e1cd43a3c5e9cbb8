"""Rows and batches that failed validation, kept aside with the reasons."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandas import DataFrame

from stack.core import files


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
        table.to_parquet(partial / f"{name}.parquet")
    (partial / "verdict.json").write_text(json.dumps(record, indent=1))
    partial.replace(folder)


def _supersede(folder: Path) -> None:
    """Delete the refused batches that begin where this one does: it contains their rows.

    A source that stays broken for weeks would otherwise fill the disk, as the window grows with each run.
    """
    since = folder.name.partition("_")[0]
    for verdict in folder.parent.glob(f"{since}_*/verdict.json"):
        if verdict.parent.name < folder.name and not json.loads(verdict.read_text())["accepted"]:
            shutil.rmtree(verdict.parent)
