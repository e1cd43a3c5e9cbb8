"""Evidently's workspace: one Evidently project for each project of the stack, one snapshot for each report.

Evidently's own writer has no lock and writes in place, and one half-written file keeps its UI from starting. So a
snapshot is written aside and then put in place whole, in a way that the watcher of a running UI notices.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from evidently.core.report import Snapshot
from evidently.sdk.models import DashboardPanelPlot, PanelMetric, ProjectModel
from evidently.sdk.panels import bar_plot_panel, counter_panel, line_plot_panel
from evidently.ui.workspace import Project, Workspace

from stack.core.settings import Settings
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training.performance import NAMES, scores


def project_id(spec: ProjectSpec) -> UUID:
    """The Evidently project of `spec`: the same on every machine, so that making it twice is making it once."""
    return uuid5(NAMESPACE_URL, f"stack/projects/{spec.name}")


def snapshot_id(spec: ProjectSpec, name: str) -> UUID:
    """The snapshot of the report `name`: a report made again replaces the former one."""
    return uuid5(project_id(spec), name)


@contextmanager
def writer(settings: Settings) -> Iterator[None]:
    """Hold the one writer's lock of workspace and pages; waits for its turn."""
    settings.reports.mkdir(parents=True, exist_ok=True)
    with (settings.reports / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def page(spec: ProjectSpec, name: str) -> str:
    """Path of a report's page in Evidently's UI."""
    return f"/projects/{project_id(spec)}/reports/{snapshot_id(spec, name)}"


def slim(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot without what Evidently's UI never draws: it keeps every snapshot in memory.

    Each metric's own widgets stand in the report's widgets once more, and each figure carries Plotly's whole default
    template: four fifths of the size.
    """
    model: dict[str, Any] = snapshot.dump_dict()
    for result in model["metric_results"].values():
        result["widget"] = []
    model["widgets"] = _without_templates(model["widgets"])
    return model


def _without_templates(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _without_templates(value) for key, value in part.items() if key != "template"}
    return [_without_templates(value) for value in part] if isinstance(part, list) else part


def add(project: Project, name: str, snapshot: Snapshot) -> None:
    """Publish a snapshot, and its project and dashboard where they are missing. The caller is the `writer`."""
    ours = project_id(project.spec)
    target = project.settings.reports / str(ours)
    (target / "snapshots").mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as aside:
        workspace = Workspace(aside)
        added = workspace.add_project(ProjectModel(id=ours, name=project.spec.name, description=project.spec.title))
        written = workspace.add_run(ours, snapshot, include_data=False, name=name)
        _draw(added, project.spec)
        staged = Path(aside) / str(ours)
        for file in ("metadata.json", "dashboard.json"):
            # A dashboard or description that the user changed in the UI stays as it is.
            if not (target / file).exists():
                _publish(project.settings, staged / file, target / file)
        file = f"{snapshot_id(project.spec, name)}.json"
        _publish(project.settings, staged / "snapshots" / f"{written.id}.json", target / "snapshots" / file)


def remove(project: Project, name: str) -> None:
    """Delete the snapshot of the report `name`; one that is gone already is no error."""
    file = f"{snapshot_id(project.spec, name)}.json"
    (project.settings.reports / str(project_id(project.spec)) / "snapshots" / file).unlink(missing_ok=True)


def _publish(settings: Settings, staged: Path, target: Path) -> None:
    """Put a complete file in place, never a part of one.

    The watcher of Evidently's UI drops a rename within the workspace and sees a new link as a creation, so a former
    file is taken away first; killed in between, the next run makes it again. The watcher dies of a project folder
    that is gone before it looks, so nothing is staged as one in there.
    """
    partial = settings.reports / ".partial"
    with partial.open("wb") as file:
        file.write(staged.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    target.unlink(missing_ok=True)
    target.hardlink_to(partial)
    partial.unlink()


def _draw(project: Project, spec: ProjectSpec) -> None:
    """Fill the dashboard: drift, missing values, predictions and performance over time."""
    project.dashboard.clear_dashboard()
    for panel in _panels(spec):
        project.dashboard.add_panel(panel, tab="Monitoring")
    columns = [_drift_of(column) for column in spec.features.columns]
    project.dashboard.add_panel(
        line_plot_panel(f"Drift of each feature ({spec.monitoring.method})", columns), tab="Features"
    )


def _panels(spec: ProjectSpec) -> list[DashboardPanelPlot]:
    policy = spec.monitoring
    share = PanelMetric(legend="share", metric="DriftedColumnsCount", metric_labels={"value_type": "share"})
    missing = PanelMetric(legend="missing", metric="MissingPercent")
    age = PanelMetric(legend="minutes", metric="FeatureAge")
    outputs = tasks.of(spec).outputs
    means = [PanelMetric(legend=one, metric="MeanValue", metric_labels={"column": one}) for one in outputs]
    rows = PanelMetric(legend="rows", metric="RowCount")
    return [
        counter_panel("Rows in the last window", [rows], size="half"),
        counter_panel("Share of drifted features, last window", [share], size="half"),
        line_plot_panel(
            f"Share of drifted features by {policy.method}, notice from {policy.max_drift_share}",
            [share],
            size="half",
        ),
        line_plot_panel("Missing values, %", [missing], size="half"),
        line_plot_panel("Mean prediction", means, size="half"),
        line_plot_panel("Drift of the predictions", [_drift_of(one) for one in outputs], size="half"),
        *(_score_panel(name) for name in scores(spec)),
        line_plot_panel("Age of the features, minutes (95 % are younger)", [age], size="half"),
        bar_plot_panel("Rows", [rows]),
    ]


def _score_panel(name: str) -> DashboardPanelPlot:
    metric = PanelMetric(legend=name, metric="LabelledScore", metric_labels={"score": name})
    return line_plot_panel(NAMES.get(name, name), [metric], size="half")


def _drift_of(column: str) -> PanelMetric:
    return PanelMetric(legend=column, metric="ValueDrift", metric_labels={"column": column})
