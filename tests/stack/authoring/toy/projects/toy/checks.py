"""What a batch of rows must be, learnt from 600 rows of the file."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from stack.kit.expectations import among, between, present

HISTORY = timedelta(days=7)
"""Accepted rows before the window that a batch is compared with."""
WHOLE = ["many", "sold_at", "shop_id", "price", "promo"]  # review
"""Columns with a value in every row."""
GAPS: list[str] = ["weather"]
COLUMNS = {"rows": [*WHOLE, *GAPS]}
"""Columns that a raw table must have, besides its key and the instant at which a row is known."""


def suites() -> dict[str, list[Any]]:
    """List the expectations of each frame that `prepare` makes."""
    return {
        "rows": [
            *map(present, WHOLE),
            among("many", [False, True], strictly=True),
            between("price", 0, 60),  # review
            present("weather", missing=0.29),  # review
            among("weather", ["rain", "sun"]),  # review
        ]
    }


def prepare(
    tables: Mapping[str, pd.DataFrame], history: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> dict[str, pd.DataFrame]:
    """Give the frames that the expectations look at: the batch as it is."""
    return dict(tables)
