"""Report drift and performance of the last window, apply the drift policy, and emit the event that retrains."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from flows.common import MINUTE, RETRIES, artifact_key, instant
from flows.rollback import review_rollout
from stack.core import alerts
from stack.core.profile import step
from stack.prediction_log import pruning
from stack.project import Project

if TYPE_CHECKING:
    from monitoring.reports import Report

DRIFT_DETECTED = "stack.drift.detected"


@task(timeout_seconds=30 * MINUTE, **RETRIES)
def compare(project: Project, at: datetime, wall: datetime) -> Report:
    """Compare the window before `at` with the champion's training reference, and save the report."""
    from monitoring import review

    return review.champion(project, at, wall)


@task(cache_policy=NO_CACHE)
def publish(project: Project, report: Report) -> None:
    """Publish the verdict: on the page of this run, as an alert, and as the event that retrains."""
    from monitoring import review

    verdict, page = report.verdict, review.page_url(project, report)
    create_markdown_artifact(review.markdown(project, report), key=artifact_key(project.name, "drift"))
    get_run_logger().info("%s; %s", verdict.summary, page)
    if verdict.action != "none":
        alerts.notify(project.settings, f"{project.name}: {verdict.action}", f"{verdict.summary}\n{page}")
    if verdict.retrain:
        emit_event(
            DRIFT_DETECTED,
            resource={"prefect.resource.id": f"stack.project.{project.name}", "prefect.resource.name": project.name},
            payload={
                "reason": verdict.summary,
                "reasons": [reason.text for reason in verdict.reasons],
                "report": page,
                "at": report.at.isoformat(),
            },
        )


@task(cache_policy=NO_CACHE)
def prune_predictions(project: Project, now: datetime) -> int:
    """Delete predictions that are older than the settings keep them; return their number."""
    return pruning.prune(project.settings, now)


@flow(name="monitor", flow_run_name="monitor {project}", timeout_seconds=60 * MINUTE)
def monitor(project: str, at: datetime | None = None) -> bool:
    """Report on the window before `at`; return whether a new model is due, as `stack.drift.detected` then says.

    Args:
        project: name of the project.
        at: end of the window; the project's "now" when omitted.
    """
    opened = Project.open(project)
    at = instant(opened, at)
    with step("review the rollout"):
        review_rollout(opened, at, datetime.now(UTC))
    with step("compare the window"):
        report = compare(opened, at, datetime.now(UTC))
    with step("publish the verdict"):
        publish(opened, report)
    with step("prune predictions"):
        prune_predictions(opened, datetime.now(UTC))
    return report.verdict.retrain
