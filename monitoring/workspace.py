"""Evidently's workspace: one Evidently project for each project of the stack, one snapshot for each report.

Evidently writes into a folder aside; complete files are then published to the workspace.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, UUID, uuid5

from monitoring import metrics
from stack.core.settings import Settings
from stack.project import Project
from stack.specification.specs import ProjectSpec

if TYPE_CHECKING:
    from evidently.core.report import Snapshot
    from evidently.ui.workspace import Project as EvidentlyProject

PLOTS = ("text", "counter", "line", "bar", "pie")
"""Kinds of panels, in the order of the dashboard."""


def project_id(spec: ProjectSpec) -> UUID:
    """Return the id of the Evidently project of `spec`: the same on every machine, so that none is added twice."""
    return uuid5(NAMESPACE_URL, f"stack/projects/{spec.name}")


def snapshot_id(spec: ProjectSpec, name: str) -> UUID:
    """Return the id of the snapshot of the report `name`: a report of the same name replaces it."""
    return uuid5(project_id(spec), name)


@contextmanager
def writer(settings: Settings) -> Iterator[None]:
    """Hold the lock of workspace and pages; wait while another process holds it."""
    settings.reports.mkdir(parents=True, exist_ok=True)
    with (settings.reports / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def page(spec: ProjectSpec, name: str) -> str:
    """Return the path of a report's page in Evidently's UI."""
    return f"/projects/{project_id(spec)}/reports/{snapshot_id(spec, name)}"


def add(project: Project, name: str, snapshot: Snapshot) -> None:
    """Publish a snapshot, and its project and dashboard where they are missing. The caller holds `writer`."""
    from evidently.sdk.models import ProjectModel
    from evidently.ui.workspace import Workspace

    from monitoring import _compat

    ours = project_id(project.spec)
    target = project.settings.reports / str(ours)
    (target / "snapshots").mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as aside:
        workspace = Workspace(aside)
        added = workspace.add_project(ProjectModel(id=ours, name=project.spec.name, description=project.spec.title))
        written = workspace.add_run(ours, snapshot, include_data=False, name=name)
        _draw(added, project.spec)
        stored = _compat.stored_files(Path(aside) / str(ours), written.id)
        for file in ("metadata.json", "dashboard.json"):
            # A dashboard or description that the user changed in the UI stays as it is.
            if not (target / file).exists():
                _compat.publish(project.settings.reports, stored[file], target / file)
        _compat.publish(project.settings.reports, stored["snapshot"], _snapshot_file(project, name))


def remove(project: Project, name: str) -> None:
    """Delete the snapshot of the report `name`, if there is any."""
    _snapshot_file(project, name).unlink(missing_ok=True)


def _snapshot_file(project: Project, name: str) -> Path:
    folder = project.settings.reports / str(project_id(project.spec)) / "snapshots"
    return folder / f"{snapshot_id(project.spec, name)}.json"


def _draw(project: EvidentlyProject, spec: ProjectSpec) -> None:
    """Fill the dashboard with the panels of the monitored metrics: counters first, then lines, then bars."""
    from monitoring import drawings

    project.dashboard.clear_dashboard()
    panels = [panel for metric in metrics.METRICS for panel in drawings.dashboard_panels(metric, spec)]
    for panel in sorted(panels, key=lambda panel: PLOTS.index(panel.plot_params["plot_type"])):
        project.dashboard.add_panel(panel, tab="Monitoring")
    for metric in metrics.METRICS:
        for panel in drawings.feature_panels(metric, spec):
            project.dashboard.add_panel(panel, tab="Features")
