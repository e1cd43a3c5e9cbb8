"""Boston's census tracts of 1970: one row each, as the PyPI package ``ISLP`` carries them.

The table of Harrison and Rubinfeld (1978) has a column on the race of the residents; this one is without it.
"""

from datetime import datetime

import pandas as pd

from stack.kit import packaged

REQUEST = ["crim", "zn", "indus", "chas", "nox", "rm", "age", "dis", "rad", "tax", "ptratio", "lstat"]
CAP = 50.0
"""Median values ($1,000) were cut here: 50 stands for 50 and more."""


def fetch(since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Return the whole table, whatever the window: the stack keeps what is new in it.

    ``tracts``: ``tract`` (position in the file), the request fields, ``medv`` (median value of a home, $1,000) and
    ``capped`` (whether it was cut at `CAP`).
    """
    raw = pd.read_csv(packaged.file("ISLP", "data/Boston.csv"))
    return {"tracts": raw[[*REQUEST, "medv"]].assign(tract=raw.index + 1, capped=raw["medv"] >= CAP)}
