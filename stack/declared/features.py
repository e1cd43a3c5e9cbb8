"""The features that project.yaml declares: the past of keys, fields of a request, and formulas of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import pandas as pd
from pandas import DataFrame

from stack.core.errors import StackError
from stack.declared.forecast import ForecastFeatures
from stack.declared.source import ids
from stack.kit import rolling
from stack.specification import formulas, frames, table, tasks
from stack.specification.formulas import Past
from stack.specification.specs import ProjectSpec
from stack.specification.table import ROWS

HOUR, DAY = pd.Timedelta("1h"), pd.Timedelta("1D")


@dataclass(frozen=True)
class DeclaredFeatures:
    """Feature tables, events and features of requests; what ``features.py`` is to a project with Python files."""

    spec: ProjectSpec
    zone: str
    """Of the local clock."""

    @property
    def LOOKBACK(self) -> timedelta:  # noqa: N802  # a constant of the protocol
        """How far before a window `build` needs rows."""
        return timedelta(hours=max((past.hours + past.ago for past in pasts(self.spec).values()), default=0))

    @property
    def ticks(self) -> dict[str, pd.Timedelta]:
        """How far apart the instants are at which the past of a key is computed, by the name of its view."""
        return {view(self.spec, key): tick_of(self._own(key))[0] for key in self.spec.features.entities}

    def _own(self, key: str) -> dict[str, Past]:
        """Return the formulas of the past of a key."""
        return {name: past for name, past in pasts(self.spec).items() if past.key == key}

    def build(self, tables: Mapping[str, DataFrame], since: datetime, until: datetime) -> dict[str, DataFrame]:
        """Return the feature tables of the ticks in (since, until], from the rows known before each tick."""
        rows = self._with_numbers(tables[ROWS])
        return {view(self.spec, key): self._past(rows, key, since, until) for key in self.spec.features.entities}

    def events(self, tables: Mapping[str, DataFrame]) -> DataFrame:
        """Return each row as a question, asked at its instant (without time, when it arrived), with its outcome."""
        rows = tables[ROWS]
        if missing := [name for name in self.spec.request if name not in rows]:
            raise StackError(
                f"project {self.spec.name}, column {missing[0]}",
                found="rows in the lake that were ingested before project.yaml declared it",
                expected="rows with all columns",
                todo=f"make remove PROJECT={self.spec.name} KEEP=1, then make run: rows are read from the source anew",
            )
        added = {
            "event_id": ids(self.spec, rows),
            "event_timestamp": rows[table.time(self.spec.columns) or "available_at"],
            "label_available_at": rows["available_at"],
        }
        return frames.with_columns(rows, added)

    def on_request(self, request: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the features of requests: fields as they are, and formulas; a missing value stays missing."""
        return formulas.derive(request, self._derived, self.zone)

    @cached_property
    def _derived(self) -> dict[str, tuple[str, str]]:
        return on_request(self.spec)

    def _with_numbers(self, rows: DataFrame) -> DataFrame:
        """Return rows whose averaged columns are numbers: of a binary outcome, whether it is the positive one."""
        averaged = {past.column for past in pasts(self.spec).values() if past.column}
        task, label = tasks.of(self.spec), self.spec.label
        numbers = {name: rows[name].astype("float64") for name in averaged - {label}}
        if label in averaged:
            known = rows[label].notna()
            outcome = rows[label] if not task.classes else (rows[label] == task.classes[1]).where(known)
            numbers[label] = outcome.astype("float64")
        return frames.with_columns(rows, numbers)

    def _past(self, rows: DataFrame, key: str, since: datetime, until: datetime) -> DataFrame:
        """Return the feature table of a key."""
        own = self._own(key)
        tick, hours = tick_of(own)
        windows: dict[str, int | tuple[int, int]] = {
            f"{past.hours}h{past.ago}": (past.hours // hours, past.ago // hours) for past in own.values()
        }
        averaged = list(dict.fromkeys(past.column for past in own.values() if past.column))
        means = rolling.means(rows, key, averaged, since, until, tick=tick, windows=windows)
        named = {name: means[f"{key}_{past.column or 'rows'}_{past.hours}h{past.ago}"] for name, past in own.items()}
        return means[[key, "event_timestamp"]].assign(**named)


def of(spec: ProjectSpec) -> DeclaredFeatures | ForecastFeatures:
    """Return the features that a specification declares."""
    if spec.forecast:
        return ForecastFeatures(spec)
    return DeclaredFeatures(spec, spec.source.zone if spec.source else "UTC")


def pasts(spec: ProjectSpec) -> dict[str, Past]:
    """Return the formulas of the past."""
    return {name: formula for name, formula in spec.features.parsed.items() if isinstance(formula, Past)}


def on_request(spec: ProjectSpec) -> dict[str, tuple[str, str]]:
    """Return the features that follow from a request: how the model reads each, and its formula, if it has one."""
    past, written = pasts(spec), spec.features.formulas
    return {name: (kind, written.get(name, "")) for name, kind in spec.features.columns.items() if name not in past}


def view(spec: ProjectSpec, key: str) -> str:
    """Return the name of the feature view of a key."""
    return f"{spec.name}_{key}_past"


def tick_of(own: Mapping[str, Past]) -> tuple[pd.Timedelta, int]:
    """Return how far apart the instants are at which a past is computed, also in hours: a day, or an hour if named."""
    by_hour = any(past.by_hour for past in own.values())
    return (HOUR, 1) if by_hour else (DAY, 24)
