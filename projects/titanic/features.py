"""Features of a person on board: all of them follow from the request."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

LOOKBACK = timedelta(0)
REQUEST = ["pclass", "sex", "age", "fare", "sibsp", "parch", "embarked", "crew"]
NUMBERS = ["age", "fare", "sibsp", "parch"]


def build(tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Return no feature table: a person has no features besides the request."""
    return {}


def events(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each person as an event whose label is known as soon as the row.

    Returns:
        ``event_id``, ``event_timestamp``, the request fields, ``survived`` (0 or 1) and ``label_available_at``.
    """
    people = tables["people"]
    return people[[*REQUEST, "survived"]].assign(
        event_id=people["person"].astype(str),
        event_timestamp=people["available_at"],
        label_available_at=people["available_at"],
    )


def on_request(request: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Take the fields over; ``rank`` is the class of the ticket or the department of the crew."""
    ranks = zip(request["pclass"], request["crew"], strict=True)
    numbers = {name: [None if value is None else float(value) for value in request[name]] for name in NUMBERS}
    return numbers | {
        "sex": list(request["sex"]),
        "rank": [crew if pclass is None else str(pclass) for pclass, crew in ranks],
        "embarked": list(request["embarked"]),
    }
