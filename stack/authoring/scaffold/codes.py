"""Numbers in a table that stand for a missing value, like -200 or 9999."""

from collections.abc import Iterable

import pandas as pd

from stack.authoring.scaffold.columns import Column

VARIED, OFTEN = 20, 5
"""Different values of a column in which a code is looked for, and rows that have the code at least."""


def missing(table: pd.DataFrame, columns: Iterable[Column]) -> dict[float, list[str]]:
    """Return numbers that are as far from all others of their column as those are from each other -> the columns."""
    found: dict[float, list[str]] = {}
    for column in columns:
        if column.kind in ("number", "integer") and column.distinct >= VARIED:
            values = table[column.source].dropna().astype("float64")
            for code in (values.min(), values.max()):
                others = values[values != code]
                apart = (others - code).abs().min() > others.max() - others.min()
                if apart and len(values) - len(others) >= OFTEN:
                    found.setdefault(float(code), []).append(column.source)
    return found
