"""Features of a tract: the fields of the request, as numbers."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from projects.housing.source import REQUEST

LOOKBACK = timedelta(0)


def build(tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Return no feature table: a tract has no features besides the request."""
    return {}


def events(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each tract as an event whose label is known as soon as the row.

    Returns:
        ``event_id``, ``event_timestamp``, the request fields, ``medv`` ($1,000; 50 is 50 or more) and
        ``label_available_at``.
    """
    tracts = tables["tracts"]
    return tracts[[*REQUEST, "medv"]].assign(
        event_id=tracts["tract"].astype(str),
        event_timestamp=tracts["available_at"],
        label_available_at=tracts["available_at"],
    )


def on_request(request: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the fields of the request as numbers."""
    return {name: [float(value) for value in request[name]] for name in REQUEST}
