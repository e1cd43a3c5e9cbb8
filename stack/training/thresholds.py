"""The threshold of a binary task whose decisions have costs: what costs least on the folds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pandas import DataFrame
from sklearn.pipeline import Pipeline

from stack.specification import tasks
from stack.specification.costs import Costs
from stack.specification.specs import ProjectSpec
from stack.training import candidates, splits

DAY_ROWS = 1000
"""A table that is split at random has no days: as many rows stand for one."""


def curve(costs: Costs, label: Any, probability: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return thresholds from high to low, the mean cost at each, and the number of positive decisions.

    The first decides nothing positive, the last everything; the others lie halfway between neighbouring probabilities.
    """
    order = np.argsort(-np.asarray(probability, dtype=float), kind="stable")
    ranked, outcome = np.asarray(probability, dtype=float)[order], np.asarray(label)[order] == 1
    change = np.where(outcome, costs.call - costs.missed, costs.call + costs.false_alarm)
    total = costs.missed * outcome.sum() + np.concatenate([[0.0], change.cumsum()])
    ends = np.concatenate([[np.nextafter(1, 2)], (ranked[:-1] + ranked[1:]) / 2, [0]])
    calls = np.flatnonzero(np.concatenate([[True], ranked[:-1] > ranked[1:], [True]]))
    return ends[calls], total[calls] / len(ranked), calls


def choose(
    spec: ProjectSpec, folds: Sequence[Any], rows: Sequence[DataFrame], name: str, params: dict[str, Any]
) -> float:
    """Return the threshold at which a candidate's answers to the test rows of all folds cost least, within the budget.

    Args:
        folds: as the search fits them.
        rows: the test rows of each fold.
    """
    costs = spec.costs or Costs(false_alarm=1)
    answers = [_predict(spec, fold, name, params) for fold in folds]
    thresholds, cost, calls = curve(costs, np.concatenate([fold.test_label for fold in folds]), np.concatenate(answers))
    if costs.budget is not None:
        within = calls <= costs.budget * sum(_days(spec, part) for part in rows)
        thresholds, cost = thresholds[within], cost[within]
    return float(thresholds[cost.argmin()])


def _predict(spec: ProjectSpec, fold: Any, name: str, params: dict[str, Any]) -> np.ndarray:
    pipeline: Pipeline = candidates.fit_on(spec, name, params, fold.fit, fold.fit_label, fold.weight)[0]
    return tasks.of(spec).predict(pipeline, fold.test)[:, 0]


def _days(spec: ProjectSpec, rows: DataFrame) -> float:
    by_time = spec.training.unit == "days"
    return len(np.unique(splits.units(spec, rows))) if by_time else len(rows) / DAY_ROWS


def draw(axes: Any, spec: ProjectSpec, label: Any, probability: Any) -> None:
    """Draw the mean cost by threshold, and the threshold of the model."""
    if spec.costs:
        thresholds, cost, _ = curve(spec.costs, label, probability)
        axes.step(thresholds, cost, where="pre")
    axes.axvline(spec.threshold, linestyle="--", color="grey", linewidth=1)
    axes.set(xlabel="threshold", ylabel="mean cost of a row", xlim=(0, 1))
