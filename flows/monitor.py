"""Look at the last window: report drift and performance, apply the drift policy, and tell Prefect what it decided."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from flows.common import MINUTE, MOMENTARY, context
from flows.rollback import look_again

if TYPE_CHECKING:
    from monitoring.reports import Report

DRIFT_DETECTED = "stack.drift.detected"


@task(timeout_seconds=30 * MINUTE, **MOMENTARY)
def compare(project: str, at: datetime, made: datetime) -> Report:
    """Hold the window before `at` against the champion's training reference; save the report, and tell MLflow.

    Args:
        project: name of the project.
        at: end of the window.
        made: instant on the wall clock.
    """
    from monitoring import reports
    from stack.registry import artifacts
    from stack.serving import observed

    opened, _ = context(project, at)
    champion = opened.registry.require_champion()
    report = reports.run(
        opened,
        artifacts.reference(opened.settings, champion),
        observed.window(opened, champion, at),
        labelled=observed.judged(opened, champion, at),
        cutoff=champion.cutoff,
        trained=newest.cutoff if (newest := opened.registry.tagged({}, "DESC")) else None,
        at=at,
        name=f"{at:%Y%m%dT%H%M%SZ}",
        made=made,
    )
    reasons = [reason.text for reason in report.verdict.reasons]
    told = json.dumps({"at": at.isoformat(), "summary": report.verdict.summary, "reasons": reasons}, indent=1)
    artifacts.upload(opened.settings, champion, "monitoring", {f"{report.name}.json": told.encode()})
    opened.registry.tag(champion, {"stack.drift": f"{at:%Y-%m-%d}: {report.verdict.summary}"})
    return report


@task
def tell(project: str, report: Report) -> None:
    """Put the verdict where people look: this run's page, the alerts, and the event that retrains."""
    from stack.core import alerts

    opened, _ = context(project, report.at)
    verdict = report.verdict
    lines = "\n".join(f"- {'**' + r.action + '** ' if r.action != 'none' else ''}{r.text}" for r in verdict.reasons)
    page = f"{opened.settings.link('portal')}/reports/{project}/{report.name}.html"
    create_markdown_artifact(
        f"# {verdict.summary}\n\n{lines}\n\n[The report]({page}), {report.rows:,} rows",
        key=f"{project.replace('_', '-')}-drift",
    )
    get_run_logger().info("%s; %s", verdict.summary, page)
    if verdict.action != "none":
        alerts.notify(opened.settings, f"{project}: {verdict.action}", f"{verdict.summary}\n{page}")
    if verdict.retrain:
        emit_event(
            DRIFT_DETECTED,
            resource={
                "prefect.resource.id": f"stack.project.{project}",
                "prefect.resource.name": project,
            },
            payload={
                "reason": verdict.summary,
                "reasons": [reason.text for reason in verdict.reasons],
                "report": page,
                "at": report.at.isoformat(),
            },
        )


@task
def forget(project: str, now: datetime) -> int:
    """Delete predictions that were answered longer ago than the opened.settings keep them; return how many."""
    from stack.prediction_log import predictions

    opened, _ = context(project)
    return predictions.prune(opened.settings.state_database, now - timedelta(days=opened.settings.keep_days))


@flow(name="monitor", flow_run_name="monitor {project}", timeout_seconds=60 * MINUTE)
def monitor(project: str, at: datetime | None = None) -> bool:
    """Report on the window before `at` and decide whether a new model is due.

    Args:
        project: name of the project.
        at: end of the window; the project's "now" when omitted.

    Returns:
        Whether retraining was asked for, by the event `stack.drift.detected`.
    """
    _, at = context(project, at)
    look_again(project, at, datetime.now(UTC))
    report = compare(project, at, datetime.now(UTC))
    tell(project, report)
    forget(project, datetime.now(UTC))
    return report.verdict.retrain
