"""Look at the last window: report drift and performance, apply the drift policy, and tell Prefect what it decided."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pandas import DataFrame
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact
from prefect.events import emit_event

from flows.common import MINUTE, MOMENTARY, context

if TYPE_CHECKING:
    from monitoring.policy import Verdict
    from monitoring.reports import Report

DRIFT_DETECTED = "stack.drift.detected"


@task(timeout_seconds=20 * MINUTE, **MOMENTARY)
def frames(project: str, at: datetime) -> tuple[DataFrame, DataFrame]:
    """The champion's training reference, and the window before `at` with the champion's answers."""
    from stack import datasets

    settings, spec, _ = context(project, at)
    return datasets.reference(settings, spec), datasets.current(settings, spec, at)


@task(timeout_seconds=20 * MINUTE, **MOMENTARY)
def report(project: str, reference: DataFrame, current: DataFrame, at: datetime) -> Report:
    """Compare the window with the reference and save the Evidently report."""
    from monitoring import reports

    settings, spec, _ = context(project, at)
    return reports.run(settings, spec, reference, current, at=at, name=f"{at:%Y%m%dT%H%M%SZ}")


@flow(name="monitor", flow_run_name="monitor {project}", timeout_seconds=60 * MINUTE)
def monitor(project: str, at: datetime | None = None) -> bool:
    """Report on the window before `at` and decide whether a new model is due.

    Args:
        project: name of the project.
        at: end of the window; the project's "now" when omitted.

    Returns:
        Whether retraining was asked for, by the event `stack.drift.detected`.
    """
    settings, spec, at = context(project, at)
    return False
