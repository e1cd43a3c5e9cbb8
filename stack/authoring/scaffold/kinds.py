"""What kind of prediction fits the values of a target: numbers, or classes."""

from typing import Any

import pandas as pd

from stack.authoring.scaffold.columns import KNOWN, Column
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError
from stack.specification import tasks
from stack.specification.tasks import Binary, Regression

POSITIVE = ("yes", "y", "true", "t", "positive", "churned", "bad", "fraud", "ja", "oui", "si", "sí")
FEW, DENSE = 20, 0.5
"""A whole number with at most so many values, which are this share of those between its ends, names classes."""
LEAST_OF_CLASS = 3
"""Rows that a class has on average: of fewer nothing can be learnt."""


def of(values: pd.Series, target: Column, wishes: Wishes) -> tuple[str, list[Any]]:
    """Return the task that fits a target's values, and its classes; the second of two is positive."""
    classed = target.distinct == 2 or target.kind in ("string", "boolean") or _numbered(target)
    regression = tasks.KINDS[wishes.task].numeric if wishes.task else not classed
    enough = target.values and target.distinct >= 2 and values.count() >= LEAST_OF_CLASS * target.distinct
    if not (target.kind in ("number", "integer") if regression else enough):
        classes = f"two to {KNOWN} classes, on average of at least {LEAST_OF_CLASS} rows"
        raise StackError(
            "TARGET",
            found=f"{target.source}: {_mixed(values) or f'{target.kind} with {target.distinct} different values'}",
            expected="numbers" if regression else classes,
            todo="name another column" if regression else "name another column, or TASK=regression",
        )
    if regression:
        return wishes.task or Regression.name, []
    if target.distinct > 2:
        return tasks.suited(target.distinct), target.values

    def order(label: Any) -> tuple[bool, float, str]:
        """Sort what sounds positive last, then numbers ascending, or the rarer of two texts last."""
        number = isinstance(label, int | float)
        position = float(label) if number else -float((values == label).sum())
        return str(label).lower() in POSITIVE, position, "" if number else str(label)

    return Binary.name, sorted(target.values, key=order)


def _mixed(values: pd.Series) -> str:
    """Return how many texts there are among numbers; empty where these are not most."""
    numbers = pd.to_numeric(values, errors="coerce").notna()
    texts = values[~numbers & values.notna()].value_counts()
    usual = ", ".join(f"{text!r} in {count:,}" for text, count in texts.head(3).items())
    mixed = usual and numbers.mean() > 0.5
    return f"numbers in {numbers.sum():,} of {len(values):,} rows, {usual}" if mixed else ""


def _numbered(target: Column) -> bool:
    """Return whether whole numbers name classes: they are few, each is seen often, and there are hardly gaps."""
    if target.kind != "integer" or target.least is None or target.most is None:
        return False
    dense = target.distinct >= DENSE * (target.most - target.least + 1)
    return dense and target.distinct <= FEW and target.present >= 20 * target.distinct
