"""Forecasts that need no model, which every model of a forecast has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pandas import DataFrame

from stack.promotion.comparison import Difference, paired
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import backtest
from stack.training.evaluation import answers

MARGIN = 0.01
"""A model is better when its error is lower by this share: a constant is that close to the mean of a week of noise."""


@dataclass(frozen=True)
class Naive:
    """A forecast without a model, and how the model compares with it on rows for which both exist."""

    name: str
    error: float
    """Its mean absolute error."""
    difference: Difference
    """The model's error minus its own."""


def compare(spec: ProjectSpec, rows: DataFrame) -> list[Naive]:
    """Compare answered rows with each naive forecast, the best of them first.

    A naive forecast that is missing for more than half of the rows, as of a new series, is left out.
    """
    if not spec.forecast:
        return []
    task, label, found = tasks.of(spec), rows[spec.label].to_numpy(np.float64), []
    ours = task.losses(label, answers(spec, rows))
    for name, forecast in backtest.naive(spec, rows).items():
        answer = forecast.to_numpy(np.float64)
        known = np.isfinite(answer)
        if known.mean() > 0.5:
            theirs = task.losses(label[known], answer[known])
            found.append(Naive(str(name), float(theirs.mean()), paired(spec, rows[known], ours[known], theirs)))
    return sorted(found, key=lambda naive: naive.error)
