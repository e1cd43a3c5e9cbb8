"""What a batch of crossings must be."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import great_expectations.expectations as gxe
import pandas as pd

HISTORY = timedelta(days=2)
COLUMNS = {"crossings": ["harbour", "due", "wind", "late"]}


def suites() -> dict[str, list[Any]]:
    """Expect a wind that blows on this planet, and outcomes."""
    return {
        "crossings": [
            gxe.ExpectColumnValuesToBeBetween(
                column="wind", min_value=0, max_value=100, mostly=0.9, meta={"scope": "row"}, description="0 to 100 m/s"
            ),
            gxe.ExpectColumnValuesToNotBeNull(column="late", description="an outcome"),
        ]
    }


def prepare(
    tables: Mapping[str, pd.DataFrame], history: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> dict[str, pd.DataFrame]:
    """Look at the rows as they are."""
    return dict(tables)
