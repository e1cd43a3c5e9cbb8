"""The threshold of a binary task whose decisions have costs: what costs least on the folds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from stack.specification.costs import Costs
from stack.specification.specs import ProjectSpec
from stack.training import splits

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


def choose(spec: ProjectSpec, labels: Sequence[Any], answers: Sequence[Any], rows: Sequence[DataFrame]) -> float:
    """Return the threshold at which a candidate's answers to the test rows of all folds cost least, within the budget.

    Args:
        labels: encoded outcomes of each fold.
        answers: probabilities of each fold.
        rows: the test rows of each fold.
    """
    costs = spec.costs or Costs(false_alarm=1)
    thresholds, cost, calls = curve(costs, np.concatenate(labels), np.concatenate(answers))
    if costs.budget is not None:
        within = calls <= costs.budget * sum(_days(spec, part) for part in rows)
        thresholds, cost = thresholds[within], cost[within]
    return float(thresholds[cost.argmin()])


def _days(spec: ProjectSpec, rows: DataFrame) -> float:
    by_time = spec.training.unit == "days"
    return len(np.unique(splits.units(spec, rows))) if by_time else len(rows) / DAY_ROWS


def draw(axes: Any, costs: Costs, threshold: float, label: Any, probability: Any) -> None:
    """Draw the mean cost by threshold, and the threshold of the model."""
    thresholds, cost, _ = curve(costs, label, probability)
    axes.step(thresholds, cost, where="pre")
    axes.axvline(threshold, linestyle="--", color="grey", linewidth=1)
    axes.set(xlabel="threshold", ylabel="mean cost of a row", xlim=(0, 1))
