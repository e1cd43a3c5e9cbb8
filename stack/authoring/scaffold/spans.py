"""The spans of a new project: of its clock, its holdout, and the windows of its past and its reports."""

from typing import Any

import pandas as pd

from stack.authoring.scaffold.choices import Choices
from stack.authoring.scaffold.columns import Column
from stack.specification.forecasts import DAY

HELD_OUT = 200
"""Rows by time that a gate decides on, where a quarter of the time has them; fewer give a wide interval."""
SECONDS = "%Y-%m-%dT%H:%M:%SZ"
"""How project.yaml has an instant in UTC."""


def windows(choices: Choices) -> list[str]:
    """Return the windows of the past: of hours where the data spans few days."""
    if choices.span < 14 * DAY:
        return ["6h", "24h"]
    return ["7d", "28d"] if choices.span >= 60 * DAY else ["1d", "7d"]


def in_order(table: pd.DataFrame, choices: Choices) -> list[Column]:
    """Return the features that are instants, the earliest first."""
    return sorted(choices.dated, key=lambda column: column.instants(table, choices.zone).mean())


def one_sided(table: pd.DataFrame, choices: Choices, days: int) -> bool:
    """Return whether the last days have one class only, or a class that was not seen before."""
    if not choices.classes or choices.time is None:
        return False
    at = choices.time.instants(table, choices.zone)
    last, outcomes = at > at.max() - days * DAY, table[choices.target.source]
    return bool(outcomes[last].nunique() < 2 or outcomes[~last].nunique() < outcomes.nunique())


def of(table: pd.DataFrame, choices: Choices) -> dict[str, Any]:
    """Return the clock, the split, and the window of a report."""
    span = choices.span
    days = max(1, min(14, span.days // 8)) if choices.time else 14
    start = end = ""
    if choices.first and choices.last:
        start = (pd.Timestamp(choices.first) - pd.Timedelta(seconds=1)).floor("D").strftime(SECONDS)
        end = pd.Timestamp(choices.last).ceil("D").strftime(SECONDS)
    holdout = max(1, min(span.days // 4, max(28, -(-HELD_OUT * span.days // len(table)))))
    random = choices.time is None or choices.group is not None or span < 5 * DAY or one_sided(table, choices, holdout)
    return {
        "start": start,
        "end": end,
        "training": {"split": "random"} if random else {"holdout": f"P{holdout}D"},
        "monitoring": {"window": f"P{days}D"},
    }
