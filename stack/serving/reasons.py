"""Reasons of an answer: the Shapley value of each feature, from calls of the model alone.

A coalition is a set of features; its value is the mean score of the background rows with these features replaced by the
row's own (interventional Shapley values, Lundberg and Lee 2017, arXiv:1705.07874). The score is a number, or the
log-odds of a probability. Few features are computed exactly, over all coalitions; many by random walks from a
background row to the row, one feature at a time, each walk forwards and backwards (Mitchell et al. 2022, JMLR 23:43).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from stack.specification.calibration import FLOAT32, log_odds

BACKGROUND = "background.json"
BACKGROUND_ROWS = 16
EXACT_CALLS, WALK_CALLS = 4096, 1024
"""Rows that the model predicts for one explained row: at most, of all coalitions; about, of walks."""
Unit = Literal["log-odds", "number"]


class UnexplainableError(Exception):
    """The served form has no background rows."""


@dataclass(frozen=True)
class Reasons:
    """How the answer comes about: its score is ``base`` plus all contributions."""

    base: float
    """Mean score of the background rows."""
    unit: Unit
    """Of base and contributions: log-odds of the probability, or of the decision's of several; or the number's own."""
    contributions: dict[str, float]
    """Feature -> contribution, the largest first."""


class Features(NamedTuple):
    """Feature columns as a model takes them."""

    numbers: np.ndarray
    """(n, numbers), float32."""
    categories: np.ndarray
    """(n, categories and texts), strings."""


class Plan(NamedTuple):
    """The coalitions to evaluate, and what their values say of each feature."""

    members: np.ndarray
    """(a, b, features), whether a feature is the row's own."""
    background: np.ndarray
    """(a, b), the background row that has the other features."""
    combine: Callable[[np.ndarray], np.ndarray]
    """From values (a, b) to contributions (features,)."""


class Explainer:
    """Explains the answers of a model.

    Args:
        predict: from features to outputs, (n, outputs).
        names: of the features, numbers first.
        background: rows to compare with.
        unit: of the score.
    """

    def __init__(
        self, predict: Callable[[Features], np.ndarray], names: Sequence[str], background: Features, unit: Unit
    ) -> None:
        self._predict, self._names, self._background, self._unit = predict, names, background, unit
        self._base = scores(unit, predict(background))
        self._plan = plan = _plan(len(names), len(background.numbers))
        sizes = plan.members.sum(axis=-1)
        self._none, self._all = sizes == 0, sizes == len(names)
        self._partial = ~(self._none | self._all)
        members = plan.members[self._partial]
        self._own = Features(*np.split(members, [background.numbers.shape[1]], axis=1))

    def explain(self, row: Features, outputs: np.ndarray) -> Reasons:
        """Explain one answer.

        Args:
            row: one row of features.
            outputs: (outputs,), what the model predicted for it.

        Raises:
            ValueError: a coalition has no finite score.
        """
        at, plan = int(outputs.argmax()), self._plan
        others = plan.background[self._partial]
        parts = zip(self._own, row, self._background, strict=True)
        mixed = Features(*(np.where(own, of_row, background[others]) for own, of_row, background in parts))
        values = np.empty(self._partial.shape)
        values[self._none] = self._base[plan.background[self._none], at]
        values[self._all] = scores(self._unit, outputs)[at]
        if self._partial.any():
            values[self._partial] = scores(self._unit, self._predict(mixed))[:, at]
        if not np.isfinite(values).all():
            raise ValueError("the prediction is no finite number for a part of the features")
        contributions = plan.combine(values)
        order = np.argsort(-np.abs(contributions), kind="stable")
        named = {self._names[place]: float(contributions[place]) for place in order}
        return Reasons(float(self._base[:, at].mean()), self._unit, named)


def scores(unit: Unit, outputs: np.ndarray) -> np.ndarray:
    """Return outputs as contributions add up to them: numbers as they are, probabilities as log-odds."""
    if unit == "number":
        return outputs
    return log_odds(outputs, FLOAT32)


def choose(unit: Unit, outputs: np.ndarray) -> np.ndarray:
    """Return the places of background rows among n predictions (n, outputs): their mean score is close to that of all.

    The predictions, ordered by class and score, are cut into strata of equal size; each gives the one nearest to its
    mean.
    """
    score = scores(unit, outputs)
    order = np.lexsort((score.max(axis=1), score.argmax(axis=1)))
    strata = np.array_split(order, min(BACKGROUND_ROWS, len(order)))
    nearest = [np.square(score[part] - score[part].mean(axis=0)).sum(axis=1).argmin() for part in strata]
    return np.array([part[place] for part, place in zip(strata, nearest, strict=True)])


def write_background(folder: Path, frame: Any) -> None:
    """Write ``background.json``, the rows of a frame column by column; NaN becomes null."""
    values = {name: [None if value != value else value for value in frame[name]] for name in frame}  # noqa: PLR0124
    (folder / BACKGROUND).write_text(json.dumps(values, indent=2) + "\n")


def read_background(folder: Path) -> dict[str, list[Any]]:
    """Read ``background.json``; empty where a version of an early release has none."""
    file = folder / BACKGROUND
    columns: dict[str, list[Any]] = json.loads(file.read_text()) if file.exists() else {}
    return columns


def _plan(features: int, rows: int) -> Plan:
    return _exact(features, rows) if 2**features * rows <= EXACT_CALLS else _walks(features, rows)


def _exact(features: int, rows: int) -> Plan:
    """Plan all coalitions of every background row; contributions are the Shapley values by definition."""
    numbers = np.arange(2**features)
    members = (numbers[:, None] >> np.arange(features) & 1).astype(bool)
    sizes = members.sum(axis=1)
    weights = np.array([1 / (features * comb(features - 1, size)) for size in range(features)])

    def combine(values: np.ndarray) -> np.ndarray:
        mean = values.mean(axis=1)
        without = [numbers[~members[:, feature]] for feature in range(features)]
        steps = [mean[others + 2**feature] - mean[others] for feature, others in enumerate(without)]
        return np.array([weights[sizes[others]] @ step for others, step in zip(without, steps, strict=True)])

    shape = (len(numbers), rows)
    return Plan(np.repeat(members[:, None], rows, axis=1), np.broadcast_to(np.arange(rows), shape), combine)


def _walks(features: int, rows: int) -> Plan:
    """Plan walks from each background row, the same for every row; a contribution is a feature's mean step."""
    pairs = max(1, WALK_CALLS // (2 * rows * (features - 1)))
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(features), (pairs * rows, 1)), axis=1)
    places = np.concatenate([orders, features - 1 - orders])  # (walks, features): the step that takes each feature
    members = places[:, None] < np.arange(features + 1)[:, None]
    start = np.tile(np.arange(rows), 2 * pairs)

    def combine(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.take_along_axis(np.diff(values), places, axis=1).mean(axis=0))

    return Plan(members, np.repeat(start[:, None], features + 1, axis=1), combine)
