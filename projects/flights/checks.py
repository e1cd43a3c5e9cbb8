"""What a batch of flights and weather must be, by physical consistency where that is possible.

A changed unit or a shifted clock seldom leaves its range; it does break the equations between columns. Limits were
measured over the clean year, which they refuse nothing of but one wind of 1,048 mph.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import great_expectations.expectations as gxe
import numpy as np
import pandas as pd

from projects.flights.source import HOME_ZONE, MINUTE, minutes, utc

HISTORY = timedelta(days=36)
"""Accepted rows before the window that `prepare` looks at: five of each weekday."""
COLUMNS = {
    "flights": [
        *("date", "carrier", "flight", "origin", "dest", "hour", "time_hour", "sched_dep", "sched_arr", "landed"),
        *("dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    ],
    "weather": [
        *("origin", "time_hour", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure"),
        "visib",
    ],
}
"""Columns that a raw table must have, besides its key and the instant at which a row is known."""

Expectations = dict[str, list[Any]]
Frames = dict[str, pd.DataFrame]

STATIONS = ["EWR", "JFK", "LGA"]
HOUR, DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)
LOCAL_DAY = (4 * HOUR, 36 * HOUR)
"""When a local day is judged, from 00:00 UTC of its date: it opens at 04:00 or 05:00, and by noon of the next day its
last flights have landed, the one of 23:59 to the Pacific too."""
UTC_DAY = (0 * HOUR, 24 * HOUR)
QUIET = pd.Timedelta(hours=12)
"""No night without a landing is as long; a longer silence means that a batch was refused."""
ENOUGH = 100
"""Rows of a day from which a share is judged."""
INCOMPARABLE = 9999
"""Stands for a difference that cannot be computed."""


def suites() -> Expectations:
    """List the expectations of each frame that `prepare` makes."""
    return {
        "flights": [
            _rows("dep_delay", "a departure delay of -60 to 1,440 minutes", -60, 1440),
            _rows("arr_delay", "an arrival delay of -120 to 1,440 minutes", -120, 1440),
            _rows("sched_elapsed", "a scheduled flight of 20 minutes to 24 hours", 20, 1440),
            _rows("dep_clock_gap", "a departure delay equal to the clocks' difference, modulo a day", 0, 0),
            _rows("arr_clock_gap", "an arrival delay equal to the clocks' difference, modulo a day", 0, 0),
            _rows("hour_gap", "a time_hour that is the local date and hour (difference in minutes)", 0, 0),
            _rows("sched_dep_gap", "a departure scheduled at the local date and clock (difference in minutes)", 0, 0),
            _rows("landed_gap", "a landing at the scheduled arrival plus the delay (difference in minutes)", 0, 0),
            _none("new_carrier", "carriers seen in recent weeks"),
            _none("new_dest", "destinations seen in recent weeks"),
        ],
        "flights_by_date": [
            _batch("rows", "600 to 1,100 flights a local day", 600, 1100),
            _batch("of_weekday", "at least 0.55 of the weekday's median of flights", 0.55),
            _batch("cancelled", "at most 0.7 of a day's flights cancelled", None, 0.7),
            _batch("cancelled", "at most 0.2 of a day's flights cancelled", None, 0.2, severity="warning"),
            _batch("unlanded", "at most 0.05 of a day's departures without an arrival", None, 0.05),
        ],
        "flights_by_delivery": [
            _batch("of_weekday", "at least half of the weekday's median of rows delivered", 0.5),
            _batch("cancelled", "at most 0.9 of the rows delivered in a day cancelled", None, 0.9),
            _batch("unlanded", "at most 0.05 of the departures delivered in a day without an arrival", None, 0.05),
        ],
        "weather": [
            _rows("temp", "a temperature of -20 to 110 °F", -20, 110),
            _rows("dewp", "a dew point of -40 to 110 °F", -40, 110),
            _rows("humid", "a relative humidity of 0 to 100 %", 0, 100),
            _rows("wind_dir", "wind from 0 to 360 degrees", 0, 360),
            _rows("wind_speed", "wind of 0 to 100 mph", 0, 100),
            _rows("pressure", "a pressure of 940 to 1,060 hPa", 940, 1060),
            _rows("visib", "a visibility of 0 to 10 miles", 0, 10),
            _rows("hour_gap", "a time_hour that is the local hour (difference in hours)", 0, 0),
        ],
        "weather_by_day": [
            _none("silent", "weather of every station (none at all: the feed is down)"),
            _batch("rows", "at least 12 hours of weather a day and station", 12),
            _batch("rows", "at least 22 hours of weather a day and station", 22, severity="warning"),
            # Clean days stay below 0.04, days in Celsius above 1.1.
            _batch("humidity_gap", "humidity within 0.5 % of temperature and dew point (a day's median)", 0, 0.5),
        ],
    }


def prepare(
    tables: Mapping[str, pd.DataFrame], history: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> Frames:
    """Compute the columns that the expectations look at; frames keep their index, which names a wrong row."""
    flights, weather = tables["flights"], tables["weather"]
    past = history.get("flights", flights).iloc[: None if "flights" in history else 0]
    window = _Window(past, since, until)
    seen = pd.concat([past, flights]) if len(past) else flights
    local_hour = weather["time_hour"].dt.tz_convert(HOME_ZONE).dt.hour
    return {
        "flights": _flights(flights, past),
        "flights_by_date": _by_date(seen, window),
        "flights_by_delivery": _by_delivery(flights, seen, window),
        "weather": weather.assign(hour_gap=_gap(local_hour - weather["hour"])),
        "weather_by_day": _weather_by_day(weather, history.get("weather", weather.iloc[:0]), window),
    }


class _Window:
    """The batch's window, and how far back accepted rows reach without a gap."""

    def __init__(self, past: pd.DataFrame, since: datetime, until: datetime) -> None:
        self.since, self.until = pd.Timestamp(since).tz_convert("UTC"), pd.Timestamp(until).tz_convert("UTC")
        instants = past["available_at"].sort_values()
        following = instants.shift(-1, fill_value=self.since)
        breaks = following[following - instants > QUIET]
        # A day that began in a refused batch cannot be judged; without this, one refusal would cause the next.
        self.unbroken_from = breaks.iloc[-1] if len(breaks) else self.since - HISTORY if len(past) else self.since
        self.known_from = instants.iloc[0] if len(past) else self.since

    def judged(self, opens: pd.Timedelta, closes: pd.Timedelta) -> pd.DatetimeIndex:
        """Return the days that close within the window and have been seen from their opening on."""
        days = pd.date_range(self.since.floor("D") - 2 * DAY, self.until.floor("D"), freq="D", unit="us")
        closed = (days + closes > self.since) & (days + closes <= self.until)
        return pd.DatetimeIndex(days[closed & (days + opens >= self.unbroken_from)])

    def whole(self, days: pd.DatetimeIndex, opens: pd.Timedelta, closes: pd.Timedelta) -> pd.DatetimeIndex:
        """Return the days that the accepted rows cover from end to end."""
        return days[(days + opens >= self.known_from) & (days + closes <= self.until)]


