"""Forecasts in project.yaml: the next values of one series, or of a series for each key.

A question is asked at an instant, the origin, about a later one, the column of role time. From the columns follow the
features of a project: all of them are known at the origin, or sent with the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from stack.specification import table
from stack.specification.fields import TYPES
from stack.specification.schedules import Zone
from stack.specification.sections import KINDS, Spec

if TYPE_CHECKING:
    from stack.specification.specs import ProjectSpec

DAY = timedelta(days=1)
UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": DAY}
LAGS = (1, 2, 3, 6, 12)
"""How many steps before the last value features look, beside a day and a week."""
ASKED_SHARE = 6
"""Of the steps of a long horizon, training takes one in so many."""


class Forecast(Spec):
    """The steps of a forecast: how far apart they are, and how many are asked about at once."""

    every: timedelta = Field(gt=timedelta(0), le=DAY)
    """Distance of the values of a series, a part of a day: `1h`, `PT30M`, `1d`."""
    steps: int = Field(ge=1, le=336)
    """The horizon: how many of them an answer holds."""
    zone: Zone | None = None
    """Of the days, hours and weekdays that features compare, like Europe/Berlin; `source.zone` when left out."""
    asked_every: timedelta | None = Field(None, gt=timedelta(0))
    """Replay only: a forecast is asked for so often; after each horizon when left out."""

    @field_validator("every", "asked_every", mode="before")
    @classmethod
    def _in_words(cls, length: Any) -> Any:
        """Read `15min`, `1h` and `1d`, beside ISO 8601."""
        written = re.fullmatch(r"(\d+) ?(min|h|d)", length) if isinstance(length, str) else None
        return int(written[1]) * UNITS[written[2]] if written else length

    @field_validator("every")
    @classmethod
    def _is_part_of_a_day(cls, every: timedelta) -> timedelta:
        if DAY % every or every % timedelta(minutes=1):
            raise ValueError("a part of a day in whole minutes, like 15min, 1h or 1d")
        return every

    @property
    def horizon(self) -> timedelta:
        """How far ahead the last step is."""
        return self.every * self.steps

    @property
    def a_day(self) -> int:
        """The steps of a day."""
        return DAY // self.every

    @property
    def lags(self) -> list[int]:
        """How many steps before the last value features look."""
        return sorted({*LAGS, self.a_day, 7 * self.a_day} - {0})

    @property
    def learnt(self) -> int:
        """How many steps training takes of each horizon."""
        return self.steps if self.steps <= 8 else max(4, self.steps // ASKED_SHARE)


def of(spec: ProjectSpec) -> Forecast:
    """Return the section of a project whose task is a forecast."""
    if spec.forecast is None:
        raise ValueError(f"{spec.name} is no forecast")
    return spec.forecast


def slot_names(time: str, *, keyed: bool) -> dict[str, str]:
    """Return the join keys that follow from an instant: what they are -> name; `series` stands for a missing key."""
    names = {"day": f"{time}_of_day", "week": f"{time}_of_week"}
    return names if keyed else names | {"series": f"{time}_series"}


def slots(spec: ProjectSpec, instants: Sequence[datetime]) -> dict[str, list[int]]:
    """Return the join keys of instants, by name: the place in the local day, and in the local week."""
    zone, every = ZoneInfo(zone_of(spec)), of(spec).every
    local = [instant.astimezone(zone) for instant in instants]
    of_day = [timedelta(hours=at.hour, minutes=at.minute) // every for at in local]
    of_week = [at.weekday() * of(spec).a_day + slot for at, slot in zip(local, of_day, strict=True)]
    names = slot_names(time_of(spec), keyed=bool(keys(spec)))
    values = {"day": of_day, "week": of_week, "series": [0] * len(local)}
    return {name: values[kind] for kind, name in names.items()}


def with_slots(spec: ProjectSpec, columns: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Return the columns of requests with the join keys that follow from their instants, if the task has any."""
    return {**columns, **slots(spec, columns[time_of(spec)])} if spec.forecast else {**columns}


def time_of(spec: ProjectSpec) -> str:
    """Return the column with the instant that is forecast."""
    return table.time(spec.columns) or ""


def keys(spec: ProjectSpec) -> list[str]:
    """Return the columns that name a series."""
    return table.of_role(spec.columns, "key")


