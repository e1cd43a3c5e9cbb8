"""The loss of answers whose outcomes are not known yet, estimated from their probabilities.

Confidence-based performance estimation: where probabilities are calibrated, the expected loss of an answer follows from
them (https://nannyml.readthedocs.io/en/stable/how_it_works/performance_estimation.html). They are calibrated on the
champion's newest labelled answers and its holdout (Platt 1999). The estimate follows what changes in the features. It
cannot see what has changed since in how outcomes depend on them: for that, labels are needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pandas import DataFrame, Timedelta, Timestamp, concat, to_datetime

from monitoring.frames import TIME
from monitoring.rules import LEAST_ROWS
from stack.specification import calibration, tasks
from stack.specification.calibration import FLOAT32, Points
from stack.specification.specs import ProjectSpec
from stack.training.calibration import sigmoid
from stack.training.evaluation import answers, labelled

CALIBRATING = 200
"""Fewer labelled rows, or of one outcome only, calibrate nothing."""
ENOUGH = 8000
"""Where fewer of the newest answers have a label, the holdout counts with them."""


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
        holdout: labelled rows with the champion's answers before its refit.
    """
    outputs = list(tasks.of(spec).outputs)
    if tasks.of(spec).numeric or not {*outputs} <= {*current}:
        return None
    rows = current.dropna(subset=outputs)
    if min(len(rows), current.attrs.get("new", len(rows))) < LEAST_ROWS:  # a model is too sure of what it learnt from
        return None
    past = labelled(judged, outputs, spec.label) if TIME in judged else judged.iloc[:0]
    curves = _calibrations(spec, holdout, past, Timestamp(at) - spec.monitoring.window)
    return Estimate(_expected(spec, curves, rows), _past_error(spec, holdout, past, at))


def _past_error(spec: ProjectSpec, holdout: DataFrame | None, rows: DataFrame, at: datetime) -> float | None:
    """Compare estimates with what was measured, in windows before the one that ends at an instant."""
    if rows.empty:
        return None
    task, errors = tasks.of(spec), []
    ago = (Timestamp(at) - to_datetime(rows[TIME], utc=True)) // spec.monitoring.window
    for windows, window in rows[ago > 0].groupby(ago[ago > 0]):
        if len(window) >= LEAST_ROWS:
            curves = _calibrations(spec, holdout, rows, Timestamp(at) - (windows + 1) * spec.monitoring.window)
            measured = float(task.losses(window[spec.label], answers(spec, window)).mean())
            errors.append(abs(_expected(spec, curves, window) - measured))
    return float(np.mean(errors)) if errors else None


def _expected(spec: ProjectSpec, curves: list[Points], rows: DataFrame) -> float:
    """Return the mean loss of answers over the outcomes that their calibrated probabilities expect."""
    task, answer = tasks.of(spec), answers(spec, rows)
    chance = np.column_stack(
        [calibration.apply(curve, column, FLOAT32) for curve, column in zip(curves, answer.T, strict=True)]
    )
    chance = np.hstack([1 - chance, chance]) if len(task.outputs) == 1 else chance / chance.sum(axis=1, keepdims=True)
    losses = [task.losses(np.full(len(rows), at), answer) for at in range(chance.shape[1])]
    return float((chance * np.transpose(losses)).sum(axis=1).mean())


def _calibrations(spec: ProjectSpec, holdout: DataFrame | None, past: DataFrame, start: Timestamp) -> list[Points]:
    """Return the sigmoid of each output; none where too few rows say.

    It is that of the answers in the bias window before a start; where they are fewer than `ENOUGH`, with the holdout.
    """
    task, rows = tasks.of(spec), past
    if len(past):
        ago = start - to_datetime(past[TIME], utc=True)
        rows = past[(ago >= Timedelta(0)) & (ago < spec.monitoring.bias_window)]
    if holdout is not None and len(rows) < ENOUGH:
        known = labelled(holdout, [*task.outputs], spec.label)
        rows = concat([known, rows])
    if len(rows) < CALIBRATING:
        return [()] * len(task.outputs)
    columns = zip(task.targets(rows[spec.label]).T, answers(spec, rows).T, strict=True)
    return [sigmoid(outcome, answer, FLOAT32) for outcome, answer in columns]
