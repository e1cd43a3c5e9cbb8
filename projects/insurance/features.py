"""Features of a customer: the fields of the request, as numbers."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from projects.insurance.source import REQUEST

LOOKBACK = timedelta(0)


def build(tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Return no feature table: a customer has no features besides the request."""
    return {}


def events(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each customer as an event whose label is known as soon as the row.

    Returns:
        ``event_id``, ``event_timestamp``, the request fields, ``Purchase`` (No or Yes) and ``label_available_at``.
    """
    customers = tables["customers"]
    return customers[[*REQUEST, "Purchase"]].assign(
        event_id=customers["customer"].astype(str),
        event_timestamp=customers["available_at"],
        label_available_at=customers["available_at"],
    )


def on_request(request: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the fields of the request as numbers."""
    return {name: [float(value) for value in request[name]] for name in REQUEST}
