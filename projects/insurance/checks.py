"""What the table of customers must be."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from projects.insurance.source import REQUEST
from stack.kit.expectations import among, between, present

HISTORY = timedelta(0)
COLUMNS = {"customers": [*REQUEST, "Purchase"]}
"""Columns that the table must have, besides its key."""
LARGEST = {"MOSTYPE": 41, "MKOOPKLA": 8, "APERSAUT": 12}
"""Of the codes and counts that are no class of 0 to 9."""


def prepare(
    tables: Mapping[str, pd.DataFrame], history: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> dict[str, pd.DataFrame]:
    """Look at the rows as they are."""
    return {"customers": tables["customers"]}


def suites() -> dict[str, list[Any]]:
    """List the expectations."""
    return {
        "customers": [
            *(present(name) for name in REQUEST),
            *(between(name, 0, LARGEST.get(name, 9)) for name in REQUEST),
            among("Purchase", ["No", "Yes"], strictly=True),
        ]
    }
