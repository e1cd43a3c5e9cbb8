"""The newest correction of a version's intervals or sets of classes: from its labelled answers, in the state database.

An answer is logged with the correction that is in it, so that the next one follows from the ends that were answered.
"""

from datetime import datetime, timedelta

import numpy as np
from pandas import DataFrame

from stack.core.settings import Settings
from stack.prediction_log import corrections
from stack.project import Project
from stack.registry.registry import Version
from stack.serving import intervals
from stack.serving.served import ServedModel
from stack.specification import class_sets, tasks
from stack.specification.specs import ProjectSpec
from stack.specification.tasks import CORRECTION, ENDS

WINDOWS, MIN_ROWS = (timedelta(days=28), timedelta(days=7)), 50
"""The larger correction of these windows counts: intervals become wider sooner than they become narrower."""


def update(project: Project, version: Version, rows: DataFrame, at: datetime) -> float | None:
    """Find the correction at an instant, and keep it; None where there are no intervals, or too few labelled answers.

    Args:
        rows: labelled answers of the version, as :func:`.observed.judged` returns them.
    """
    spec = project.spec
    if spec.interval is None:
        return None
    rows = rows[rows["event_timestamp"] <= at].dropna(subset=[*tasks.of(spec).ends, CORRECTION, spec.label])
    recent = [rows[rows["event_timestamp"] > at - window] for window in WINDOWS]
    found = [_correction(spec, part, spec.interval) for part in recent if len(part) >= MIN_ROWS]
    if not found:
        return None
    corrections.write(project.settings.state_database, project.name, version.version, max(found), len(recent[0]), at)
    return max(found)


def apply(settings: Settings, project: str, version: str, model: ServedModel) -> None:
    """Let a model with intervals answer with the newest correction of its version, if there is one."""
    if not model.contract.interval:
        return
    found = corrections.newest(settings.state_database, project, version)
    model.correction = model.contract.correction if found is None else found


def _correction(spec: ProjectSpec, rows: DataFrame, level: float) -> float:
    task, label = tasks.of(spec), rows[spec.label].to_numpy(np.float64)
    if not task.numeric:
        return class_sets.correction(label, rows[[*task.outputs]], level)
    quantiles = rows[[*ENDS]].to_numpy() + rows[[CORRECTION]].to_numpy() * [1, -1]
    return intervals.correction(label, quantiles, level)
