"""A batch on its way from the source to the lake: fetched, validated, accepted or refused; and sources gone silent."""

from datetime import UTC, datetime
from itertools import pairwise

import pandas as pd

from stack.core import alerts, clock, problems
from stack.core.errors import StackError
from stack.core.problems import Problem
from stack.lake import contents
from stack.project import Project
from stack.project.contract import KeepingSource, SplitSource, Tables
from stack.specification import frames
from stack.specification.sections import Table
from stack.specification.specs import ProjectSpec
from stack.validation import missing_columns, quarantine, validation
from stack.validation.validation import BatchResult


class BatchRefusedError(StackError):
    """A batch does not meet its expectations: it is in quarantine and nothing downstream has changed."""


def windows(project: Project, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Split (since, until] into the windows of batches: one, unless the project's source splits it."""
    source = project.source
    ends = source.split(since, until) if isinstance(source, SplitSource) else []
    return list(pairwise([since, *ends, until]))


def fetch(project: Project, since: datetime, until: datetime) -> Tables:
    """Return the rows that became known in (since, until].

    The source delivers a snapshot table whole: of its rows, those that the lake lacked at `since` are the batch, and
    they are known from `until` on. A row with a known key and other values is new as well, and replaces the former one
    from `until` on. A row that is no longer in the source stays in the lake.

    ``attrs["changed"]`` of a snapshot table is the number of rows with a known key.

    Raises:
        StackError: `until` has not come yet, or so a clock says that has jumped; a column of the source has gone.
    """
    clock.require_vouched(project.settings, project.clock, until)
    tables = missing_columns.explained(project, lambda: dict(project.source.fetch(since, until)))
    snapshots = {name: table for name, table in project.spec.tables.items() if table.snapshot and name in tables}
    if snapshots:
        lake = project.lake.read(until=since)
        known_at = pd.Timestamp(until).tz_convert("UTC").as_unit("us")
        for name, table in snapshots.items():
            new = _new_rows(table, contents.in_utc(tables[name]), lake[name])
            tables[name] = frames.with_columns(new, {table.available_at: known_at}).reset_index(drop=True)
    return tables


def release(project: Project, until: datetime) -> None:
    """Let a source that keeps rows know that the lake has all of them up to an instant."""
    source = project.source
    if isinstance(source, KeepingSource):
        source.ingested(until)


def _new_rows(table: Table, rows: pd.DataFrame, existing: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose key is unknown, or whose values differ from those of their key."""
    if existing.empty or not set(table.key) <= set(rows.columns):
        return rows
    existing = existing.set_index(table.key)
    new = rows.drop(columns=table.available_at, errors="ignore").set_index(table.key).astype(object)
    old = existing.reindex(index=new.index, columns=new.columns).astype(object)
    differs = (new.ne(old) & ~(new.isna() & old.isna())).any(axis=1).to_numpy()
    known = new.index.isin(existing.index)
    rows = rows[differs | ~known]
    rows.attrs["changed"] = int((differs & known).sum())
    return rows


def tally(result: BatchResult) -> str:
    """Return how many rows of a batch came, changed and were refused."""
    refused = result.quarantined_rows
    return f"{result.rows:,} rows came, {result.changed:,} of them known ones that changed; {refused:,} refused"


def unchanged(spec: ProjectSpec, tables: Tables) -> bool:
    """Return whether a batch has snapshot tables only, and no new row."""
    return all(table.snapshot and name in tables and tables[name].empty for name, table in spec.tables.items())


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
    alerts.notify(project.settings, quarantine.refusal(project.name, result.failures).title, summary(result))
    raise BatchRefusedError(
        f"project {project.name}, batch quarantined",
        found="; ".join(result.failures),
        expected="a batch that meets the expectations of checks.py",
        todo=f"read {page_url(project, result)}, fix the source and run `make ingest PROJECT={project.name}` again",
    )


def alert_stale(project: Project, tables: Tables, since: datetime, until: datetime) -> None:
    """Alert about the tables whose source has delivered no rows for long; the batch is in the lake."""
    for table, last in newly_stale(project, tables, since, until).items():
        problem = _silence(project, table, last)
        alerts.notify(project.settings, problem.title, f"{problem.text} {problem.todo}")
    problems.record(project.settings, f"{quarantine.SILENCE}{project.name}", stale(project, tables, until))


def stale(project: Project, tables: Tables, until: datetime) -> list[Problem]:
    """Return the tables without a row for ``monitoring.max_silence`` as problems."""
    last, limit = _last(project, tables), project.spec.monitoring.max_silence
    return [_silence(project, name, last[name]) for name in last if until - last[name] >= limit]


def _silence(project: Project, table: str, last: datetime) -> Problem:
    text = f"The last row of {table} arrived at {last:%Y-%m-%d %H:%M} UTC."
    return Problem(f"{project.name}: no new rows of {table}", text, f"Check the source of {table}.")


def _last(project: Project, tables: Tables) -> dict[str, datetime]:
    """Return the instant of the last row of each table that a batch has no rows of."""
    empty = [name for name, table in project.spec.tables.items() if not table.snapshot and tables[name].empty]
    if not empty:
        return {}
    last = {name: project.spec.clock.start for name in empty} | project.lake.newest()
    return {name: last[name] for name in empty}


def newly_stale(project: Project, tables: Tables, since: datetime, until: datetime) -> dict[str, datetime]:
    """Return the tables that became stale in (since, until], with the instant of their last row.

    Stale is a table without a row for ``monitoring.max_silence``: nothing fails, and the model is trained on older data
    each day. Each multiple of it falls into one window, so that hourly batches raise one alarm and not one an hour.
    """
    last, limit = _last(project, tables), project.spec.monitoring.max_silence
    return {
        name: instant
        for name, instant in last.items()
        if instant <= since and (since - instant) // limit < (until - instant) // limit
    }
