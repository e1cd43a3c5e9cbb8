"""Recompute the features of logged predictions, and raise an alarm when any differs from what was served."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task

from flows.common import MINUTE, MOMENTARY, context
from stack.core.errors import StackError

if TYPE_CHECKING:
    from monitoring.skew import Skew


@task(timeout_seconds=30 * MINUTE, **MOMENTARY)
def recompute(project: str, since: datetime, until: datetime) -> Skew:
    """Hold the logged features of (since, until] against the offline store's."""
    from monitoring import skew

    opened, _ = context(project, until)
    return skew.check(opened, since, until)


@flow(name="skew", flow_run_name="skew {project}", timeout_seconds=60 * MINUTE)
def skew(project: str, since: datetime | None = None, until: datetime | None = None) -> int:
    """Count the predictions whose features the offline store does not give for their instant.

    Args:
        project: name of the project.
        since: exclusive start of the window; the monitoring window before `until` when omitted.
        until: inclusive end; the project's "now" when omitted.

    Returns:
        Number of predictions compared.

    Raises:
        StackError: some differ; the alarm has been given.
    """
    from stack.core import alerts

    opened, until = context(project, until)
    found = recompute(project, since or until - opened.spec.monitoring.window, until)
    get_run_logger().info(
        "%s of %s predictions were made with other features", f"{found.differing:,}", f"{found.rows:,}"
    )
    if found.differing:
        error = StackError(
            f"features of {project}",
            found=f"{found.differing:,} of {found.rows:,} predictions differ; " + "; ".join(found.examples),
            expected="the features served to be those of the offline store",
            todo="compare the feature views with what was pushed online; do not train before it is mended",
        )
        alerts.notify(opened.settings, f"{project}: training-serving skew", str(error))
        raise error
    return found.rows