def zone_of(spec: ProjectSpec) -> str:
    """Return the zone of the local clock."""
    if spec.forecast and spec.forecast.zone:
        return spec.forecast.zone
    return spec.source.zone if spec.source else "UTC"


def inputs(spec: ProjectSpec) -> list[str]:
    """Return the request fields that belong to a step: what is known ahead."""
    return [name for name in spec.request if name not in (*keys(spec), time_of(spec))]


def origin(spec: ProjectSpec, at: datetime) -> datetime:
    """Return the last instant of the series, up to `at`."""
    if of(spec).every == DAY:
        midnight = at.astimezone(ZoneInfo(zone_of(spec))).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight.astimezone(UTC)
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return at - since % of(spec).every


def targets(spec: ProjectSpec, at: datetime) -> list[datetime]:
    """Return the instants that a forecast asked for at `at` is about; days are of the local clock."""
    first, zone = origin(spec, at), ZoneInfo(zone_of(spec))
    steps = range(1, of(spec).steps + 1)
    if of(spec).every == DAY:
        return [(first.astimezone(zone) + step * DAY).astimezone(UTC) for step in steps]
    return [first + step * of(spec).every for step in steps]


def features(columns: table.Columns, project: str, label: str, forecast: Forecast) -> dict[str, Any]:
    """Return the section ``features`` of a forecast: what is known of the series at the origin, calendar and inputs."""
    time = table.time(columns) or ""
    known = {last(label): "number", ahead(time): "number"}
    known |= {name: "number" for name in changes(label, forecast)}
    known |= {f"{time}_hour": "number"} if forecast.a_day > 1 else {}
    known |= {f"{time}_weekday": "number"}
    known |= {last(name): "number" for name in observed(columns)}
    asked = {
        name: TYPES[column.type].feature
        for name, column in columns.items()
        if column.role in ("feature", "key") and name != label and TYPES[column.type].feature
    }
    kinds = known | asked
    ordered = {name: kind for of in KINDS for name, kind in kinds.items() if kind == of}
    return {
        "service": f"{project}_v1",
        "entities": table.of_role(columns, "key"),
        "columns": ordered,
        "encode": table.encoded(columns),
        "offset": last(label),
    }


def last(name: str) -> str:
    """Return the feature with the last known value of a column."""
    return f"{name}_last"


def ahead(time: str) -> str:
    """Return the feature that says how many steps after the last known value is asked about."""
    return f"{time}_ahead"


def observed(columns: table.Columns) -> list[str]:
    """Return the columns that are known up to the origin only, besides the label."""
    return [name for name in table.of_role(columns, "later") if TYPES[columns[name].type].feature == "number"]


def changes(label: str, forecast: Forecast) -> dict[str, str]:
    """Return the features that say how a past value differs from the last one -> the stored value."""
    past = [*(f"lag_{lag}" for lag in forecast.lags), "mean_day", "mean_week", *seasons(forecast)]
    return {f"{label}_{name}": f"{label}_{name}_value" for name in past}


def seasons(forecast: Forecast) -> list[str]:
    """Return the values of the series at the time that is asked about: the last one, and the mean of some."""
    daily = ["same_time", "same_time_mean"] if forecast.a_day > 1 else []
    return [*daily, "same_weekday", "same_weekday_mean"]


def naive(label: str, forecast: Forecast) -> dict[str, str]:
    """Return the forecasts that need no model: what they are called -> the change from the last value, if any."""
    day = {"the same time yesterday": f"{label}_same_time"} if forecast.a_day > 1 else {}
    return {
        "the last value": "",
        **day,
        "the same time last week": f"{label}_same_weekday",
        "the mean of the last week": f"{label}_mean_week",
    }


def problems(spec: ProjectSpec) -> Iterator[str]:
    """Yield what a forecast lacks, each beginning with its key."""
    if spec.task != "forecast":
        if spec.forecast:
            yield "forecast: with `task: forecast` alone"
    elif not spec.forecast:
        yield "forecast: how far apart the values are and how many are forecast, like `{every: 1h, steps: 24}`"
    elif not spec.columns:
        yield "columns: the columns of the series, as a forecast's features follow from them"
    elif not table.time(spec.columns):
        yield "columns: one of role time, the instant of a value"
    elif spec.features.formulas:
        yield "features.formulas: none, as a forecast's features follow from its columns"
    elif spec.training.split == "random":
        yield "training.split: time, as a forecast is about later values"
