"""Rows and batches that failed validation, kept aside with the reasons."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from stack.core import files
from stack.validation.findings import Findings
from stack.validation.plan import Batch


def keep(folder: Path, batch: Batch, findings: Findings, record: dict[str, Any]) -> None:
    """Keep the rows taken out, or the whole refused batch, with the verdict; replace an earlier one in one step.

    Args:
        folder: of the batch, below the project's quarantine.
        record: the content of ``verdict.json``.
    """
    partial = files.partial(folder)
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    _supersede(folder)
    if not any(record["quarantined"].values()) and record["accepted"]:
        return
    partial.mkdir(parents=True)
    for name, table in batch.tables.items():
        if record["quarantined"][name]:
            out = table.loc[findings.wrong(name)] if record["accepted"] else table
            out.to_parquet(partial / f"{name}.parquet")
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
