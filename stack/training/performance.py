"""How good the answers were, measured on the rows whose outcome has arrived, by what the project is judged by."""

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
    "bias": "Calibration bias (mean answer − mean outcome)",
}
"""Titles of the scores that reports show."""


def scores(spec: ProjectSpec) -> tuple[str, ...]:
    """The scores that a report shows of a project's answers."""
    return (*Scorer.of(spec).headline, "bias")


def known(frame: DataFrame, outputs: list[str], label: str) -> DataFrame:
    """The rows that hold an answer and its outcome; none where a column is missing."""
    columns = [*outputs, label]
    if not set(columns) <= set(frame):
        return frame.iloc[:0]
    there: DataFrame = frame[np.isfinite(frame[columns].to_numpy("float64", na_value=np.nan)).all(axis=1)]
    return there


def measure(spec: ProjectSpec, frame: DataFrame, label: str | None = None) -> dict[str, float | None] | None:
    """Measure the rows that hold an answer and its outcome; None when there are none.

    Args:
        spec: the project.
        frame: the outputs of the task, and the outcome, encoded.
        label: name of the outcome's column; that of project.yaml when omitted.

    Returns:
        The metrics of the task and the project's own, skill against the constant answer that fits these rows best;
        ``loss``, the mean of the task's losses; None for what is not defined on these rows.
    """
    task, label = tasks.of(spec), label or spec.label
    rows = known(frame, list(task.outputs), label)
    if rows.empty:
        return None
    outcome, answer = rows[label].to_numpy("float64"), rows[list(task.outputs)].to_numpy("float64")
    found = Scorer.of(spec).metrics(outcome, answer, task.baseline(outcome))
    found["loss"] = float(task.losses(outcome, answer).mean())
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def reliability(said: np.ndarray, seen: np.ndarray, bins: int = 10) -> list[tuple[float, float, int]]:
    """Mean answer, mean outcome and rows of each equally filled bin, by rising answer."""
    order = np.argsort(said, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    return [(float(said[part].mean()), float(seen[part].mean()), int(part.size)) for part in parts]
