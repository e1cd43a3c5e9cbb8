"""Rows of a file, as they became known."""

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

FILE = Path(__file__).parent / "data" / "toy.csv"
WRITTEN: dict[str, Any] = {"low_memory": False}
"""How the file writes its rows."""
NAMES = {
    "many": "many",
    "Sold At": "sold_at",
    "ShopID": "shop_id",
    "price": "price",
    "promo": "promo",
    "weather": "weather",
    "Order No": "order_no",
}
"""Column of the file -> name in the project; the others are not used."""
ZONE = "UTC"  # review: the file does not say its time zone
OUTCOME_AFTER = pd.Timedelta(0)  # review: how long after its instant the outcome of a row is known


def fetch(since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Give the rows that became known in (since, until]."""
    return {"rows": _between(_rows(), "available_at", since, until)}


def requests(since: datetime, until: datetime) -> pd.DataFrame:
    """Give what would be asked in (since, until]: the rows without their outcome."""
    rows = _rows().drop(columns=["many", "available_at"])
    asked = rows.assign(event_id=ids(rows), asked_at=rows["sold_at"])
    return _between(asked, "asked_at", since, until)


def _between(rows: pd.DataFrame, column: str, since: datetime, until: datetime) -> pd.DataFrame:
    inside = (rows[column] > pd.Timestamp(since)) & (rows[column] <= pd.Timestamp(until))
    return rows[inside].sort_values(column, kind="stable", ignore_index=True)


def ids(rows: pd.DataFrame) -> pd.Series:
    """Name each row by its key."""
    return rows["order_no"].astype(str)


@lru_cache(maxsize=1)
def _rows() -> pd.DataFrame:
    table = pd.read_csv(FILE, **WRITTEN)
    rows = table.rename(columns=NAMES)[list(NAMES.values())]
    at = _instants(pd.to_datetime(table["Sold At"], format="ISO8601"))
    return rows.assign(sold_at=at, available_at=at + OUTCOME_AFTER)


def _instants(values: pd.Series) -> pd.Series:
    """Return instants of the file's zone in UTC."""
    at = values.dt.tz_localize(ZONE, ambiguous=True, nonexistent="shift_forward").dt.tz_convert("UTC")
    return at.dt.as_unit("us")
