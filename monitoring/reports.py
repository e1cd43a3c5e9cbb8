"""One report: a window against the champion's training reference, with the verdict of the drift policy.

Three things are kept of it: a snapshot in Evidently's workspace, a page, and a small summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from evidently.core.report import Snapshot
from pandas import DataFrame

from monitoring import _compat, frames, metrics, pages, policy, workspace
from monitoring.comparison import WindowComparison, compare
from stack.kit.drift import Verdict, Window
from stack.project import Project
from stack.specification.specs import ProjectSpec
from stack.training.performance import measure, scores

SNAPSHOTS = 100
"""Of each project in Evidently's UI."""


@dataclass(frozen=True)
class Report:
    """The result of a report.

    ``drift`` holds each feature column's score of the method in ``project.yaml``; it is empty, and ``drift_share``
    None, where the window has fewer than ``min_rows`` rows. ``path`` is the page, served by the portal as
    ``/reports/<project>/<name>.html``; ``dashboard`` the page in Evidently's UI, empty without rows.
    """

    project: str
    name: str
    at: datetime
    since: datetime
    made: datetime
    path: Path
    dashboard: str
    rows: int
    drift: Mapping[str, float]
    drifted: tuple[str, ...]
    drift_share: float | None
    prediction_drift: float | None
    missing_share: float | None
    feature_age_minutes: float | None
    """Minutes that the features of 95 % of the predictions were younger than."""
    lost: tuple[str, ...]
    measured: Mapping[str, float]
    """Value of each monitored metric that is defined in the window."""
    performance: Mapping[str, float | None] | None
    headline: tuple[str, ...]
    """The metrics of `performance` to show, the most telling first."""
    verdict: Verdict


def run(
    project: Project,
    reference: DataFrame,
    current: DataFrame,
    *,
    at: datetime,
    name: str,
    cutoff: datetime | None = None,
    labelled: DataFrame | None = None,
    made: datetime | None = None,
    trained: datetime | None = None,
) -> Report:
    """Compare, decide, and save. The same `name` again replaces the former report.

    Args:
        project: names the columns and the policy; reports made longer ago than its ``keep_days`` are deleted.
        reference: the champion's training reference: feature columns; label, outputs, event_timestamp if known.
        current: rows of (at - spec.monitoring.window, at]: feature columns; event_timestamp, features_at, the outputs
            of the task, and the label, encoded (missing where it has not arrived), if known.
        at: end of the window.
        name: letters, digits, '.', '_' and '-'; a later report's name sorts behind an earlier one's.
        cutoff: the champion's training cut-off; without it the policy never retrains.
        labelled: rows predicted by the champion since its cut-off, with event_timestamp, outputs and label, for the
            triggers of bias and loss; `current` when omitted.
        made: instant on the wall clock, which the age of a report is counted by: a replay keeps its year; `at` when
            omitted.
        trained: the newest version's training cut-off: a retraining that was requested later has failed, and does not
            start a cool-down; none has failed when omitted.

    Raises:
        StackError: a feature column is missing from a frame, or the name is no file name.
    """
    pages.check(name)
    current = frames.typed(project.spec, current, "the current frame")
    reference = frames.typed(project.spec, reference, "the reference frame")
    predicted = current if labelled is None else frames.prediction_columns(project.spec, labelled)
    outcomes = frames.outcomes(project.spec, predicted, at, cutoff)
    compared = _compare(WindowComparison(project.spec, reference, current, outcomes), at, name)
    window = _window(compared, at)
    with workspace.writer(project.settings):
        earlier = pages.summaries(project.settings, project.spec.name)
        verdict = policy.verdict(project, [*_history(earlier, at, trained), window], at=at, cutoff=cutoff)
        window = replace(window, retrained=verdict.retrain)
        report = _report(project, name, compared, window, verdict, made or at)
        _save(project, report, window, compared.snapshot)
        _forget(project, earlier, report.made)
    return report


def _compare(window: WindowComparison, at: datetime, name: str) -> WindowComparison:
    """Compare the frames by what each monitored metric asks of Evidently."""
    if window.enough:
        window = replace(window, lost=frames.lost(window.spec, window.reference, window.current))
    wanted = [one for metric in metrics.METRICS for one in metric.evidently(window)] if len(window.current) else []
    return compare(window, wanted, at=at, name=name)


