"""Features of a flight: the state of the airports, the carrier and the weather at its instant.

Pure functions. An hourly tick sees only flights that had landed by then, and weather that had been published.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from projects.flights.source import ASKED_BEFORE, HOME_ZONE, LATE_MINUTES, REQUEST, event_ids

LOOKBACK = timedelta(hours=48)
"""Raw rows that `build` needs before its window: an entity without a landing for so long has no row."""
WINDOWS = (2, 6, 24)
"""Hours of the running means."""
INSTANT = "datetime64[us, UTC]"
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "visib"]
STRETCH = 2**52
"""Each entity's instants (microseconds since 1970, to the year 2112) lie on a stretch of their own of one line."""

Ints = np.ndarray[Any, np.dtype[np.int64]]


def build(tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Return the feature tables of the hourly ticks in (since, until].

    The windows of the means are (tick - w, tick], by landing; a mean over no landing is null. A raw table may be empty,
    even without columns, as when a feed is down.
    """
    first, last = pd.Timestamp(since).floor("h") + pd.Timedelta(hours=1), pd.Timestamp(until).floor("h")
    ticks = pd.date_range(first, last, freq="h", unit="us")
    flights = _typed(tables["flights"], landed=INSTANT, arr_delay="float64", origin=str, carrier=str, dest=str)
    weather = _typed(tables["weather"], available_at=INSTANT, origin=str, **dict.fromkeys(WEATHER, "float64"))
    views = {f"{entity}_stats": _stats(flights, entity, ticks) for entity in ("origin", "carrier", "dest")}
    return views | {"weather": _weather(weather, since, until)}


def events(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each flight as an event with its label.

    Returns:
        ``event_id``, ``event_timestamp`` (scheduled departure - 2 h), the request fields, ``late`` (0 or 1; cancelled
        and diverted flights are late) and ``label_available_at``: min(landed, scheduled arrival + 15 min).
    """
    flights = tables["flights"]
    called_late = (flights["sched_arr"] + pd.Timedelta(minutes=LATE_MINUTES)).dt.as_unit("us")
    return flights[REQUEST].assign(
        event_id=event_ids(flights),
        event_timestamp=(flights["sched_dep"] - ASKED_BEFORE).dt.as_unit("us"),
        late=(~(flights["arr_delay"] < LATE_MINUTES)).astype("int64"),
        label_available_at=flights["landed"].where(flights["landed"] < called_late, called_late),
    )


def on_request(request: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the features that follow from the request alone.

    ``dep_minute`` of the local day, ``dep_weekday`` (Monday is 0), ``sched_elapsed`` in minutes, and the ids.
    Instants without a zone are UTC.
    """
    departures = [_seconds(instant) for instant in request["sched_dep"]]
    arrivals = [_seconds(instant) for instant in request["sched_arr"]]
    local = [seconds + _offset(seconds // 3600) for seconds in departures]
    return {
        "dep_minute": [float(seconds // 60 % 1440) for seconds in local],
        # 1 January 1970 was a Thursday.
        "dep_weekday": [float((seconds // 86400 + 3) % 7) for seconds in local],
        "sched_elapsed": [(arrival - departure) / 60 for departure, arrival in zip(departures, arrivals, strict=True)],
        "carrier_id": list(request["carrier"]),
        "origin_id": list(request["origin"]),
        "dest_id": list(request["dest"]),
    }


def _seconds(instant: datetime) -> int:
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


@lru_cache(maxsize=16_384)
def _offset(hour: int) -> int:
    """Offset of New York's clock in seconds during an hour since 1970; it only changes between whole hours."""
    offset = datetime.fromtimestamp(hour * 3600, ZoneInfo(HOME_ZONE)).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _typed(table: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Give a table without rows the columns that are needed of it."""
    return table if len(table) else pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


def _stats(flights: pd.DataFrame, entity: str, ticks: pd.DatetimeIndex) -> pd.DataFrame:
    """Mean delay and late share of the landings in each window, for each entity and tick."""
    landed = flights[flights["landed"].notna()].sort_values([entity, "landed"])
    names, codes = np.unique(landed[entity].to_numpy(dtype=str), return_inverse=True)
    line = codes * STRETCH + _micros(landed["landed"])
    instants = np.tile(_micros(ticks.to_series()), len(names))
    at = np.repeat(np.arange(len(names)) * STRETCH, len(ticks)) + instants

    def landed_until(tick_minus: timedelta) -> Ints:
        return np.searchsorted(line, at - tick_minus // timedelta(microseconds=1), side="right").astype("int64")

    delays = landed["arr_delay"].to_numpy(dtype="int64")
    sums = {"delay": _running(delays), "late": _running((delays >= LATE_MINUTES).astype("int64"))}
    now = landed_until(timedelta(0))
    columns: dict[str, Any] = {
        entity: np.repeat(names.astype(object), len(ticks)),
        "event_timestamp": pd.to_datetime(instants, unit="us", utc=True).as_unit("us"),
    }
    for hours in WINDOWS:
        before = landed_until(timedelta(hours=hours))
        counts = np.where(now > before, now - before, np.nan)
        for what, running in sums.items():
            columns[f"{entity}_{what}_{hours}h"] = ((running[now] - running[before]) / counts).astype("float32")
    lively = now > landed_until(LOOKBACK)
    return pd.DataFrame(columns).loc[lively].reset_index(drop=True)


def _running(values: Ints) -> Ints:
    """Running sums in integers, so that a window's sum is the same whatever came before it."""
    return np.concatenate([np.zeros(1, dtype="int64"), np.cumsum(values)])


def _micros(instants: pd.Series) -> Ints:
    return np.asarray(instants.dt.as_unit("us").astype("int64"))


def _weather(weather: pd.DataFrame, since: datetime, until: datetime) -> pd.DataFrame:
    """Hourly weather of an airport, from the instant at which it was published."""
    published = weather["available_at"]
    table = weather[(published > pd.Timestamp(since)) & (published <= pd.Timestamp(until))].reset_index(drop=True)
    columns: dict[str, Any] = {"origin": table["origin"], "event_timestamp": table["available_at"]}
    return pd.DataFrame(columns | {name: table[name].astype("float32") for name in WEATHER})
