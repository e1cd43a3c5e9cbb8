"""Fetch a window, validate it, append it to the lake, and bring its features online."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pandas import DataFrame
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from flows.common import MINUTE, MOMENTARY, context
from stack.errors import StackError

if TYPE_CHECKING:
    from stack.validation import Verdict

Tables = Mapping[str, DataFrame]


@task(timeout_seconds=10 * MINUTE, **MOMENTARY)
def fetch(project: str, since: datetime, until: datetime) -> Tables:
    """Ask the project's source for the rows that became known in (since, until]."""
    _, spec, _ = context(project, until)
    return spec.module("source").fetch(since, until)  # type: ignore[no-any-return]


@task(timeout_seconds=20 * MINUTE)
def validate(project: str, tables: Tables, since: datetime, until: datetime) -> Verdict:
    """Check the batch; what is refused lies in quarantine."""
    from stack import datasets, validation

    settings, spec, _ = context(project, until)
    return validation.validate(settings, spec, tables, datasets.history(settings, spec, since), since, until)


@task(timeout_seconds=10 * MINUTE, **MOMENTARY)
def append(project: str, tables: Tables, since: datetime, until: datetime) -> str:
    """Add the clean rows to the lake as a new data version."""
    from stack import lake

    settings, spec, _ = context(project, until)
    return lake.append(settings, spec, tables, since, until)


@task(timeout_seconds=20 * MINUTE, **MOMENTARY)
def compute_features(project: str, since: datetime, until: datetime) -> dict[str, int]:
    """Turn the window's rows into feature tables."""
    from stack import features

    settings, spec, _ = context(project, until)
    return features.update(settings, spec, since, until)


@task(timeout_seconds=10 * MINUTE, **MOMENTARY)
def bring_online(project: str, since: datetime, until: datetime) -> None:
    """Materialise the window's features into the online store."""
    from stack import features

    settings, spec, _ = context(project, until)
    features.materialise(settings, spec, since, until)


@task(timeout_seconds=10 * MINUTE, **MOMENTARY)
def join_labels(project: str, since: datetime, until: datetime) -> int:
    """Give the predictions in the log the outcomes that the window brought; return their number."""
    from stack import observed

    settings, spec, _ = context(project, until)
    return observed.label(settings, spec, since, until)


@flow(name="ingest", flow_run_name="ingest {project}", timeout_seconds=60 * MINUTE)
def ingest(project: str, since: datetime | None = None, until: datetime | None = None) -> str:
    """Ingest the rows of a project that became known in (since, until].

    Args:
        project: name of the project.
        since: the end of the last batch when omitted.
        until: the project's "now" when omitted.

    Returns:
        The data revision that holds the window.

    Raises:
        StackError: the batch is refused; it lies in quarantine and nothing downstream has changed.
    """
    from stack import datasets

    settings, spec, until = context(project, until)
    since = since or datasets.ingested_until(settings, spec)
    tables = fetch(project, since, until)
    verdict = validate(project, tables, since, until)
    report(project, verdict)
    revision = append(project, verdict.tables, since, until)
    rows = compute_features(project, since, until)
    bring_online(project, since, until)
    get_run_logger().info("data version %s holds (%s, %s]; feature rows %s", revision[:8], since, until, rows)
    return revision


def report(project: str, verdict: Verdict) -> None:
    """Tell the verdict in the run; stop it when the batch is refused."""
    from monitoring import alerts
    from stack.settings import settings

    logger = get_run_logger()
    for warning in verdict.warnings:
        logger.warning("%s", warning)
    lines = [*(f"- **refused** {f}" for f in verdict.failures), *(f"- warning: {w}" for w in verdict.warnings)]
    body = "\n".join(lines) or "- every expectation holds"
    create_markdown_artifact(
        f"# Batch {'accepted' if verdict.accepted else 'refused'}\n\n{body}\n\n"
        f"{verdict.quarantined_rows} rows in quarantine. Data Docs: `{verdict.page}`",
        key=f"{project.replace('_', '-')}-batch",
    )
    if verdict.accepted:
        return
    alerts.notify(settings(), f"{project}: batch refused", body)
    raise StackError(
        f"project {project}, batch quarantined",
        found="; ".join(verdict.failures),
        expected="a batch that meets the expectations of checks.py",
        todo=f"read {verdict.page}, mend the source and run `make ingest PROJECT={project}` again",
    )