def _flights(flights: pd.DataFrame, past: pd.DataFrame) -> pd.DataFrame:
    departed = minutes(flights["dep_time"]) - minutes(flights["sched_dep_time"])
    arrived = minutes(flights["arr_time"]) - minutes(flights["sched_arr_time"])
    date = pd.to_datetime(flights["date"], errors="coerce")
    hour = utc(date + flights["hour"] * HOUR)
    clock = utc(date + minutes(flights["sched_dep_time"]) * MINUTE)
    landed = _between(flights["sched_arr"], flights["landed"]) - flights["arr_delay"]
    new = {name: ~flights[name].isin(past[name]) & bool(len(past)) for name in ("carrier", "dest")}
    return flights.assign(
        sched_elapsed=_between(flights["sched_dep"], flights["sched_arr"]),
        dep_clock_gap=(departed - flights["dep_delay"]) % 1440,
        arr_clock_gap=(arrived - flights["arr_delay"]) % 1440,
        hour_gap=_gap(_between(hour, flights["time_hour"])),
        sched_dep_gap=_gap(_between(clock, flights["sched_dep"])),
        landed_gap=_gap(landed.where(flights["landed"].notna() | flights["arr_delay"].notna(), 0)),
        new_carrier=flights["carrier"].where(new["carrier"], None),
        new_dest=flights["dest"].where(new["dest"], None),
    )


def _by_date(seen: pd.DataFrame, window: _Window) -> pd.DataFrame:
    """Return a row for each local day whose last flights landed within the window, wherever its first rows came."""
    days = _daily(seen, pd.to_datetime(seen["date"], errors="coerce").dt.tz_localize("UTC"))
    return _named(_judge(days, window, LOCAL_DAY))


