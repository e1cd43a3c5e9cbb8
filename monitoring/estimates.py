"""The loss of answers whose outcomes are not known yet, estimated from their probabilities.

Confidence-based performance estimation: where probabilities are calibrated, the expected loss of an answer follows from
them (https://nannyml.readthedocs.io/en/stable/how_it_works/performance_estimation.html). They are calibrated on the
champion's holdout (Platt 1999). The estimate follows what changes in the features. It cannot see what changes in how
outcomes depend on them: for that, labels are needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pandas import DataFrame, Timestamp, to_datetime

from monitoring.frames import TIME
from monitoring.rules import LEAST_ROWS
from stack.serving.reasons import scores
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training.evaluation import answers, labelled

CALIBRATING = 200
"""Fewer labelled rows, or of one outcome only, calibrate nothing."""


@dataclass(frozen=True)
class Estimate:
    """The estimated mean loss of a window, and how far such estimates were off."""

    loss: float
    error: float | None
    """Mean absolute difference to the measured loss, over earlier windows of the champion; None before there is one."""


def of(
    spec: ProjectSpec, current: DataFrame, judged: DataFrame, at: datetime, holdout: DataFrame | None
) -> Estimate | None:
    """Estimate the loss of a window; None of numbers, or too few answers.

    Args:
        spec: the project.
        current: the answers of the window.
        judged: the champion's labelled answers, of any time since its cut-off.
        at: end of the window.
        holdout: labelled rows with the champion's answers before its refit; without them, probabilities count as they
            are.
    """
    outputs = list(tasks.of(spec).outputs)
    if tasks.of(spec).numeric or not {*outputs} <= {*current}:
        return None
    rows = current.dropna(subset=outputs)
    if min(len(rows), current.attrs.get("new", len(rows))) < LEAST_ROWS:  # a model is too sure of what it learnt from
        return None
    calibration = _calibration(spec, holdout)
    return Estimate(_expected(spec, calibration, rows), _past_error(spec, calibration, judged, at))


def _past_error(spec: ProjectSpec, calibration: np.ndarray, judged: DataFrame, at: datetime) -> float | None:
    """Compare estimates with what was measured, in windows before the one that ends at an instant."""
    rows, task, errors = labelled(judged, [*tasks.of(spec).outputs], spec.label), tasks.of(spec), []
    if rows.empty or TIME not in rows:
        return None
    ago = (Timestamp(at) - to_datetime(rows[TIME], utc=True)) // spec.monitoring.window
    for _, window in rows[ago > 0].groupby(ago[ago > 0]):
        if len(window) >= LEAST_ROWS:
            measured = float(task.losses(window[spec.label], answers(spec, window)).mean())
            errors.append(abs(_expected(spec, calibration, window) - measured))
    return float(np.mean(errors)) if errors else None


def _expected(spec: ProjectSpec, calibration: np.ndarray, rows: DataFrame) -> float:
    """Return the mean loss of answers over the outcomes that their calibrated probabilities expect."""
    task, answer = tasks.of(spec), answers(spec, rows)
    odds = np.exp(calibration[0] + calibration[1] * scores("log-odds", answer))
    chance = odds / (1 + odds)
    chance = np.hstack([1 - chance, chance]) if len(task.outputs) == 1 else chance / chance.sum(axis=1, keepdims=True)
    losses = [task.losses(np.full(len(rows), at), answer) for at in range(chance.shape[1])]
    return float((chance * np.transpose(losses)).sum(axis=1).mean())


def _calibration(spec: ProjectSpec, holdout: DataFrame | None) -> np.ndarray:
    """Return intercept and slope, (2, outputs), of the log-odds of each output; 0 and 1 where too few rows say."""
    from sklearn.linear_model import LogisticRegression

    task = tasks.of(spec)
    fitted = np.tile([[0.0], [1.0]], len(task.outputs))
    rows = holdout if holdout is None else labelled(holdout, [*task.outputs], spec.label)
    if rows is None or len(rows) < CALIBRATING:
        return fitted
    odds, targets = scores("log-odds", answers(spec, rows)), task.targets(rows[spec.label])
    for at in range(len(task.outputs)):
        if 0 < targets[:, at].mean() < 1:
            model = LogisticRegression(C=1e6).fit(odds[:, [at]], targets[:, at])
            fitted[:, at] = model.intercept_[0], model.coef_[0, 0]
    return fitted
