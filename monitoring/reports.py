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

from monitoring import frames, pages, workspace
from monitoring.comparison import Comparison, compare, drifts
from monitoring.frames import Outcomes
from monitoring.policy import verdict as decide
from stack.kit.drift import Verdict, Window
from stack.project import Project
from stack.specification.specs import ProjectSpec
from stack.training.performance import measure, scores

SNAPSHOTS = 100
"""Of each project in Evidently's UI."""


@dataclass(frozen=True)
class Report:
    """What a report found.

    ``drift`` holds each feature column's score of the method in ``project.yaml``; it is empty, and ``drift_share``
    None, where the window has fewer than ``min_rows`` rows. ``path`` is the page, served by the portal as
    ``/reports/<project>/<name>.html``; ``dashboard`` the page in Evidently's UI, empty when there was no row at all.
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
    """Minutes that the features of 95 % of the answers were younger than."""
    lost: tuple[str, ...]
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
        settings: where to save; reports made longer ago than ``keep_days`` are deleted.
        spec: names the columns, the method, its threshold and the policy.
        reference: the champion's training reference: feature columns; label, outputs, event_timestamp if known.
        current: rows of (at - spec.monitoring.window, at]: feature columns; event_timestamp, features_at, the outputs
            of the task, and the label, encoded (missing where it has not arrived), if known.
        at: end of the window.
        name: letters, digits, '.', '_' and '-'; a later report's name sorts behind an earlier one's.
        cutoff: the champion's training cut-off; without it the policy never retrains.
        labelled: rows answered by the champion since its cut-off, with event_timestamp, outputs and label, for the
            triggers of bias and loss; `current` when omitted.
        made: instant on the wall clock, which the age of a report is counted by: a replay keeps its year; `at` when
            omitted.
        trained: the newest version's training cut-off: a retraining that was asked for later has come to nothing, and
            is no reason to wait with another one; all have come about when omitted.

    Raises:
        StackError: a feature column is missing from a frame, or the name is no file name.
    """
    pages.check(name)
    current = frames.typed(project.spec, current, "the current frame")
    answered = current if labelled is None else frames.answered(project.spec, labelled)
    outcomes = frames.outcomes(project.spec, answered, at, cutoff)
    compared, window = _look(
        project.spec, frames.typed(project.spec, reference, "the reference frame"), current, outcomes, at, name
    )
    with workspace.writer(project.settings):
        earlier = pages.summaries(project.settings, project.spec.name)
        verdict = decide(project.spec, [*_history(earlier, at, trained), window], at=at, cutoff=cutoff)
        window = replace(window, retrained=verdict.retrain)
        report = _report(project, name, current, compared, window, verdict, made or at)
        _save(project, report, window, compared.snapshot)
        _forget(project, earlier, report.made)
    return report


def _look(
    spec: ProjectSpec, reference: DataFrame, current: DataFrame, found: Outcomes, at: datetime, name: str
) -> tuple[Comparison, Window]:
    """Compare the frames, and say what the drift policy is to know of them."""
    lost = frames.lost(spec, reference, current) if len(current) >= spec.monitoring.min_rows else ()
    compared = compare(spec, reference, current, lost, at=at, name=name)
    score = compared.prediction_drift(spec.monitoring)
    window = Window(
        at=at,
        rows=len(current),
        drift_share=compared.drift_share,
        prediction_drift=None if score is None else drifts(spec.monitoring, score),
        lost=lost,
        **asdict(found),
    )
    return compared, window


def _report(
    project: Project,
    name: str,
    current: DataFrame,
    compared: Comparison,
    window: Window,
    verdict: Verdict,
    made: datetime,
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
        drift_share=compared.drift_share,
        prediction_drift=compared.prediction_drift(project.spec.monitoring),
        missing_share=frames.missing_share(project.spec, current),
        feature_age_minutes=frames.oldest_features(current),
        lost=window.lost,
        performance=measure(project.spec, current),
        headline=scores(project.spec),
        verdict=verdict,
    )


def _save(project: Project, report: Report, window: Window, snapshot: Snapshot | None) -> None:
    if snapshot:
        workspace.add(project, report.name, _told(snapshot, report.verdict))
    html = snapshot.get_html_str(as_iframe=False) if snapshot else None
    pages.save(project.settings, _summary(project.spec, report, window), html)


def _summary(spec: ProjectSpec, report: Report, window: Window) -> dict[str, Any]:
    """The report as plain JSON types: what the portal and the next report read."""
    verdict = report.verdict
    found = asdict(report) | {
        "title": spec.title,
        "path": report.path.name,
        "at": report.at.isoformat(),
        "since": report.since.isoformat(),
        "made": report.made.isoformat(),
        "drift": {column: score if np.isfinite(score) else None for column, score in report.drift.items()},
        "window": asdict(window) | {"at": window.at.isoformat()},
    }
    found["verdict"] |= {"action": verdict.action, "retrain": verdict.retrain, "summary": verdict.summary}
    return found


def _history(summaries: list[dict[str, Any]], at: datetime, trained: datetime | None) -> list[Window]:
    """The windows of earlier reports, by rising instant; retrained are those whose retraining has come about."""
    windows = [summary["window"] for summary in summaries]
    parsed = [Window(**window | {"at": datetime.fromisoformat(window["at"])}) for window in windows]
    done = trained or at
    return [replace(one, retrained=one.retrained and one.at <= done) for one in parsed if one.at < at]


def _told(snapshot: Snapshot, verdict: Verdict) -> Snapshot:
    """Give the snapshot the verdict as tag and metadata, which Evidently's UI lists."""
    model = workspace.slim(snapshot)
    model["tags"] = [] if verdict.action == "none" else [verdict.action]
    model["metadata"] = {"verdict": verdict.summary}
    return Snapshot.load_dict(model)


def _forget(project: Project, summaries: list[dict[str, Any]], now: datetime) -> None:
    """Delete the reports that were made longer ago than the settings say, by the wall clock.

    Evidently's UI holds each snapshot in memory, about 1 MB: it has the last ones alone, the pages are all there.
    """
    for found in summaries[: -SNAPSHOTS + 1]:
        workspace.remove(project, found["name"])
    oldest = now - timedelta(days=project.settings.keep_days)
    for found in summaries:
        if datetime.fromisoformat(found.get("made", found["at"])) < oldest:
            workspace.remove(project, found["name"])
            pages.remove(project.settings, project.spec.name, found["name"])
