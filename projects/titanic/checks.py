"""What the table of people must be."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from stack.kit.expectations import among, between, present

HISTORY = timedelta(0)
COLUMNS = {"rows": ["pclass", "crew", "sex", "age", "fare", "sibsp", "parch", "embarked", "survived"]}
"""Columns that the table must have, besides its key."""


def prepare(
    tables: Mapping[str, pd.DataFrame], history: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> dict[str, pd.DataFrame]:
    """Count for each person the roles on board, of which there is one: class of the ticket, or department."""
    people = tables["rows"]
    return {"rows": people.assign(roles=people[["pclass", "crew"]].notna().sum(axis=1))}


def suites() -> dict[str, list[Any]]:
    """List the expectations."""
    return {
        "rows": [
            among("survived", [0, 1], strictly=True),
            among("sex", ["female", "male"], strictly=True),
            among("embarked", ["Belfast", "Cherbourg", "Queenstown", "Southampton"]),
            between("roles", 1, 1),
            between("pclass", 1, 3),
            between("age", 0, 120),
            between("fare", 0, 600),
            between("sibsp", 0, 10),
            between("parch", 0, 10),
            present("age", missing=0.3),
        ]
    }
