"""Crossings of four ferries: late when the wind is strong, the more so the more were late before."""

from datetime import datetime
from functools import lru_cache

import numpy as np
import pandas as pd

START, DAYS, A_DAY = pd.Timestamp("2024-01-01", tz="UTC"), 30, 24
TICK = pd.Timedelta(hours=1)
"""Between two feature rows of a harbour."""
HARBOURS = ["Craignure", "Mallaig", "Oban", "Ullapool"]
REQUEST = ["harbour", "due", "wind"]


def fetch(since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Give the crossings that became known in (since, until]: half an hour after they were due."""
    return {"crossings": _between(_crossings(), "available_at", since, until)}


def requests(since: datetime, until: datetime) -> pd.DataFrame:
    """Give what is asked in (since, until]: an hour before a crossing is due."""
    rows = _crossings()[REQUEST].assign(asked_at=_crossings()["due"] - pd.Timedelta(hours=1))
    return _between(rows.assign(event_id=event_ids(rows)), "asked_at", since, until)


def event_ids(rows: pd.DataFrame) -> pd.Series:
    """Name each crossing."""
    return rows["harbour"] + rows["due"].dt.strftime("-%Y%m%dT%H%M")


@lru_cache(maxsize=1)
def _crossings() -> pd.DataFrame:
    random = np.random.default_rng(7)
    hours = pd.date_range(START, periods=DAYS * A_DAY, freq=pd.Timedelta(days=1) / A_DAY, unit="us")
    rows = pd.DataFrame({"due": np.repeat(hours, len(HARBOURS)), "harbour": HARBOURS * len(hours)})
    rows["wind"] = np.round(random.gamma(3.0, 2.0, len(rows)), 2)
    chance = 1 / (1 + np.exp(6 - rows["wind"] * (1 + 0.1 * (rows["harbour"] == "Oban"))))
    rows["late"] = (random.uniform(size=len(rows)) < chance).astype("int64")
    return rows.assign(available_at=rows["due"] + pd.Timedelta(minutes=30))


def _between(rows: pd.DataFrame, column: str, since: datetime, until: datetime) -> pd.DataFrame:
    since, until = pd.to_datetime([since, until], utc=True)
    return rows[(rows[column] > since) & (rows[column] <= until)].reset_index(drop=True)
