"""A crossing every 20 s from one of four harbours, and half a minute later whether it was late."""

from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

START, DAYS, EVERY = pd.Timestamp((Path(__file__).parent / "start").read_text()), 12, pd.Timedelta(seconds=20)
TICK = pd.Timedelta(minutes=10)
HARBOURS = ["Craignure", "Mallaig", "Oban", "Ullapool"]
REQUEST = ["harbour", "due", "wind"]


def fetch(since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Give the crossings that became known in (since, until]."""
    rows = crossings()
    return {"crossings": rows[(rows["available_at"] > since) & (rows["available_at"] <= until)].reset_index(drop=True)}


def event_ids(rows: pd.DataFrame) -> pd.Series:
    """Name each crossing."""
    return rows["harbour"] + rows["due"].dt.strftime("-%Y%m%dT%H%M%S")


@lru_cache(maxsize=1)
def crossings() -> pd.DataFrame:
    """Give all crossings, from ten days ago until after the soak."""
    random = np.random.default_rng(7)
    due = pd.date_range(START, START + pd.Timedelta(days=DAYS), freq=EVERY, unit="us")
    rows = pd.DataFrame({"due": due, "harbour": np.resize(HARBOURS, len(due))})
    rows["wind"] = np.round(random.gamma(3.0, 2.0, len(rows)), 2)
    chance = 1 / (1 + np.exp(6 - rows["wind"] * (1 + 0.1 * (rows["harbour"] == "Oban"))))
    rows["late"] = (random.uniform(size=len(rows)) < chance).astype("int64")
    return rows.assign(available_at=rows["due"] + pd.Timedelta(seconds=30))