def _window(compared: WindowComparison, at: datetime) -> Window:
    """Measure every monitored metric, for the drift policy."""
    measured = {metric.name: metric.measure(compared) for metric in metrics.METRICS}
    score = compared.prediction_drift
    return Window(
        at=at,
        rows=len(compared.current),
        drift_share=measured["drift"],
        prediction_drift=None if score is None else compared.drifts(score),
        lost=compared.lost,
        **asdict(compared.outcomes),
        measured={name: value for name, value in measured.items() if value is not None and np.isfinite(value)},
    )


def _report(
    project: Project, name: str, compared: WindowComparison, window: Window, verdict: Verdict, made: datetime
) -> Report:
    return Report(
        project=project.spec.name,
        name=name,
        at=window.at,
        since=window.at - project.spec.monitoring.window,
        made=made,
        path=pages.folder(project.settings, project.spec.name) / f"{name}.html",
        dashboard=workspace.page(project.spec, name) if compared.snapshot else "",
        rows=window.rows,
        drift=compared.drift,
        drifted=compared.drifted,
        drift_share=window.drift_share,
        prediction_drift=compared.prediction_drift,
        missing_share=window.measured.get("missing"),
        feature_age_minutes=window.measured.get("feature_age"),
        lost=window.lost,
        measured=window.measured,
        performance=measure(project.spec, compared.current),
        headline=scores(project.spec),
        verdict=verdict,
    )


def _save(project: Project, report: Report, window: Window, snapshot: Snapshot | None) -> None:
    if snapshot:
        workspace.add(project, report.name, _tagged(snapshot, report.verdict))
    html = snapshot.get_html_str(as_iframe=False) if snapshot else None
    pages.save(project.settings, _summary(project.spec, report, window), html)


def _summary(spec: ProjectSpec, report: Report, window: Window) -> dict[str, Any]:
    """The report as plain JSON types: what the portal and the next report read."""
    verdict, windowed = report.verdict, asdict(window) | {"at": window.at.isoformat()}
    windowed.pop("measured")
    summary = asdict(report) | {
        "title": spec.title,
        "path": report.path.name,
        "at": report.at.isoformat(),
        "since": report.since.isoformat(),
        "made": report.made.isoformat(),
        "drift": {column: score if np.isfinite(score) else None for column, score in report.drift.items()},
        "figures": {
            metric.title: metric.figure(report.measured.get(metric.name)) for metric in metrics.METRICS if metric.title
        },
        "window": windowed,
    }
    summary["verdict"] |= {"action": verdict.action, "retrain": verdict.retrain, "summary": verdict.summary}
    return summary


def _history(summaries: list[dict[str, Any]], at: datetime, trained: datetime | None) -> list[Window]:
    """The windows of earlier reports, by rising instant; ``retrained`` only where a version came of it."""
    done = trained or at
    windows = [
        Window(
            **summary["window"]
            | {"at": datetime.fromisoformat(summary["window"]["at"]), "measured": summary.get("measured", {})}
        )
        for summary in summaries
    ]
    return [replace(window, retrained=window.retrained and window.at <= done) for window in windows if window.at < at]


def _tagged(snapshot: Snapshot, verdict: Verdict) -> Snapshot:
    """Give the snapshot the verdict as tag and metadata, which Evidently's UI lists."""
    model = _compat.slim(snapshot)
    model["tags"] = [] if verdict.action == "none" else [verdict.action]
    model["metadata"] = {"verdict": verdict.summary}
    return Snapshot.load_dict(model)


def _forget(project: Project, summaries: list[dict[str, Any]], now: datetime) -> None:
    """Delete the reports that were made longer ago than the settings say, by the wall clock.

    Evidently's UI holds each snapshot in memory, about 1 MB: it has the last ones alone, the pages are all there.
    """
    for summary in summaries[: -SNAPSHOTS + 1]:
        workspace.remove(project, summary["name"])
    oldest = now - timedelta(days=project.settings.keep_days)
    for summary in summaries:
        if datetime.fromisoformat(summary.get("made", summary["at"])) < oldest:
            workspace.remove(project, summary["name"])
            pages.remove(project.settings, project.spec.name, summary["name"])
