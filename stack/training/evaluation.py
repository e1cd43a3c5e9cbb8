"""Evaluation of predictions: the metrics of a task and a project, slices, plots and feature importance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Series
from sklearn import config_context
from sklearn.inspection import permutation_importance
from sklearn.metrics import confusion_matrix, roc_curve
from sklearn.pipeline import Pipeline

from stack.kit.models import Metric
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.specification.tasks import Task
from stack.training import candidates, splits, thresholds

IMPORTANCE_ROWS = 1000
BINS = 20
RESAMPLES, RESAMPLED = 200, 5000
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


@dataclass(frozen=True)
class Scorer:
    """The metrics of a project: those of its task, and its own where its model.py has one."""

    task: Task
    own: Metric | None = None
    cost: Callable[[Any, Any], Any] = lambda label, probability: None
    """Costs of decisions (n,), None where they have none."""

    @classmethod
    def of(cls, spec: ProjectSpec) -> Scorer:
        """Return the scorer of a project."""
        return cls(tasks.of(spec), candidates.own_metric(spec), spec.cost)

    @property
    def headline(self) -> tuple[str, ...]:
        """Return the metrics that models are compared by, the most important first."""
        return (*([self.own.name] if self.own else []), *self.task.headline)

    @property
    def objective(self) -> str:
        """Return the name of the metric that the search optimises."""
        return self.own.name if self.own else self.task.loss

    @property
    def sign(self) -> int:
        """Return the factor that turns the objective into a loss: -1 where greater is better."""
        return -1 if self.own and self.own.greater_is_better else 1

    def greater_is_better(self, metric: str) -> bool:
        """Return whether a greater value of the metric means a better model."""
        if self.own and metric == self.own.name:
            return self.own.greater_is_better
        return metric not in self.task.smaller_is_better

    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Measure answers (n, outputs) against encoded outcomes (n,)."""
        own = {self.own.name: self._own(label, answer)} if self.own else {}
        cost = self.cost(label, np.asarray(answer).reshape(len(label), -1)[:, 0])
        priced = {} if cost is None else {"cost": float(cost.mean())}
        return own | self.task.metrics(label, answer, baseline) | priced

    def loss(self, label: Any, answer: Any) -> float:
        """Return what the search minimises: the mean loss of the task, or the project's metric with its sign."""
        if self.own:
            return self.sign * self._own(label, answer)
        return float(self.task.losses(label, answer).mean())

    def _own(self, label: Any, answer: Any) -> float:
        assert self.own  # noqa: S101  # checked by the callers
        return float(self.own.measure(np.asarray(label, dtype=float), np.asarray(answer, dtype=float)))


def answers(spec: ProjectSpec, rows: DataFrame, suffix: str = "") -> np.ndarray:
    """Return the predictions in a frame's columns, (n, outputs)."""
    return rows[[f"{name}{suffix}" for name in tasks.of(spec).outputs]].to_numpy(np.float64)


def answered(spec: ProjectSpec, rows: DataFrame, answer: np.ndarray, suffix: str = "") -> DataFrame:
    """Return a frame with predictions (n, outputs) as columns."""
    return rows.assign(**{f"{name}{suffix}": answer[:, at] for at, name in enumerate(tasks.of(spec).outputs)})


def slices(spec: ProjectSpec, rows: DataFrame, column: str) -> dict[str, float]:
    """Return the first headline metric in the rows of each value of a column; NaN where it is not defined."""
    scorer, baseline = Scorer.of(spec), np.zeros(len(tasks.of(spec).outputs))
    return {
        str(value): scorer.metrics(part[spec.label], answers(spec, part), baseline)[scorer.headline[0]]
        for value, part in rows.groupby(column, sort=True)
    }


