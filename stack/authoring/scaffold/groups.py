"""Rows that belong together, as those of one patient: a table without time is held out by whole groups of them.

Where the rows of a group resemble each other, a random split tests a model on rows whose group it knows. What it is
worth for a new group is seen by holding out whole groups, so both are tried with a small model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict

from stack.authoring.scaffold.choices import IDS, KEYS, NONE, Choices, named, with_features
from stack.authoring.scaffold.columns import Column
from stack.authoring.scaffold.wishes import Wishes

ENTITY = re.compile(r"(^|_)(patient|subject|person|participant|individual|animal|household|family|company|account)s?$")
LEAST_GROUPS, LEAST_ROWS = 20, 2.0
"""Groups, and rows that each has on average."""
LARGEST = 0.1
"""Share of the rows that one group has at most."""
TRIED, ROWS, FOLDS = 3, 4000, 3
"""Columns that are tried, those of the most groups first; rows that they are tried on; folds."""
WORSE = 1.15
"""Error for new groups, as a multiple of the error for known ones, from which on a random split is misleading."""


def held_together(table: pd.DataFrame, columns: list[Column], choices: Choices, wishes: Wishes) -> Choices:
    """Return choices with the column whose rows are held out together, if any; it is no feature then.

    Args:
        table: the rows; `columns` describe it.
    """
    if wishes.group and wishes.group != NONE:
        return _by(choices, named(columns, wishes.group, "GROUP"), "as GROUP says")
    if wishes.group or choices.time:
        return choices
    rows = table[table[choices.target.source].notna()]
    for column in sorted(_likely(rows, columns, choices), key=lambda column: -column.distinct)[:TRIED]:
        known, new = _errors(rows, choices, column.source)
        if new > WORSE * known:
            return _by(choices, column, f"the error of a quick model is {new / known:.1f} times as large for a new one")
    return choices


def _by(choices: Choices, column: Column, why: str) -> Choices:
    left_out = {name: reason for name, reason in choices.left_out.items() if name != column.source}
    features = [feature for feature in choices.features if feature is not column]
    return with_features(replace(choices, group=column, grouped=why, left_out=left_out), features, {}, {})


def _likely(rows: pd.DataFrame, columns: list[Column], choices: Choices) -> Iterator[Column]:
    """Yield the columns that may name a group: called like it, of too many values for a category, or sorted by it."""
    for column in columns:
        several = column.distinct >= LEAST_GROUPS and column.present >= LEAST_ROWS * column.distinct
        if column is choices.target or column.missing or not several:
            continue
        if rows[column.source].value_counts(normalize=True).iloc[0] > LARGEST:
            continue
        called = ENTITY.search(column.name) or IDS.search(column.name)
        if column.kind in ("id", "name") or (called and column.kind in ("string", "integer")):
            yield column
        elif column.kind == "integer":
            values = rows[column.source].to_numpy()
            if KEYS.search(column.name) or np.count_nonzero(values[1:] != values[:-1]) == column.distinct - 1:
                yield column


def _errors(rows: pd.DataFrame, choices: Choices, group: str) -> tuple[float, float]:
    """Return the error of a quick model for rows of groups that it knows, and of new ones."""
    codes = pd.factorize(rows[group])[0]
    shuffled = np.random.default_rng(0).permutation(codes.max() + 1)[codes]
    some = np.argsort(shuffled, kind="stable")[:ROWS]
    names = [group, *(column.source for column in choices.features if column.kind != "text")]
    features = pd.DataFrame({name: _numbers(rows[name]) for name in names})
    features, groups, target = features.iloc[some].fillna(-1), shuffled[some], rows[choices.target.source].iloc[some]
    numeric = choices.kind.numeric
    model: Any = (HistGradientBoostingRegressor if numeric else HistGradientBoostingClassifier)(max_iter=50)
    outcomes = target.to_numpy("float64") if numeric else pd.factorize(target)[0]

    def error(folds: Any) -> float:
        method = "predict" if numeric else "predict_proba"
        answers = cross_val_predict(model, features, outcomes, cv=folds, method=method)
        return float(mean_squared_error(outcomes, answers) if numeric else log_loss(outcomes, answers))

    whole = GroupKFold(FOLDS).split(features, outcomes, groups)
    return error(KFold(FOLDS, shuffle=True, random_state=0)), error(list(whole))


def _numbers(values: pd.Series[Any]) -> Any:
    """Return numbers as they are, and texts as codes."""
    return values.to_numpy("float64") if pd.api.types.is_numeric_dtype(values) else pd.factorize(values)[0]
