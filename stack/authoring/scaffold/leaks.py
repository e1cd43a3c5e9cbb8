"""Find target leakage: columns that alone predict the target, by a small tree, cross-validated."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stack.authoring.scaffold.choices import Choices

SAMPLE = 20_000
SUSPECT = 0.98
"""Share of the error of a constant answer that a single column takes away."""


def suspects(table: pd.DataFrame, choices: Choices) -> dict[str, float]:
    """Return the columns that explain the target nearly alone, with the share that they explain."""
    from sklearn.model_selection import cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    rows = table[table[choices.target.source].notna()]
    rows = rows.sample(min(SAMPLE, len(rows)), random_state=0)
    regression = choices.kind.numeric
    y = rows[choices.target.source] if regression else pd.factorize(rows[choices.target.source])[0]
    tree = (DecisionTreeRegressor if regression else DecisionTreeClassifier)(min_samples_leaf=5, random_state=0)
    shares = {}
    for column in choices.features:
        values = rows[column.source]
        numbers = values if pd.api.types.is_numeric_dtype(values) else pd.Series(pd.factorize(values)[0])
        x = numbers.astype("float64").to_numpy().reshape(-1, 1)
        share = _explained(np.asarray(y, dtype=float), cross_val_predict(tree, x, y, cv=3), regression)
        if share > SUSPECT:
            shares[column.source] = share
    return shares


def _explained(y: np.ndarray, answer: np.ndarray, regression: bool) -> float:
    """Return 1 - error / error of the best constant answer."""
    if regression:
        return 1 - float(np.mean((y - answer) ** 2) / np.var(y))
    usual = 1 - np.bincount(y.astype(int)).max() / len(y)
    return 1 - float(np.mean(y != answer) / usual) if usual else 0.0
