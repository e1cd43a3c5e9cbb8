"""Recompute the features of logged predictions, and raise an alarm when any differs from what was served."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task

from flows.common import MINUTE, RETRIES, instant
from stack.core import alerts
from stack.core.errors import StackError
from stack.project import Project

if TYPE_CHECKING:
    from monitoring.skew import Skew


@task(timeout_seconds=30 * MINUTE, **RETRIES)
def recompute(project: Project, since: datetime, until: datetime) -> Skew:
    """Compare the logged features of (since, until] with the offline store's."""
    from monitoring import skew

    return skew.check(project, since, until)


@flow(name="skew", flow_run_name="skew {project}", timeout_seconds=60 * MINUTE)
def skew(project: str, since: datetime | None = None, until: datetime | None = None) -> int:
    """Count the predictions whose features the offline store does not give for their instant.

    Args:
        project: name of the project.
        since: exclusive start of the window; the monitoring window before `until` when omitted.
        until: inclusive end; the project's "now" when omitted.
    """
    opened = Project.open(project)
    until = instant(opened, until)
    result = recompute(opened, since or until - opened.spec.monitoring.window, until)
    get_run_logger().info(
        "%s of %s predictions were made with other features", f"{result.differing:,}", f"{result.rows:,}"
    )
    if result.differing:
        error = StackError(
            f"features of {project}",
            found=f"{result.differing:,} of {result.rows:,} predictions differ; " + "; ".join(result.examples),
            expected="the features served to be those of the offline store",
            todo="compare the feature views with what was pushed online; do not train before it is fixed",
        )
        alerts.notify(opened.settings, f"{project}: training-serving skew", str(error))
        raise error
    return result.rows
