"""How long the pages and quarantined batches of validation are kept."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from stack.project import Project
from stack.validation import data_docs


def forget(project: Project, before: datetime) -> int:
    """Delete pages and quarantined batches written before an instant of the wall clock; return their number."""
    old = [
        path
        for path in (project.settings.quarantine / project.spec.name).glob("*/verdict.json")
        if _older(path, before)
    ]
    for verdict in old:
        shutil.rmtree(verdict.parent)
    site = project.settings.data_docs / project.spec.name
    records = [path for path in (site / "validations").glob("*.json") if _older(path, before)]
    for record in records:
        record.with_suffix(".html").unlink(missing_ok=True)
        record.unlink()
    if records:
        data_docs.index(site, project.spec.name)
    return len(old) + len(records)


def _older(path: Path, instant: datetime) -> bool:
    return path.stat().st_mtime < instant.timestamp()
