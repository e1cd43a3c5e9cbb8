"""Features of a crossing: how many of its harbour's were late lately, and the wind."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from projects.ferries.source import REQUEST, TICK, event_ids

LOOKBACK = timedelta(hours=7)


def build(tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Give the share of late crossings in the six hours before each full tick of (since, until]."""
    rows = tables["crossings"]
    ticks = pd.date_range(pd.Timestamp(since).floor(TICK) + TICK, until, freq=TICK, unit="us")
    parts = [_shares(rows, tick) for tick in ticks]
    return {"ferries_stats": pd.concat(parts or [_shares(rows, pd.Timestamp(until)).iloc[:0]], ignore_index=True)}


def _shares(rows: pd.DataFrame, tick: pd.Timestamp) -> pd.DataFrame:
    known = rows[(rows["available_at"] > tick - pd.Timedelta(hours=6)) & (rows["available_at"] <= tick)]
    share = known.groupby("harbour")["late"].mean().astype("float32").rename("late_6h").reset_index()
    return share.assign(event_timestamp=tick.as_unit("us"))


def events(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Turn each crossing into the question about it, with its answer."""
    rows = tables["crossings"]
    return rows[REQUEST].assign(
        event_id=event_ids(rows),
        event_timestamp=rows["due"] - pd.Timedelta(hours=1),
        late=rows["late"],
        label_available_at=rows["available_at"],
    )


def on_request(request: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Take the wind and the harbour's name as they are."""
    return {"wind_now": [float(wind) for wind in request["wind"]], "harbour_id": list(request["harbour"])}
