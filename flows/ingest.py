"""Fetch a window, validate it, append it to the lake, and bring its features online."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pandas import DataFrame
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from flows.common import MINUTE, MOMENTARY, context, tell_full_disk
from stack.core.errors import StackError

if TYPE_CHECKING:
    from stack.validation.validation import BatchResult

Tables = Mapping[str, DataFrame]


class BatchRefusedError(StackError):
    """A batch does not meet its expectations: it lies in quarantine and nothing downstream has changed."""


@task(timeout_seconds=10 * MINUTE, **MOMENTARY)
def fetch(project: str, since: datetime, until: datetime) -> Tables:
    """Ask the project's source for the rows that became known in (since, until]."""
    from stack.validation import snapshots

    opened, _ = context(project, until)
    return snapshots.batch(opened, opened.source.fetch(since, until), since, until)


@task(timeout_seconds=20 * MINUTE)
def validate(project: str, tables: Tables, since: datetime, until: datetime) -> BatchResult:
    """Check the batch; what is refused lies in quarantine."""
    from stack.validation import validation

    opened, _ = context(project, until)
    past = validation.history(opened, since)
    return validation.validate(opened, tables, past, since, until, datetime.now(UTC))


@task(timeout_seconds=10 * MINUTE, **MOMENTARY)
def append(project: str, tables: Tables, since: datetime, until: datetime) -> str:
    """Add the clean rows to the lake as a new data version."""
    from stack.lake import lake

    opened, _ = context(project, until)
    return lake.append(opened.settings, opened.spec, tables, since, until)


@task(timeout_seconds=20 * MINUTE, **MOMENTARY)
def compute_features(project: str, since: datetime, until: datetime) -> dict[str, int]:
    """Turn the rows that the features have not seen yet into feature tables."""
    from stack.features import features

    opened, _ = context(project, until)
    return features.update(opened, since, until)


@task(timeout_seconds=10 * MINUTE, **MOMENTARY)
def bring_online(project: str, since: datetime, until: datetime) -> None:
    """Materialise the new features into the online store; then the window counts as served."""
    from stack.features import feature_tables, features

    opened, _ = context(project, until)
    features.materialise(opened, since, until)
    feature_tables.mark_served(opened.settings.feature_tables / project, until)


@task(timeout_seconds=10 * MINUTE, **MOMENTARY)
def join_labels(project: str, since: datetime, until: datetime) -> int:
    """Give the predictions in the log the outcomes that are new; return their number."""
    from stack.serving import observed

    opened, _ = context(project, until)
    return observed.label(opened, since, until)


@flow(
    name="ingest",
    flow_run_name="ingest {project}",
    timeout_seconds=60 * MINUTE,
    on_failure=[tell_full_disk],
)
def ingest(project: str, since: datetime | None = None, until: datetime | None = None) -> str:
    """Ingest the rows of a project that became known in (since, until].

    Args:
        project: name of the project.
        since: the end of the last batch when omitted.
        until: the project's "now" when omitted.

    Returns:
        The data revision that holds the window.

    Raises:
        BatchRefusedError: the batch does not meet the expectations of checks.py.
    """
    from stack.features import datasets
    from stack.lake import lake

    opened, until = context(project, until)
    until = until.replace(microsecond=0)  # batches are named by the second
    if since is not None and since >= until:
        raise StackError(
            f"window of {project}", found=f"since {since}, until {until}", expected="a window that ends after its start"
        )
    since = since.astimezone(UTC) if since else datasets.ingested_until(opened)
    revision = add(project, since, until) if since < until else lake.revision(opened.settings, opened.spec)
    served = datasets.served_until(opened)
    # A window behind what is served came late: everything after it is computed anew.
    behind, end = min(since, served), max(until, served)
    if behind < end:
        rows = compute_features(project, behind, end)
        labels = join_labels(project, behind, end)
        bring_online(project, behind, end)
        get_run_logger().info("feature rows %s; %s predictions labelled", rows, labels)
    get_run_logger().info("data version %s holds all up to %s", revision[:8], until)
    return revision


def add(project: str, since: datetime, until: datetime) -> str:
    """Fetch, validate and append one batch; return the data version that holds it."""
    from stack.lake import lake
    from stack.validation import snapshots

    tables = fetch(project, since, until)
    opened, _ = context(project, until)
    if snapshots.unchanged(opened.spec, tables):
        get_run_logger().info("the source has nothing new since %s", since)
        return lake.revision(opened.settings, opened.spec)
    verdict = validate(project, tables, since, until)
    report(project, verdict)
    revision = append(project, verdict.tables, since, until)
    tell_silence(project, verdict, since, until)
    return revision


def examined(project: str, since: datetime, until: datetime) -> BatchResult:
    """Fetch and check one batch without tasks: a replay adds hundreds of days, and four tasks each are slow."""
    return validate.fn(project, fetch.fn(project, since, until), since, until)


def added(project: str, verdict: BatchResult, since: datetime, until: datetime) -> str:
    """Append an examined batch without tasks; return the data version that holds it."""
    if verdict.failures or verdict.warnings:
        report(project, verdict)
    revision = append.fn(project, verdict.tables, since, until)
    tell_silence(project, verdict, since, until)
    return revision


def tell_silence(project: str, verdict: BatchResult, since: datetime, until: datetime) -> None:
    """Alarm when a source has brought nothing for long."""
    from stack.core import alerts
    from stack.validation import freshness

    opened, _ = context(project, until)
    for table, last in freshness.newly_stale(opened, verdict.tables, since, until).items():
        text = f"The last row of {table} came by {last:%Y-%m-%d %H:%M} UTC. Is its source well?"
        alerts.notify(opened.settings, f"{project}: no new rows", text)


def report(project: str, verdict: BatchResult) -> None:
    """Tell the verdict in the run; stop it when the batch is refused."""
    from stack.core import alerts
    from stack.core.settings import settings

    logger = get_run_logger()
    page = f"{settings().link('portal')}/docs/{verdict.page.relative_to(settings().data_docs)}"
    for warning in verdict.warnings:
        logger.warning("%s", warning)
    lines = [*(f"- **refused** {f}" for f in verdict.failures), *(f"- warning: {w}" for w in verdict.warnings)]
    body = "\n".join(lines) or "- every expectation holds"
    create_markdown_artifact(
        f"# Batch {'accepted' if verdict.accepted else 'refused'}\n\n{body}\n\n"
        f"{verdict.quarantined_rows} rows in quarantine. [Data Docs]({page})",
        key=f"{project.replace('_', '-')}-batch",
    )
    if verdict.accepted:
        return
    alerts.notify(settings(), f"{project}: batch refused", body)
    raise BatchRefusedError(
        f"project {project}, batch quarantined",
        found="; ".join(verdict.failures),
        expected="a batch that meets the expectations of checks.py",
        todo=f"read {page}, mend the source and run `make ingest PROJECT={project}` again",
    )
