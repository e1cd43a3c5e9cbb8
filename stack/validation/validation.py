"""Check a batch with Great Expectations: take wrong rows out, or refuse the batch, and write its Data Docs page.

A project's ``checks.py`` gives ``COLUMNS`` (the columns of each raw table), ``HISTORY`` (how much accepted data it
compares with), ``prepare(tables, history, since, until)``, the frames to look at, and ``suites()``, the expectations
of each frame. An expectation's ``severity`` is critical or warning. Its ``meta["scope"]`` is ``batch``, or ``row``
where rows that fail are taken out as long as its ``mostly`` holds. Keys, columns and the window are checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from stack.lake import lake
from stack.project import Project
from stack.validation import _compat, data_docs, plan, quarantine, retention
from stack.validation.findings import Findings
from stack.validation.plan import Batch, Tables


@dataclass(frozen=True)
class BatchResult:
    """The outcome of a batch's validation."""

    accepted: bool
    tables: dict[str, pd.DataFrame]
    """The clean rows; empty when the batch is refused."""
    quarantined_rows: int
    """Rows taken out of an accepted batch; all its rows when it is refused."""
    failures: list[str]
    """Why the batch is refused; each names the table and column, what was found and what was expected."""
    warnings: list[str]
    page: Path
    """The validation's Data Docs page."""


def history(project: Project, until: datetime) -> Tables:
    """Read the rows that a batch is compared with: those of ``checks.HISTORY`` before it; snapshot tables whole.

    A table without any has no columns yet, so it is left out.
    """
    tables = project.lake.recent(until - project.checks.HISTORY, until)
    return {name: frame for name, frame in tables.items() if len(frame)}


def validate(
    project: Project,
    tables: Tables,
    history: Tables,
    since: datetime,
    until: datetime,
    made: datetime | None = None,
) -> BatchResult:
    """Check the rows that became known in (since, until]; validating a batch again replaces its page and quarantine.

    Args:
        project: its settings name the folders of Data Docs and quarantine.
        tables: raw tables of the batch.
        history: accepted rows of the project's ``checks.HISTORY`` before `since`; may be empty.
        since: exclusive start of the window.
        until: inclusive end.
        made: instant on the wall clock; pages and quarantine older than ``keep_days`` are deleted when it is given.
    """
    rows = {name: tables.get(name, pd.DataFrame()).reset_index(drop=True) for name in project.spec.tables}
    batch = Batch(rows, history, since, until)
    planned = plan.make(project, batch)
    results = _compat.validate(planned.frames, planned.suites)
    findings = Findings()
    for name, frame_results in results.items():
        for result in frame_results:
            findings.add(name, planned.frames[name], result)

    record, settings = _record(project, batch, findings), project.settings
    if planned.whole:
        data_docs.publish_suite(settings.data_docs, project.name, planned.suites)
    page = data_docs.publish(settings.data_docs, project.name, record["batch"], results, record)
    quarantine.keep(settings.quarantine / project.name / record["batch"], batch, findings, record)
    if made:
        retention.forget(project, made - timedelta(days=settings.keep_days))
    accepted = not findings.failures
    return BatchResult(
        accepted=accepted,
        tables=_without_wrong_rows(batch, findings) if accepted else {},
        quarantined_rows=sum(record["quarantined"].values()),
        failures=findings.failures,
        warnings=findings.warnings,
        page=page,
    )


def _without_wrong_rows(batch: Batch, findings: Findings) -> dict[str, pd.DataFrame]:
    return {name: table.drop(index=findings.wrong(name)).reset_index(drop=True) for name, table in batch.tables.items()}


def _record(project: Project, batch: Batch, findings: Findings) -> dict[str, Any]:
    """Return the content of ``verdict.json``."""
    name = lake.batch_id(batch.since, batch.until)
    rows = {table: len(frame) for table, frame in batch.tables.items()}
    return {
        "project": project.name,
        "batch": name,
        "since": batch.since.astimezone(UTC).isoformat(),
        "until": batch.until.astimezone(UTC).isoformat(),
        "accepted": not findings.failures,
        "failures": findings.failures,
        "warnings": findings.warnings,
        "rows": rows,
        "quarantined": rows if findings.failures else {table: len(findings.wrong(table)) for table in rows},
        "page": f"{project.name}/validations/{name}.html",
    }
