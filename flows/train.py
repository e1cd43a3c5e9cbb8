"""Make a point-in-time training set, search the candidates, register the best as challenger, and let the gate judge."""

from __future__ import annotations

from datetime import datetime

from pandas import DataFrame
from prefect import flow, get_run_logger, task

from flows.cluster import fitters
from flows.common import MINUTE, MOMENTARY, context
from flows.fit import elsewhere
from flows.promote import pass_on


@task(timeout_seconds=MINUTE, **MOMENTARY)
def made(project: str, cutoff: datetime) -> str | None:
    """The version that the same data, cut-off and code have made already, completed where a run was killed."""
    from stack.lake import lake
    from stack.promotion import challengers

    opened, _ = context(project, cutoff)
    version = challengers.find_existing(
        opened, challengers.identity(opened.spec, cutoff, lake.revision(opened.settings, opened.spec))
    )
    return version.version if version else None


@task(timeout_seconds=30 * MINUTE, **MOMENTARY)
def training_set(project: str, cutoff: datetime) -> DataFrame:
    """Join every labelled event with the features that were known at its instant."""
    from stack.features import datasets

    opened, _ = context(project, cutoff)
    return datasets.labelled(opened, cutoff)


@task(timeout_seconds=120 * MINUTE, **MOMENTARY)
def search(project: str, frame: DataFrame, cutoff: datetime) -> str:
    """Search, evaluate on the holdout, refit and register the challenger; give its version."""
    from stack.core import code
    from stack.lake import lake
    from stack.promotion import challengers

    opened, _ = context(project, cutoff)
    with fitters(opened.settings) as workers:
        return challengers.train(
            opened,
            frame,
            data_revision=lake.revision(opened.settings, opened.spec),
            cutoff=cutoff,
            code_version=code.version(),
            report=get_run_logger().info,
            workers=workers,
        ).version


@flow(name="train", flow_run_name="train {project}", timeout_seconds=180 * MINUTE)
def train(project: str, cutoff: datetime | None = None, reason: str = "asked for") -> str:
    """Train a project on what was known at the cut-off; the gate then decides whether it goes live.

    Args:
        project: name of the project.
        cutoff: labels known later are not used; the project's "now" when omitted.
        reason: why this run was started; it stands in the log.

    Returns:
        The registered version.
    """
    _, cutoff = context(project, cutoff)
    get_run_logger().info("training %s on labels known at %s; reason: %s", project, cutoff, reason)
    version = made(project, cutoff)
    if version:
        get_run_logger().info("version %s is of the same data, cut-off and code: no second one is trained", version)
    else:
        frame = training_set(project, cutoff)
        version = elsewhere(project, frame, cutoff) or search(project, frame, cutoff)
    pass_on(project)
    return version
