"""A batch on its way from the source to the lake: fetched, validated, accepted or refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pandas import DataFrame

from stack.core import alerts
from stack.core.errors import StackError
from stack.project import Project
from stack.validation import freshness, snapshots, validation
from stack.validation.validation import BatchResult

Tables = Mapping[str, DataFrame]


class BatchRefusedError(StackError):
    """A batch does not meet its expectations: it is in quarantine and nothing downstream has changed."""


def fetch(project: Project, since: datetime, until: datetime) -> Tables:
    """Return the rows that became known in (since, until]; of snapshot tables, those that are new or changed."""
    return snapshots.batch(project, project.source.fetch(since, until), since, until)


def validate(project: Project, tables: Tables, since: datetime, until: datetime) -> BatchResult:
    """Check a batch against the accepted rows before it; a refused one is put into quarantine."""
    past = validation.history(project, since)
    return validation.validate(project, tables, past, since, until, datetime.now(UTC))


def examine(project: Project, since: datetime, until: datetime) -> BatchResult:
    """Fetch and validate a batch."""
    return validate(project, fetch(project, since, until), since, until)


def page_url(project: Project, result: BatchResult) -> str:
    """Return the address of a batch's Data Docs page."""
    return f"{project.settings.link('portal')}/docs/{result.page.relative_to(project.settings.data_docs)}"


def summary(result: BatchResult) -> str:
    """Return the failures and warnings of a batch as a Markdown list."""
    lines = [*(f"- **refused** {f}" for f in result.failures), *(f"- warning: {w}" for w in result.warnings)]
    return "\n".join(lines) or "- every expectation holds"


def require_accepted(project: Project, result: BatchResult) -> None:
    """Alert about a refused batch.

    Raises:
        BatchRefusedError: it is refused.
    """
    if result.accepted:
        return
    alerts.notify(project.settings, f"{project.name}: batch refused", summary(result))
    raise BatchRefusedError(
        f"project {project.name}, batch quarantined",
        found="; ".join(result.failures),
        expected="a batch that meets the expectations of checks.py",
        todo=f"read {page_url(project, result)}, fix the source and run `make ingest PROJECT={project.name}` again",
    )


def alert_stale(project: Project, tables: Tables, since: datetime, until: datetime) -> None:
    """Alert about the tables whose source has delivered no rows for long; the batch is in the lake."""
    for table, last in freshness.newly_stale(project, tables, since, until).items():
        text = f"The last row of {table} arrived at {last:%Y-%m-%d %H:%M} UTC. Check its source."
        alerts.notify(project.settings, f"{project.name}: no new rows", text)
