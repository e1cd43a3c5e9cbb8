"""The features of a forecast: the past of each series, as it was known at an instant.

Three views: by series, its last values; by series and time of the day, or of the week, the values at that time. Each
has a row for each value that became known, so that the newest row of an instant is what was known then. A series may
have gaps, and a value may come late: what a row says follows from the values that were known at its instant alone, and
from those of the last :data:`WEEKS` before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from stack.declared.source import ids
from stack.specification import forecasts, frames
from stack.specification.forecasts import Forecast
from stack.specification.frames import INSTANT
from stack.specification.specs import ProjectSpec
from stack.specification.table import ROWS

WEEKS = timedelta(days=28)
"""How far before the last value features look."""
LATEST = timedelta(days=7)
"""A value that becomes known later than this says nothing about the present."""
SAME_TIMES, SAME_WEEKDAYS = 7, 4
"""How many values at one time of the day, or of the week, are averaged."""
BLOCK = 5_000
"""Rows whose past is laid out at a time."""
HOUR, MICROSECOND = 3_600_000_000, timedelta(microseconds=1)
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ForecastFeatures:
    """Feature tables, events and features of requests of a forecast."""

    spec: ProjectSpec
    LOOKBACK: timedelta = WEEKS + LATEST + timedelta(days=1)

    def build(self, tables: Mapping[str, DataFrame], since: datetime, until: datetime) -> dict[str, DataFrame]:
        """Return the feature tables of the rows that became known in (since, until]."""
        rows, names = self._observed(tables[ROWS]), views(self.spec)
        if rows.empty:
            return {name: self._empty(kind) for kind, name in names.items()}
        built = {names["series"]: self._series(rows), names["week"]: self._same(rows, "week")}
        if "day" in names:
            built[names["day"]] = self._same(rows, "day")
        inside = (pd.Timestamp(since), pd.Timestamp(until))
        return {name: _between(frame, *inside) for name, frame in built.items()}

    def events(self, tables: Mapping[str, DataFrame]) -> DataFrame:
        """Return rows as questions: of each value, asked some of the steps before it, another some for each."""
        rows = tables[ROWS].reset_index(drop=True)
        at = rows[self._time]
        learnt, steps = self.forecast.learnt, self.forecast.steps
        first = (self._places(at) * 2_654_435_761 >> 9) % steps
        before = (first[:, None] + steps * np.arange(learnt) // learnt) % steps + 1
        events = rows.loc[rows.index.repeat(learnt)].reset_index(drop=True)
        step = before.ravel()
        asked = events[self._time] - pd.to_timedelta(step * (self.forecast.every // MICROSECOND), unit="us")
        return events.assign(
            event_id=ids(self.spec, events) + "-" + step.astype(str),
            event_timestamp=asked.astype(INSTANT),
            label_available_at=events["available_at"],
        )

    def on_request(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the features of requests: how a past value differs from the last one, the calendar, and inputs.

        Stored columns that are not among them are missing.
        """
        label, at = self.spec.label, columns[self._time]
        columns = {**dict.fromkeys(self._stored, [None] * len(at)), **columns}
        base = np.nan_to_num(_numbers(columns[forecasts.last(label)]))
        found = {
            name: (_numbers(columns[past]) - base).tolist()
            for name, past in forecasts.changes(label, self.forecast).items()
        }
        micros = np.array([instant.timestamp() * 1e6 for instant in at])
        ahead = (micros / HOUR - _numbers(columns[last_at(self.spec)])) * HOUR
        found[forecasts.ahead(self._time)] = (ahead / (self.forecast.every / MICROSECOND)).tolist()
        slots = forecasts.slots(self.spec, at)
        names = forecasts.slot_names(self._time, keyed=True)
        of_day = self.forecast.every / timedelta(hours=1)
        found[f"{self._time}_hour"] = [slot * of_day for slot in slots[names["day"]]]
        found[f"{self._time}_weekday"] = [float(slot // self.forecast.a_day) for slot in slots[names["week"]]]
        for name, kind in self._on_request.items():
            if name not in found:
                number = kind == "number"
                found[name] = [float(value) if number and value is not None else value for value in columns[name]]
        return {name: found[name] for name in self._on_request}

    @property
    def forecast(self) -> Forecast:
        """The steps of the forecast."""
        return forecasts.of(self.spec)

    @cached_property
    def _time(self) -> str:
        return forecasts.time_of(self.spec)

    @cached_property
    def _stored(self) -> list[str]:
        return stored(self.spec)

    @cached_property
    def _on_request(self) -> dict[str, str]:
        return on_request(self.spec)

    def _observed(self, rows: DataFrame) -> DataFrame:
        """Return the known values, in the order of series and time: the newest of a step counts."""
        label, keys = self.spec.label, forecasts.keys(self.spec)
        rows = rows[rows[label].notna() & rows[self._time].notna()]
        numbers = {name: rows[name].astype("float64") for name in (label, *forecasts.observed(self.spec.columns))}
        series = rows[keys].apply(tuple, axis=1) if len(keys) > 1 else rows[keys[0]] if keys else None
        code = np.zeros(len(rows), dtype=np.int64) if series is None else pd.factorize(series, sort=True)[0]
        instants = rows[self._time].tolist()
        rows = frames.with_columns(rows[[*keys, self._time, "available_at"]], numbers)
        rows = rows.assign(
            series=code, place=self._places(rows[self._time]), **forecasts.slots(self.spec, instants)
        ).sort_values(["series", "place", "available_at"], kind="stable", ignore_index=True)
        return rows.drop_duplicates(["series", "place"], keep="last", ignore_index=True)

    def _places(self, at: Series[Any]) -> Array:
        """Return the number of each instant's step; days are of the local clock."""
        if self.forecast.every == forecasts.DAY:
            at = at.dt.tz_convert(forecasts.zone_of(self.spec)).dt.tz_localize(None)
        micros = at.to_numpy("datetime64[us]").astype(np.int64)
        return np.asarray(micros // (self.forecast.every // MICROSECOND))

    def _series(self, rows: DataFrame) -> DataFrame:
        """Return the feature table of the series: last value, earlier ones, and means of a day and a week."""
        label, lags, a_day = self.spec.label, self.forecast.lags, self.forecast.a_day
        length = max(lags[-1], 7 * a_day) + 1
        known = Known.of(rows["series"], rows[self._time], rows["available_at"])
        place = rows["series"].to_numpy() * 2**40 + rows["place"].to_numpy()
        value = rows[label].to_numpy()
        parts: dict[str, list[Array]] = {}
        for part in known.blocks():
            wanted = place[known.newest[part], None] - np.arange(length)
            found = np.searchsorted(place, wanted).clip(max=len(place) - 1)
            past = known.values(value, found, part, place[found] == wanted)
            columns = {forecasts.last(label): past[:, 0]}
            columns |= {f"{label}_lag_{lag}_value": past[:, lag] for lag in lags}
            columns |= {f"{label}_mean_{name}_value": _mean(past[:, :days]) for name, days in _means(a_day).items()}
            for name, column in columns.items():
                parts.setdefault(name, []).append(column)
        made = {name: np.concatenate(column) for name, column in parts.items()}
        newest = rows.iloc[known.newest]
        made |= {forecasts.last(name): newest[name].to_numpy() for name in forecasts.observed(self.spec.columns)}
        hours = newest[self._time].to_numpy("datetime64[us]").astype(np.int64) / HOUR
        return known.table(self._keys("series"), rows, made, {last_at(self.spec): hours})

    def _same(self, rows: DataFrame, slot: str) -> DataFrame:
        """Return the feature table of a time of the day, or of the week: the last value then, and the mean of some."""
        label, (name, count, reach) = self.spec.label, SAME[slot]
        own = self._keys(slot)[-1]
        rows = rows.sort_values(["series", own, "place"], kind="stable", ignore_index=True)
        group = rows["series"].to_numpy() * 2**20 + rows[own].to_numpy()
        known = Known.of(Series(group), rows[self._time], rows["available_at"])
        at, value = rows[self._time].to_numpy("datetime64[us]"), rows[label].to_numpy()
        parts: list[Array] = []
        for part in known.blocks():
            newest = known.newest[part, None]
            found = newest - np.arange(count + 1)  # the hour that comes twice when the clocks go back
            near = (group[found.clip(0)] == group[newest]) & (found >= 0)
            near &= at[newest] - at[found.clip(0)] < reach
            parts.append(_mean(known.values(value, found.clip(0), part, near)))
        mean = np.concatenate(parts) if parts else np.empty(0)
        made = {f"{label}_{name}_value": value[known.newest], f"{label}_{name}_mean_value": mean}
        return known.table(self._keys(slot), rows, made)

    def _empty(self, kind: str) -> DataFrame:
        columns = {name: np.empty(0, np.float32) for name in schema(self.spec)[kind]}
        instants = pd.DatetimeIndex([], tz="UTC")
        return DataFrame(dict.fromkeys(self._keys(kind), ()) | {"event_timestamp": instants} | columns)

    def _keys(self, of: str) -> list[str]:
        """Return the join keys of a view."""
        return join_keys(self.spec)[of]


@dataclass(frozen=True)
class Known:
    """What was known whenever a value became known, of rows in the order of group and time."""

    newest: Array
    """For each row, the position of its group's newest row that was known when the row became known."""
    known: Array
    """The instant at which each row became known, datetime64[us]."""
    counts: Array
    """Whether the row that was the newest is young enough to say something about the present."""

    @classmethod
    def of(cls, group: Series[Any], at: Series[Any], available_at: Series[Any]) -> Known:
        """Find the newest rows."""
        known, instants = available_at.to_numpy("datetime64[us]"), at.to_numpy("datetime64[us]")
        order = np.lexsort((np.arange(len(known)), known, group.to_numpy()))
        newest = np.empty(len(known), dtype=np.int64)
        newest[order] = np.maximum.accumulate(order) if len(order) else order
        return cls(newest, known, known - instants[newest] <= np.timedelta64(LATEST))

    def blocks(self) -> list[slice]:
        """Return slices of the rows."""
        return [slice(start, start + BLOCK) for start in range(0, len(self.newest), BLOCK)]

    def values(self, value: Array, found: Array, part: slice, near: Array) -> Array:
        """Return values at positions, (rows of the part, n); NaN where they are not near or were not known yet."""
        return np.where(near & (self.known[found] <= self.known[part, None]), value[found], np.nan)

    def table(
        self, keys: Sequence[str], rows: DataFrame, made: Mapping[str, Array], exact: Mapping[str, Array] | None = None
    ) -> DataFrame:
        """Return a feature table: a row for each key and instant at which one became known."""
        columns = {name: values.astype(np.float32) for name, values in made.items()} | dict(exact or {})
        frame = frames.with_columns(rows[[*keys]], {"event_timestamp": rows["available_at"].astype(INSTANT), **columns})
        # Of values that became known together, that of the newest row counts.
        order = np.lexsort((self.newest, self.known))
        return frame.iloc[order[self.counts[order]]].drop_duplicates([*keys, "event_timestamp"], keep="last")


SAME = {
    "day": ("same_time", SAME_TIMES, np.timedelta64(7, "D")),
    "week": ("same_weekday", SAME_WEEKDAYS, np.timedelta64(28, "D")),
}
"""Join key of a view -> the name of its values, how many there are in what is averaged, and how long that is."""


def of(spec: ProjectSpec) -> ForecastFeatures:
    """Return the features of a forecast."""
    return ForecastFeatures(spec)


def views(spec: ProjectSpec) -> dict[str, str]:
    """Return the feature views: what they are by -> name."""
    kinds = ["series", *(["day"] if forecasts.of(spec).a_day > 1 else []), "week"]
    return {kind: f"{spec.name}_by_{kind}" for kind in kinds}


def join_keys(spec: ProjectSpec) -> dict[str, list[str]]:
    """Return the join keys of each view."""
    keys = forecasts.keys(spec)
    names = forecasts.slot_names(forecasts.time_of(spec), keyed=bool(keys))
    series = keys or [names["series"]]
    return {"series": series, "day": [*series, names["day"]], "week": [*series, names["week"]]}


def schema(spec: ProjectSpec) -> dict[str, list[str]]:
    """Return the stored columns of each view."""
    label = spec.label
    same = {kind: [f"{label}_{name}_value", f"{label}_{name}_mean_value"] for kind, (name, *_) in SAME.items()}
    past = [*(f"lag_{lag}" for lag in forecasts.of(spec).lags), "mean_day", "mean_week"]
    others = [forecasts.last(name) for name in forecasts.observed(spec.columns)]
    return {"series": [forecasts.last(label), *(f"{label}_{name}_value" for name in past), *others], **same}


def stored(spec: ProjectSpec) -> list[str]:
    """Return the stored columns of all views."""
    return [last_at(spec), *(name for columns in schema(spec).values() for name in columns)]


def last_at(spec: ProjectSpec) -> str:
    """Return the stored column with the instant of the last value, in hours since 1970."""
    return f"{forecasts.last(spec.label)}_at"


def on_request(spec: ProjectSpec) -> dict[str, str]:
    """Return the features that are computed for a request, and how the model reads each."""
    return {name: kind for name, kind in spec.features.columns.items() if name not in stored(spec)}


def _means(a_day: int) -> dict[str, int]:
    return {"day": a_day if a_day > 1 else 3, "week": 7 * a_day}


def _mean(values: Array) -> Array:
    """Return the mean of each row's known values; NaN where none is."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0))


def _numbers(values: Sequence[Any]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _between(frame: DataFrame, since: pd.Timestamp, until: pd.Timestamp) -> DataFrame:
    inside = (frame["event_timestamp"] > since) & (frame["event_timestamp"] <= until)
    return frame[inside].reset_index(drop=True)
