"""Recent predictions: the logged answers, and the events of a window scored by the champion."""

from datetime import datetime

from pandas import DataFrame

from stack.features import datasets
from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving import scoring


def answered(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Return the logged predictions asked in (since, until]: features, answers, and the label where it is known."""
    return project.log.read(since, until).rename(columns={"label": project.spec.label})


def judged(project: Project, champion: Version, at: datetime) -> DataFrame:
    """Return the champion's own labelled answers since its training cut-off, from which calibration is measured."""
    outcomes = project.log.outcomes(champion.cutoff, at)
    return outcomes[outcomes["model_version"] == champion.version].rename(columns={"label": project.spec.label})


def window(project: Project, champion: Version, at: datetime) -> DataFrame:
    """Return the rows of a report at an instant.

    They are the logged predictions of the monitoring window; where there are fewer than a report needs, the window's
    labelled events, which the champion scores now. A table without time has no such window: then they are the rows that
    were held out of the champion's training, with the predictions from before its refit.
    """
    since = at - project.spec.monitoring.window
    logged = answered(project, since, at)
    if len(logged) >= project.spec.monitoring.min_rows:
        return logged
    if project.spec.training.split == "random":
        return artifacts.holdout(project.settings, champion)
    return scoring.score(project, champion, datasets.window(project, since, at))


def label(project: Project, since: datetime, until: datetime) -> int:
    """Join the labels of the rows that became known in (since, until] to their predictions; return their number."""
    if project.log.is_empty():  # the first batch may be years long
        return 0
    events = datasets.arrived(project, since, until)
    labels = events.rename(columns={project.spec.label: "label", "label_available_at": "label_at"})
    return project.log.label_events(labels[["label", "label_at", *project.spec.request]])
