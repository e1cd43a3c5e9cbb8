"""Fetch a window, validate it, append it to the lake, and bring its features online."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.cluster import cluster
from flows.common import MINUTE, RETRIES, alert_full_disk, artifact_key, instant
from stack.core.errors import StackError
from stack.project import Project

if TYPE_CHECKING:
    from stack.project.contract import Tables
    from stack.validation.validation import BatchResult


@task(timeout_seconds=10 * MINUTE, **RETRIES)
def fetch(project: Project, since: datetime, until: datetime) -> Tables:
    """Fetch the rows that became known in (since, until] from the project's source."""
    from stack.validation import batches

    return batches.fetch(project, since, until)


@task(timeout_seconds=20 * MINUTE, cache_policy=NO_CACHE)
def validate(project: Project, tables: Tables, since: datetime, until: datetime) -> BatchResult:
    """Check the batch; a refused one is put into quarantine."""
    from stack.validation import batches

    return batches.validate(project, tables, since, until)


@task(timeout_seconds=10 * MINUTE, **RETRIES)
def append(project: Project, tables: Tables, since: datetime, until: datetime) -> str:
    """Append the clean rows to the lake as a new data version."""
    return project.lake.append(tables, since, until)


@task(timeout_seconds=20 * MINUTE, **RETRIES)
def compute_features(project: Project, since: datetime, until: datetime) -> dict[str, int]:
    """Compute the feature tables of a window from the raw rows: of a long one on a cluster, where one is named."""
    from stack.features import features, remote

    if project.settings.dask_address and features.is_long(project, since, until):
        with cluster(project.settings) as workers:
            if workers:
                return remote.update(project, since, until, workers, get_run_logger().info)
    return features.update(project, since, until)


@task(timeout_seconds=10 * MINUTE, **RETRIES)
def bring_online(project: Project, since: datetime, until: datetime) -> None:
    """Materialise the new features into the online store; then the window counts as served."""
    from stack.features import feature_tables, features

    features.materialise(project, since, until)
    feature_tables.mark_served(project, until)


@task(timeout_seconds=10 * MINUTE, **RETRIES)
def join_labels(project: Project, since: datetime, until: datetime) -> int:
    """Join the new labels to the logged predictions; return their number."""
    from stack.serving import observed

    return observed.label(project, since, until)


@flow(name="ingest", flow_run_name="ingest {project}", timeout_seconds=60 * MINUTE, on_failure=[alert_full_disk])
def ingest(project: str, since: datetime | None = None, until: datetime | None = None) -> str:
    """Ingest the rows of a project that became known in (since, until]; return the data version that holds them.

    Args:
        project: name of the project.
        since: the end of the last batch when omitted.
        until: the project's "now" when omitted.
    """
    from stack.features import datasets, feature_tables
    from stack.validation import batches

    opened = Project.open(project)
    until = instant(opened, until).replace(microsecond=0)  # batches are named by the second
    if since is not None and since >= until:
        found = f"since {since}, until {until}"
        raise StackError(f"window of {project}", found=found, expected="a window that ends after its start")
    since = since.astimezone(UTC) if since else datasets.ingested_until(opened)
    windows = batches.windows(opened, since, until) if since < until else []
    revisions = [add(opened, start, end) for start, end in windows]
    revision = revisions[-1] if revisions else opened.lake.revision()
    batches.release(opened, max(since, until))
    served = feature_tables.served_until(opened)
    # A window behind what is served came late: everything after it is computed anew.
    behind, end = min(since, served), max(until, served)
    if behind < end:
        rows = compute_features(opened, behind, end)
        labels = join_labels(opened, behind, end)
        bring_online(opened, behind, end)
        get_run_logger().info("feature rows %s; %s predictions labelled", rows, labels)
    get_run_logger().info("data version %s holds all up to %s", revision[:8], until)
    return revision


def add(project: Project, since: datetime, until: datetime) -> str:
    """Fetch, validate and append one batch; return the data version that holds it."""
    from stack.validation import batches

    tables = fetch(project, since, until)
    if batches.unchanged(project.spec, tables):
        get_run_logger().info("the source has nothing new since %s", since)
        return project.lake.revision()
    result = validate(project, tables, since, until)
    show(project, result)
    batches.require_accepted(project, result)
    revision = append(project, result.tables, since, until)
    batches.alert_stale(project, result.tables, since, until)
    return revision


def show(project: Project, result: BatchResult) -> None:
    """Log the rows and the warnings of a batch, and show its result on the page of the run."""
    from stack.validation import batches

    get_run_logger().info("%s", batches.tally(result))
    for warning in result.warnings:
        get_run_logger().warning("%s", warning)
    create_markdown_artifact(
        f"# Batch {'accepted' if result.accepted else 'refused'}\n\n{batches.summary(result)}\n\n"
        f"{batches.tally(result)}. [Data Docs]({batches.page_url(project, result)})",
        key=artifact_key(project.name, "batch"),
    )
