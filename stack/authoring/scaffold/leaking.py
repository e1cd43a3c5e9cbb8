"""Columns that give the target away are left out of a new project, each with the reason."""

import numpy as np
import pandas as pd

from stack.authoring.scaffold.choices import Choices, with_features
from stack.authoring.scaffold.columns import Column
from stack.promotion import leaks
from stack.promotion.leaks import Leak
from stack.specification import frames

ROUNDS = 8
"""How often columns are looked for, each time among the others."""


def left_out(table: pd.DataFrame, choices: Choices, keep: list[str]) -> Choices:
    """Leave out the columns that give the target away, until none does, but for those that the user keeps."""
    order = np.arange(len(table))
    if choices.time:
        order = np.argsort(choices.time.instants(table).to_numpy("datetime64[ns]"), kind="stable")
    known = table[choices.target.source].notna().to_numpy()
    rows = _with_days(table.iloc[order[leaks.looked_at(known[order])]], choices)
    target, classes = rows[choices.target.source], not choices.kind.numeric
    numbers = pd.Series(pd.factorize(target)[0], index=rows.index) if classes else target
    for _ in range(ROUNDS):
        asked = [column for column in choices.features if column not in choices.keys and column.kind != "text"]
        columns = [column.source for column in asked]
        columns = [column for column in columns if column not in keep]
        found = leaks.find(rows[columns], numbers, classes=classes, by_time=choices.time is not None)
        reasons = {column: _reason(leak, column) for leak in found for column in _given_away(leak, asked)}
        kept = [column for column in choices.features if column.source not in reasons]
        if not reasons or not (kept or choices.time):
            break
        choices = with_features(choices, kept, {}, reasons)
    return choices


def _with_days(rows: pd.DataFrame, choices: Choices) -> pd.DataFrame:
    """Return rows with other instants as days before that of the row, or since 1970."""
    at = choices.time.instants(rows, choices.zone) if choices.time else pd.Timestamp(0, tz="UTC")
    apart = {column.source: at - column.instants(rows, choices.zone) for column in choices.dated}
    days = {name: since.dt.total_seconds() / 86400 for name, since in apart.items()}
    return frames.with_columns(rows, days)


def _given_away(leak: Leak, columns: list[Column]) -> tuple[str, ...]:
    """Return which columns of a leak to leave out: the parts of a sum, else what was computed, of the most values."""
    distinct = {column.source: column.distinct for column in columns}
    return leak.columns if leak.parts else (max(leak.columns, key=distinct.__getitem__),)


def _reason(leak: Leak, column: str) -> str:
    others = [name for name in leak.columns if name != column]
    return f"with {' and '.join(others)}, {leak.how}" if others else leak.how