def _by_delivery(flights: pd.DataFrame, seen: pd.DataFrame, window: _Window) -> pd.DataFrame:
    """Return a row for each UTC day of the window, of the rows that became known in it."""
    counted = _judge(_daily(seen, _day(seen["available_at"])), window, UTC_DAY)[["rows", "of_weekday"]]
    shares = _daily(flights, _day(flights["available_at"]))
    return _named(counted.join(shares.loc[shares["rows"] >= ENOUGH, ["cancelled", "unlanded"]], how="outer"))


def _weather_by_day(weather: pd.DataFrame, past: pd.DataFrame, window: _Window) -> pd.DataFrame:
    """Return a row for each UTC day and station."""
    seen = pd.concat([past, weather]) if len(past) else weather
    wanted = pd.MultiIndex.from_product([window.judged(*UTC_DAY), STATIONS])
    rows = seen.groupby([_day(seen["available_at"]), seen["origin"]]).size().reindex(wanted, fill_value=0)
    off = (_humidity(weather["temp"], weather["dewp"]) - weather["humid"]).abs()
    by_station = pd.DataFrame({"silent": rows.map({0: "no row"}), "rows": rows.where(rows > 0)})
    by_station.index = pd.Index([f"{day:%Y-%m-%d} {station}" for day, station in by_station.index])
    return pd.concat([by_station, _named(off.groupby(_day(weather["available_at"])).median().to_frame("humidity_gap"))])


def _daily(flights: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
    """Count the flights of each day, with the shares cancelled and, of those that departed, not landed."""
    departed = flights["dep_time"].notna()
    facts = pd.DataFrame({"rows": 1, "departed": departed, "landed": departed & flights["arr_delay"].notna()})
    sums = facts.groupby(day).sum()
    cancelled, unlanded = 1 - sums["departed"] / sums["rows"], 1 - sums["landed"] / sums["departed"]
    return pd.DataFrame({"rows": sums["rows"], "cancelled": cancelled, "unlanded": unlanded})


def _judge(days: pd.DataFrame, window: _Window, span: tuple[pd.Timedelta, pd.Timedelta]) -> pd.DataFrame:
    """Keep the days to judge, and compare each with the median of the same weekday's other whole days."""
    whole = days.loc[window.whole(pd.DatetimeIndex(days.index), *span), "rows"]
    judged = days.reindex(window.judged(*span)).fillna({"rows": 0})
    weekdays = pd.DatetimeIndex(whole.index).dayofweek
    alike = [whole[(weekdays == day.dayofweek) & (whole.index != day)] for day in judged.index]
    medians = np.array([rows.median() if len(rows) >= 3 else np.nan for rows in alike], dtype="float64")
    return judged.assign(of_weekday=judged["rows"] / medians)


def _named(days: pd.DataFrame) -> pd.DataFrame:
    """Name the rows by their day, as a report shows them."""
    return days.set_axis(pd.DatetimeIndex(days.index).strftime("%Y-%m-%d"))


def _day(instants: pd.Series) -> pd.Series:
    """Return the day whose (00:00, 24:00] UTC holds the instant."""
    return pd.Series((instants - pd.Timedelta(microseconds=1)).dt.floor("D"))


def _between(start: pd.Series, end: pd.Series) -> pd.Series:
    """Return the minutes between two instants."""
    return (end - start).dt.total_seconds() / 60


def _gap(difference: pd.Series) -> pd.Series:
    return difference.fillna(INCOMPARABLE)


def _humidity(temp: pd.Series, dewp: pd.Series) -> pd.Series:
    """Return the relative humidity in % from °F, after Magnus (Alduchov and Eskridge 1996)."""
    above, dew_above = (temp - 32) / 1.8, (dewp - 32) / 1.8
    exponent = 17.625 * dew_above / (243.04 + dew_above) - 17.625 * above / (243.04 + above)
    return 100 * exponent.map(np.exp)


def _range(column: str, description: str, low: float | None = None, high: float | None = None, **options: Any) -> Any:
    return gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=low, max_value=high, description=description, **options
    )


_rows = partial(_range, mostly=0.95, meta={"scope": "row"})
"""Takes out single rows; where more than 5 % are wrong, the batch is."""
_batch = partial(_range, meta={"scope": "batch"})


def _none(column: str, description: str) -> Any:
    """Give notice of the names in a column that should have none."""
    return gxe.ExpectColumnValuesToBeNull(
        column=column, severity="warning", meta={"scope": "batch"}, description=description
    )
