"""The review of a champion: a report of its last window, recorded where the model's other artifacts are."""

import json
from datetime import datetime

from monitoring import reports
from monitoring.reports import Report
from stack.project import Project
from stack.registry import artifacts
from stack.serving import corrections, observed


def champion(project: Project, at: datetime, created_at: datetime) -> Report:
    """Compare the window before `at` with the champion's training reference; save the report, and log it to MLflow.

    The intervals of the answers to come are corrected by the newest labels.

    Args:
        project: the project.
        at: end of the window.
        created_at: instant on the wall clock.
    """
    version = project.registry.require_champion()
    judged = observed.judged(project, version, at)
    current, *others = observed.window(project, version, at)
    report = reports.run(
        project,
        observed.reference(project, version, honest=bool(others)),
        current,
        other=next(iter(others), None),
        labelled=judged,
        holdout=None if project.task.numeric else artifacts.holdout(project.settings, version),
        cutoff=version.cutoff,
        growth=version.growth(at),
        trained=newest.cutoff if (newest := project.registry.tagged({}, "DESC")) else None,
        at=at,
        name=f"{at:%Y%m%dT%H%M%SZ}",
        created_at=created_at,
    )
    corrections.update(project, version, judged, at)
    reasons = [reason.text for reason in report.verdict.reasons]
    record = json.dumps({"at": at.isoformat(), "summary": report.verdict.summary, "reasons": reasons}, indent=1)
    artifacts.upload(project.settings, version, "monitoring", {f"{report.name}.json": record.encode()})
    project.registry.tag(version, {"stack.drift": f"{at:%Y-%m-%d}: {report.verdict.summary}"})
    return report


def page_url(project: Project, report: Report) -> str:
    """Return the address of a report."""
    return f"{project.settings.link('portal')}/reports/{project.name}/{report.name}.html"


def markdown(project: Project, report: Report) -> str:
    """Return the verdict of a report with its reasons."""
    reasons = report.verdict.reasons
    lines = "\n".join(f"- {'**' + r.action + '** ' if r.action != 'none' else ''}{r.text}" for r in reasons)
    return (
        f"# {report.verdict.summary}\n\n{lines}\n\n[Report]({page_url(project, report)}), {report.window.rows:,} rows"
    )