def intervals(spec: ProjectSpec, rows: DataFrame, baseline: Any) -> dict[str, tuple[float, float]]:
    """Return between which values nine of ten resamples of answered rows have each metric.

    Days, groups or rows are drawn (:func:`.splits.units`), of at most `RESAMPLED` rows; NaN where it is not defined.
    """
    scorer, some = Scorer.of(spec), rows.iloc[:: -(-len(rows) // RESAMPLED)]
    unit, label, answer = splits.units(spec, some), some[spec.label].to_numpy(np.float64), answers(spec, some)
    places = np.split(np.argsort(unit, kind="stable"), np.cumsum(np.bincount(unit))[:-1])
    random = np.random.default_rng(spec.training.seed)

    def measured(places: Any) -> dict[str, float]:
        return scorer.metrics(label[places], answer[places], baseline)

    whole = Series(scorer.metrics(rows[spec.label].to_numpy(np.float64), answers(spec, rows), baseline))
    drawn = (random.integers(0, len(places), len(places)) for _ in range(RESAMPLES))
    with config_context(assume_finite=True, skip_parameter_validation=True):  # the whole has been checked
        values = DataFrame([measured(np.concatenate([places[number] for number in numbers])) for numbers in drawn])
    # Independent rows are as many as there are; of days or groups there are no more in all rows.
    share = math.sqrt(len(some) / len(rows)) if spec.training.unit == "rows" else 1.0
    bounds = whole + (values.quantile([0.05, 0.95]) - Series(measured(slice(None)))) * share
    return {name: (float(bounds[name].iloc[0]), float(bounds[name].iloc[1])) for name in whole.index}


def scores(spec: ProjectSpec) -> tuple[str, ...]:
    """Return the scores that a project's reports show."""
    return (*Scorer.of(spec).headline, "bias")


def labelled(frame: DataFrame, outputs: list[str], label: str) -> DataFrame:
    """Return the rows with a prediction and its outcome; none where a column is missing."""
    columns = [*outputs, label]
    if not set(columns) <= set(frame):
        return frame.iloc[:0]
    rows: DataFrame = frame[np.isfinite(frame[columns].to_numpy("float64", na_value=np.nan)).all(axis=1)]
    return rows


def measure(spec: ProjectSpec, frame: DataFrame, label: str | None = None) -> dict[str, float | None] | None:
    """Measure the rows with a prediction and its outcome; None when there are none.

    Args:
        label: name of the column of encoded outcomes; that of project.yaml when omitted.

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


def importance(pipeline: Pipeline, spec: ProjectSpec, features: DataFrame, label: Series[Any], seed: int) -> DataFrame:
    """Return the permutation importance: the increase of the task's loss when a column is shuffled.

    Returns:
        Columns ``column``, ``importance`` and ``deviation``, the most important first; of `IMPORTANCE_ROWS` rows.
    """
    task, shuffled = tasks.of(spec), list[DataFrame]()
    sample = features.sample(min(IMPORTANCE_ROWS, len(features)), random_state=seed)
    outcomes = label.loc[sample.index]
    repeat = partial(permutation_importance, pipeline, sample, outcomes, n_repeats=2, random_state=seed)

    def collect(_: Pipeline, rows: DataFrame, __: Any) -> float:
        shuffled.append(rows.copy())
        return 0.0

    # All shuffled copies are predicted at once, as for 1,000 rows a pipeline's overhead is most of the time.
    repeat(scoring=collect)
    answers = np.split(task.predict(pipeline, pd.concat(shuffled)), len(shuffled))
    scores = iter([-float(task.losses(outcomes, answer).mean()) for answer in answers])
    result = repeat(scoring=lambda *_: next(scores))
    table = {"column": sample.columns, "importance": result["importances_mean"], "deviation": result["importances_std"]}
    return pd.DataFrame(table).sort_values("importance", ascending=False, ignore_index=True)


def plots(spec: ProjectSpec, label: Any, answer: np.ndarray, importances: DataFrame, folder: Path) -> None:
    """Draw ``importance.png`` and the plots of the task into `folder`.

    Binary: ``calibration.png`` and ``roc.png``, and ``cost.png`` where decisions have costs; multiclass:
    ``confusion.png``; regression: ``predicted.png`` and ``residuals.png``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    task = tasks.of(spec)
    for name in task.plots:
        PLOTS[name](task, np.asarray(label, dtype=float), answer, folder / f"{name}.png")
    if spec.costs:
        with _axes(folder / "cost.png") as axes:
            thresholds.draw(axes, spec.costs, spec.threshold, label, answer[:, 0])
    with _axes(folder / "importance.png", (6, 0.22 * len(importances) + 1)) as axes:
        axes.barh(importances["column"][::-1], importances["importance"][::-1], xerr=importances["deviation"][::-1])
        axes.set_xlabel(f"increase of the {task.loss.replace('_', '-')} when shuffled")


@contextmanager
def _axes(path: Path, size: tuple[float, float] = (5, 5)) -> Iterator[Any]:
    """Yield the axes of a figure that is written in the end."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    yield figure.subplots()
    figure.savefig(path, dpi=80)


def _calibration(_: Task, label: np.ndarray, answer: np.ndarray, path: Path) -> None:
    predicted, observed, _rows = zip(*reliability(answer[:, 0], label, BINS), strict=True)
    _square(("predicted probability", "observed rate"), (predicted, observed), "o-", path)


def _roc(_: Task, label: np.ndarray, answer: np.ndarray, path: Path) -> None:
    false, true, _thresholds = roc_curve(label, answer[:, 0])
    _square(("false positive rate", "true positive rate"), (false, true), "-", path)


def _confusion(task: Task, label: np.ndarray, answer: np.ndarray, path: Path) -> None:
    counts = confusion_matrix(label, answer.argmax(axis=1), labels=range(len(task.classes)))
    side, names = 2 + 0.5 * len(counts), [str(name) for name in task.classes]
    with _axes(path, (side + 1, side)) as axes:
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.figure.colorbar(image, label="share of the true class")


def _predicted(_: Task, label: np.ndarray, answer: np.ndarray, path: Path) -> None:
    predicted = answer[:, 0]
    span = (min(label.min(), predicted.min()), max(label.max(), predicted.max()))
    _square(("predicted", "true"), (predicted, label), ".", path, span)


def _residuals(_: Task, label: np.ndarray, answer: np.ndarray, path: Path) -> None:
    predicted = answer[:, 0]
    with _axes(path) as axes:
        axes.axhline(0, linestyle="--", color="grey", linewidth=1)
        axes.plot(predicted, label - predicted, ".")
        axes.set(xlabel="predicted", ylabel="true - predicted")


PLOTS: dict[str, Callable[[Task, np.ndarray, np.ndarray, Path], None]] = {
    "calibration": _calibration,
    "roc": _roc,
    "confusion": _confusion,
    "predicted": _predicted,
    "residuals": _residuals,
}
"""Name of a plot, as tasks list them -> what draws it."""


def _square(
    names: tuple[str, str], values: tuple[Any, Any], style: str, path: Path, span: tuple[float, float] = (0, 1)
) -> None:
    with _axes(path) as axes:
        axes.plot(span, span, "--", color="grey", linewidth=1)
        axes.plot(*values, style)
        axes.set(xlabel=names[0], ylabel=names[1], xlim=span, ylim=span)
