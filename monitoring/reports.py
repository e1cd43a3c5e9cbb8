"""One report: a window against the champion's training reference, with the verdict of the drift policy.

Three things are kept of it: a snapshot in Evidently's workspace, a page, and a small summary. A window without rows has
no snapshot, and Evidently, whose import takes seconds, is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pandas import DataFrame

from monitoring import estimates, frames, metrics, pages, policy, shifts, workspace
from monitoring.comparison import P_VALUE_METHODS, WindowComparison
from stack.core import clock
from stack.kit.drift import Sample, Verdict, Window
from stack.project import Project
from stack.specification.specs import ProjectSpec
from stack.training.evaluation import scores

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

SNAPSHOTS = 100
"""Of each project in Evidently's UI."""


@dataclass(frozen=True)
class Report:
    """The result of a report.

    ``drift`` holds each feature column's score of the method in ``project.yaml``, or its p-value where the window has
    fewer than ``min_rows`` rows; it is empty where they are too few to say. ``path`` is the page, served by the portal
    as ``/reports/<project>/<name>.html``;
    ``dashboard`` the page in Evidently's UI, empty without rows.
    """

    project: str
    name: str
    at: datetime
    since: datetime
    created_at: datetime
    path: Path
    dashboard: str
    window: Window
    drift: Mapping[str, float]
    drifted: tuple[str, ...]
    drift_limit: float | None
    """The score from which on a column drifts; None where the scores are p-values."""
    prediction_drift: float | None
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
    growth: float | None = None,
    labelled: DataFrame | None = None,
    holdout: DataFrame | None = None,
    other: DataFrame | None = None,
    created_at: datetime | None = None,
    trained: datetime | None = None,
) -> Report:
    """Compare, decide, and save. The same `name` again replaces the former report.

    Args:
        project: names the columns and the policy; reports created longer ago than its ``keep_days`` are deleted.
        reference: the champion's training reference: feature columns; label, outputs, event_timestamp if known.
        current: rows of (at - spec.monitoring.window, at]: the same, and features_at; the label is encoded. Its
            ``attrs`` are those of :mod:`stack.serving.observed`; without them all rows are new to the champion.
        at: end of the window.
        name: letters, digits, '.', '_' and '-'; a later report's name sorts behind an earlier one's.
        cutoff: the champion's training cut-off; without it the policy never retrains.
        growth: time since the cut-off, as a share of the span of the champion's training data, if known.
        other: rows of another origin, of which only the drift is reported.
        labelled: rows that the champion predicted since its cut-off, for bias and loss; `current` when omitted.
        holdout: labelled rows with the champion's answers, on which estimates of the loss are calibrated.
        created_at: instant on the wall clock, which the age of a report is counted by; `at` when omitted.
        trained: the newest version's training cut-off: a retraining requested later has failed, and starts no
            cool-down; none has failed when omitted.

    Raises:
        StackError: a feature column is missing from a frame, or the name is no file name.
    """
    pages.check(name)
    current = frames.typed(project.spec, current, "the current frame")
    reference = frames.typed(project.spec, reference, "the reference frame")
    predicted = current if labelled is None else frames.prediction_columns(project.spec, labelled)
    outcomes = frames.outcomes(project.spec, predicted, at, cutoff)
    estimate = estimates.of(project.spec, current, predicted, at, holdout)
    compared = _compared(WindowComparison(project.spec, reference, current, outcomes, estimate=estimate), at, name)
    others = [] if other is None else [_beside(compared, other, at)]
    window = replace(measured(compared, others, at), growth=growth)
    with workspace.writer(project.settings):
        earlier = pages.summaries(project.settings, project.name)
        verdict = policy.verdict(project, [*_history(earlier, at, trained), window], at=at, cutoff=cutoff)
        report = _report(project, name, compared, replace(window, retrained=verdict.retrain), verdict, created_at or at)
        _save(project, report, compared.snapshot)
        _delete_old(project, earlier, report.created_at)
    return report


def _compared(window: WindowComparison, at: datetime, name: str) -> WindowComparison:
    """Compare a window by every metric; one without rows stays as it is."""
    if window.current.empty:
        return window
    from monitoring import evidently_report

    return evidently_report.every_metric(window, at=at, name=name)


def _beside(compared: WindowComparison, other: DataFrame, at: datetime) -> WindowComparison:
    """Compare the feature columns of rows of another origin."""
    typed = frames.typed(compared.spec, other, "the other frame")
    beside = WindowComparison(compared.spec, compared.reference, typed)
    if not beside.enough:
        return beside
    from monitoring import evidently_report

    return evidently_report.drift_alone(beside, at=at)


