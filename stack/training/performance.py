"""Scores of the predictions, measured on the rows whose outcome is known."""

from __future__ import annotations

import math

import numpy as np
from pandas import DataFrame

from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training.evaluation import Scorer

NAMES = {
    "log_loss": "Log-loss",
    "brier": "Brier score",
    "auc": "AUC",
    "accuracy": "Accuracy",
    "rmse": "RMSE",
    "mae": "Mean absolute error",
    "r2": "R²",
    "bias": "Calibration bias (mean prediction − mean outcome)",
}
"""Titles of the scores that reports show."""


def scores(spec: ProjectSpec) -> tuple[str, ...]:
    """Return the scores that a project's reports show."""
    return (*Scorer.of(spec).headline, "bias")


def labelled(frame: DataFrame, outputs: list[str], label: str) -> DataFrame:
    """Return the rows with a prediction and its outcome; none where a column is missing."""
    columns = [*outputs, label]
    if not set(columns) <= set(frame):
        return frame.iloc[:0]
    there: DataFrame = frame[np.isfinite(frame[columns].to_numpy("float64", na_value=np.nan)).all(axis=1)]
    return there


def measure(spec: ProjectSpec, frame: DataFrame, label: str | None = None) -> dict[str, float | None] | None:
    """Measure the rows with a prediction and its outcome; None when there are none.

    Args:
        spec: the project.
        frame: the outputs of the task, and the outcome, encoded.
        label: name of the outcome's column; that of project.yaml when omitted.

    Returns:
        The metrics of the task and the project's own, skill against the constant prediction that fits these rows best;
        ``loss``, the mean of the task's losses; None for what is not defined on these rows.
    """
    task, label = tasks.of(spec), label or spec.label
    rows = labelled(frame, list(task.outputs), label)
    if rows.empty:
        return None
    outcome, prediction = rows[label].to_numpy("float64"), rows[list(task.outputs)].to_numpy("float64")
    metrics = Scorer.of(spec).metrics(outcome, prediction, task.baseline(outcome))
    metrics["loss"] = float(task.losses(outcome, prediction).mean())
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def reliability(predicted: np.ndarray, observed: np.ndarray, bins: int = 10) -> list[tuple[float, float, int]]:
    """Return mean prediction, mean outcome and rows of each equally filled bin, by rising prediction."""
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    return [(float(predicted[part].mean()), float(observed[part].mean()), int(part.size)) for part in parts]
