"""What happened lately: the answers that were given, and the events of a window with the champion's answer."""

from __future__ import annotations

from datetime import datetime

from pandas import DataFrame

from stack.core.settings import Settings
from stack.features import datasets
from stack.prediction_log import predictions
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving import scoring
from stack.specification.project import ProjectSpec


def answered(settings: Settings, spec: ProjectSpec, since: datetime, until: datetime) -> DataFrame:
    """The logged predictions asked in (since, until]: features, probability, and the label where it is known."""
    log = predictions.read(settings, spec, since, until)
    return log.rename(columns={"asked_at": "event_timestamp", "label": spec.label})


def judged(settings: Settings, spec: ProjectSpec, champion: Version, at: datetime) -> DataFrame:
    """The champion's own answers since its training cut-off whose label is known: what its calibration rests on."""
    found = predictions.outcomes(settings, spec, champion.cutoff, at)
    own = found[found["model_version"] == champion.version]
    return own.rename(columns={"asked_at": "event_timestamp", "label": spec.label})


def window(settings: Settings, spec: ProjectSpec, champion: Version, at: datetime) -> DataFrame:
    """The rows that a report at an instant looks at.

    They are the logged predictions of the monitoring window; where fewer were asked than a report needs, the window's
    labelled events, which the champion scores now. A table without time has no such window: then they are the rows that
    were held out of the champion's training, with the answers it gave before its refit.
    """
    since = at - spec.monitoring.window
    logged = answered(settings, spec, since, at)
    if len(logged) >= spec.monitoring.min_rows:
        return logged
    if spec.training.split == "random":
        return artifacts.holdout(settings, champion)
    return scoring.score(settings, spec, champion, datasets.window(settings, spec, since, at))


def label(settings: Settings, spec: ProjectSpec, since: datetime, until: datetime) -> int:
    """Join the labels of the rows that became known in (since, until] to the predictions about them.

    Returns:
        Number of predictions labelled.
    """
    events = datasets.arrived(settings, spec, since, until)
    labels = events.rename(columns={spec.label: "label", "label_available_at": "label_at"})
    return predictions.label(settings, spec, labels[["label", "label_at", *spec.request]])