def measured(compared: WindowComparison, others: Sequence[WindowComparison], at: datetime) -> Window:
    """Measure every monitored metric, and the drift of rows of other origins, for the drift policy."""
    values = {metric.name: metric.measure(compared) for metric in metrics.METRICS}
    return Window(
        at=at,
        rows=len(compared.current),
        drift_share=values["drift"] if compared.by_share else None,
        prediction_drift=compared.predictions_drift,
        lost=compared.lost,
        samples=[each.sample for each in (compared, *others) if each is not compared or not compared.by_share],
        shifts=shifts.of(compared),
        **asdict(compared.outcomes),
        measured={name: value for name, value in values.items() if value is not None and np.isfinite(value)},
    )


def _report(
    project: Project, name: str, compared: WindowComparison, window: Window, verdict: Verdict, created_at: datetime
) -> Report:
    return Report(
        project=project.name,
        name=name,
        at=window.at,
        since=window.at - project.spec.monitoring.window,
        created_at=created_at,
        path=pages.folder(project.settings, project.name) / f"{name}.html",
        dashboard=workspace.page(project.spec, name) if compared.snapshot else "",
        window=window,
        drift=compared.drift,
        drifted=compared.drifted,
        drift_limit=None if compared.method in P_VALUE_METHODS else compared.threshold,
        prediction_drift=compared.prediction_drift,
        performance=compared.performance,
        headline=scores(project.spec),
        verdict=verdict,
    )


def _save(project: Project, report: Report, snapshot: Snapshot | None) -> None:
    if snapshot:
        workspace.add(project, report.name, _tagged(snapshot, report.verdict))
    html = snapshot.get_html_str(as_iframe=False) if snapshot else None
    pages.save(project.settings, _summary(project.spec, report), html)


def _summary(spec: ProjectSpec, report: Report) -> dict[str, Any]:
    """Return the report as plain JSON types: what the portal and the next report read."""
    summary, window, verdict = asdict(report), report.window, report.verdict
    measured = summary["window"].pop("measured")
    summary["window"]["at"] = window.at.isoformat()
    summary["verdict"] |= {"action": verdict.action, "retrain": verdict.retrain, "summary": verdict.summary}
    summary["verdict"]["decided"] = verdict.decided
    return summary | {
        "title": spec.title,
        "path": report.path.name,
        "at": report.at.isoformat(),
        "since": report.since.isoformat(),
        "made": summary.pop("created_at").isoformat(),
        "rows": window.rows,
        "drift": {column: score if np.isfinite(score) else None for column, score in report.drift.items()},
        "drift_share": window.drift_share,
        "missing_share": measured.get("missing"),
        "feature_age_minutes": measured.get("feature_age"),
        "lost": window.lost,
        "measured": measured,
        "figures": {
            metric.title: format(measured[metric.name], metric.form) if metric.name in measured else "-"
            for metric in metrics.METRICS
            if metric.title
        },
    }


def _history(summaries: list[dict[str, Any]], at: datetime, trained: datetime | None) -> list[Window]:
    """Return the windows of earlier reports by rising instant; ``retrained`` only where a version came of it."""
    done = trained or at
    windows = [
        Window(
            **summary["window"]
            | {
                "at": datetime.fromisoformat(summary["window"]["at"]),
                "measured": summary.get("measured", {}),
                "samples": [Sample(**sample) for sample in summary["window"].get("samples", ())],
            }
        )
        for summary in summaries
    ]
    return [replace(window, retrained=window.retrained and window.at <= done) for window in windows if window.at < at]


def _tagged(snapshot: Snapshot, verdict: Verdict) -> Snapshot:
    """Give the snapshot the verdict as tag and metadata, which Evidently's UI lists."""
    from evidently.core.report import Snapshot

    from monitoring import _compat

    model = _compat.slim(snapshot)
    model["tags"] = [] if verdict.action == "none" else [verdict.action]
    model["metadata"] = {"verdict": verdict.summary}
    return Snapshot.load_dict(model)


def _delete_old(project: Project, summaries: list[dict[str, Any]], now: datetime) -> None:
    """Delete the reports that were created longer ago than the settings say, by the wall clock.

    Evidently's UI holds each snapshot in memory, about 1 MB: it has the last ones alone, the pages are all there.
    """
    for summary in summaries[: -SNAPSHOTS + 1]:
        workspace.remove(project, summary["name"])
    made = [datetime.fromisoformat(summary.get("made", summary["at"])) for summary in summaries]
    oldest = clock.oldest_kept(project.settings, now, max(made, default=None))
    for summary, instant in zip(summaries, made, strict=True):
        if oldest and instant < oldest:
            workspace.remove(project, summary["name"])
            pages.remove(project.settings, project.spec.name, summary["name"])
