"""Features of the toy project: what a request says, its instant, and the past of its keys."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from projects.toy.source import ids

from stack.kit import rolling

TICK, WINDOWS = pd.Timedelta("1D"), {"7d": 7, "28d": 28}
"""The past of a key is averaged at every tick, over so many ticks."""
LOOKBACK = timedelta(days=28)
"""How far back `build` looks."""
NUMBERS: list[str] = ["price", "promo"]
CATEGORIES: list[str] = ["weather"]
AVERAGED = ["many", "price"]
"""Columns whose past is averaged for each key."""


def build(tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Make the feature tables of the ticks in (since, until], from the rows known before each tick."""
    rows = tables["rows"]
    outcome = rows["many"]
    rows = rows.assign(many=(outcome == True).where(outcome.notna()).astype("float64"))  # noqa: E712
    return {
        f"toy_{key}_past": rolling.means(rows, key, AVERAGED, since, until, tick=TICK, windows=WINDOWS)
        for key in ["shop_id"]
    }


def events(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Turn each row into a question, asked at its instant, with its outcome."""
    rows = tables["rows"]
    return rows.assign(
        event_id=ids(rows),
        event_timestamp=rows["sold_at"],
        label_available_at=rows["available_at"],
    )


def on_request(request: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Take the fields over, and derive the local clock; a missing value stays missing."""
    found: dict[str, list[Any]] = {
        name: [None if pd.isna(value) else float(value) for value in request[name]] for name in NUMBERS
    }
    found |= {name: list(request[name]) for name in CATEGORIES}
    found["shop_id_category"] = [str(value) for value in request["shop_id"]]
    return found | _clock(request["sold_at"])


def _clock(instants: list[datetime]) -> dict[str, list[Any]]:
    """Local hour, weekday (Monday is 0) and month; an instant without a zone is UTC."""
    zoned = [one if one.tzinfo else one.replace(tzinfo=UTC) for one in instants]
    local = [one.astimezone(ZoneInfo("UTC")) for one in zoned]
    return {
        "sold_at_hour": [float(one.hour) for one in local],
        "sold_at_weekday": [float(one.weekday()) for one in local],
        "sold_at_month": [float(one.month) for one in local],
    }
