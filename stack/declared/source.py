"""The source that project.yaml declares: rows with the project's names and types, as they became known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from pandas import DataFrame, Series

from stack import sources
from stack.core.errors import StackError
from stack.declared import instants
from stack.kit.numbers import without_unit
from stack.specification import forecasts, table
from stack.specification.fields import TYPES
from stack.specification.frames import INSTANT
from stack.specification.sources import Asked, Folder, Push, Source
from stack.specification.specs import ProjectSpec
from stack.specification.table import ROW, ROWS, Column

AROUND = timedelta(days=1)
"""A row is known so soon before or after its instant, where a source says when."""
TRUE, FALSE = ("true", "1", "1.0", "yes", "y", "t", "on"), ("false", "0", "0.0", "no", "n", "f", "off")


@dataclass(frozen=True)
class DeclaredSource:
    """The rows of a project's source; what ``source.py`` is to a project with Python files."""

    spec: ProjectSpec
    source: Source

    def fetch(self, since: datetime, until: datetime) -> dict[str, DataFrame]:
        """Return the rows that became known in (since, until]; without time, all rows."""
        rows = self._rows(since, until)
        if self._past and (self._time or since <= self.spec.clock.start):
            rows = pd.concat([self._past._rows(since, until), rows], ignore_index=True)
        rows = _between(rows, "available_at", since, until) if self._time else rows
        if self.spec.tables[ROWS].corrected:
            rows = rows.drop_duplicates(self.spec.tables[ROWS].key, keep="last", ignore_index=True)
        return {ROWS: rows}

    def requests(self, since: datetime, until: datetime) -> DataFrame:
        """Return what would be asked in (since, until]: the rows without what is known later."""
        if not self._time:
            raise StackError(
                self.spec.place("columns"),
                found="no column of role time",
                expected="the instant at which each row is asked about",
                todo="score a file instead: `make predict PROJECT=... INPUT=...`",
            )
        if self.spec.forecast:
            asked = _forecasts(self.spec, self.ahead(since, until + forecasts.of(self.spec).horizon))
        else:
            rows = self.ahead(since, until)
            asked = rows.assign(event_id=ids(self.spec, rows), asked_at=rows[self._time])
        return _between(asked, "asked_at", since, until)

    def ahead(self, since: datetime, until: datetime) -> DataFrame:
        """Return the rows of about (since, until] without what is known later, as a forecast of the weather."""
        return self._rows(since, until, asked=True).drop(columns=self._later, errors="ignore")

    def late(self, since: datetime, until: datetime) -> DataFrame:
        """Return the requests that came in (since, until], of instants up to a day before it; of a forecast none."""
        if not self.source.knows_when or self.spec.forecast:
            return DataFrame()
        rows = _between(self._rows(since, until), "available_at", since, until)
        asked = rows.drop(columns=self._later).assign(event_id=ids(self.spec, rows), asked_at=rows[self._time])
        return _between(asked, "asked_at", since - AROUND, since)

    def split(self, since: datetime, until: datetime) -> list[datetime]:
        """Return instants that split a long window into batches, where the source can say."""
        if self._past:
            return self._past.split(since, until)
        query = self._query(since, until)
        return [end + (since - query.since) for end in sources.split(self.source, self.spec.folder, query)]

    def ingested(self, until: datetime) -> None:
        """Take note that the lake has all rows up to an instant."""
        sources.ingested(self.source, self.spec.folder, self._query(until, until))

    @property
    def _columns(self) -> table.Columns:
        """The columns as the source writes them; pushed rows are as requests are."""
        columns = self.spec.columns
        return {name: column.plain for name, column in columns.items()} if isinstance(self.source, Push) else columns

    @property
    def _past(self) -> DeclaredSource | None:
        """The file with the rows before the first pushed ones, if any."""
        past = self.source.past if isinstance(self.source, Push) else None
        return DeclaredSource(self.spec, past) if past else None

    @property
    def _time(self) -> str | None:
        return table.time(self.spec.columns)

    @property
    def _known(self) -> str | None:
        return next(iter(table.of_role(self.spec.columns, "known")), None)

    @property
    def _later(self) -> list[str]:
        """Columns that are not known when a row is asked about."""
        return [self.spec.label, "available_at", *table.of_role(self.spec.columns, "later")]

    @property
    def _after(self) -> timedelta:
        """How long after the instant in its column a row is known."""
        settled = self.source.settled if isinstance(self.source, Asked) else timedelta(0)
        return settled + (timedelta(0) if self._known else self.source.known_after)

    def _query(self, since: datetime, until: datetime, *, asked: bool = False) -> sources.Query:
        """Return what to ask for: rows known in a window or, of `asked`, rows that are asked about in it."""
        columns = self._columns
        names = [name for key, column in columns.items() for name in column.names(key)]
        by = self._time if asked else self._known or self._time
        whole = ROW in self.spec.tables[ROWS].key  # the number of a line counts from the first one
        time = columns[by].source or by if by and not columns[by].parts and not whole else None
        if asked and self.source.knows_when:  # by when a row was known, not by its instant
            since, until = since - AROUND, until + AROUND
        after = timedelta(0) if asked or self.source.knows_when else self._after
        return sources.Query(list(dict.fromkeys(names)), time, since - after, until - after, once=not asked)

    def _rows(self, since: datetime, until: datetime, *, asked: bool = False) -> DataFrame:
        """Return rows of about a window, with ``available_at``; without time, all rows and no such column."""
        raw = sources.read(self.source, self.spec.folder, self._query(since, until, asked=asked))
        columns = self._columns
        values = {name: self._column(raw, name, column) for name, column in columns.items()}
        rows = DataFrame(values, index=raw.index, copy=False)
        if ROW in self.spec.tables[ROWS].key and ROW not in columns:
            rows[ROW] = range(len(rows))
        if not self._time:
            return rows
        rows["available_at"] = rows[self._known or self._time] + self._after
        if sources.AVAILABLE_AT in raw:
            came = pd.to_datetime(raw[sources.AVAILABLE_AT], utc=True).astype(INSTANT)
            if isinstance(self.source, Folder) and self.source.history:
                past = rows["available_at"].where(rows["available_at"] < self.source.history, self.source.history)
                came = came.fillna(past)
            rows["available_at"] = came
        return rows

    def _column(self, raw: DataFrame, name: str, column: Column) -> Series[Any]:
        """Return a column of the source as the project's type."""
        if column.type == "datetime":
            return instants.read(raw, name, column, self.source.zone)
        values = raw[column.source or name]
        if column.unit and column.type in ("number", "integer"):
            values = without_unit(values, column.unit, getattr(self.source, "options", {}).get("decimal", "."))
        try:
            known = READERS[column.type](values)
            return known.copy() if known is values else known  # the source may keep its rows
        except (ValueError, TypeError, OverflowError):
            # The values that can be read; the checks take the rows of the others out, with their values as they are.
            read = TYPES[column.type].read
            mixed = [None if pd.isna(value) else _or_as_it_is(read, value) for value in values]
            return Series(mixed, index=values.index, dtype=object)


def of(spec: ProjectSpec) -> DeclaredSource:
    """Return the source that a specification declares. StackError: it declares none."""
    if spec.source is None:
        raise StackError(
            spec.place("source"),
            found="no such section, and no source.py",
            expected="where the rows come from",
            todo="name a file, as `source: {path: data/rows.csv}`",
        )
    return DeclaredSource(spec, spec.source)


def ids(spec: ProjectSpec, rows: DataFrame) -> Series[str]:
    """Return the name of each row: its key, joined by ``-``."""
    first, *others = spec.tables[ROWS].key
    named = rows[first].astype(str)
    for column in others:
        named = named.str.cat(rows[column].astype(str), sep="-")
    return named


def _forecasts(spec: ProjectSpec, rows: DataFrame) -> DataFrame:
    """Return rows as questions of a forecast, each asked at every origin that it is in the horizon of."""
    time, every = forecasts.time_of(spec), forecasts.of(spec).asked_every or forecasts.of(spec).horizon
    last = rows[time].dt.floor(every) - pd.to_timedelta((rows[time].dt.floor(every) == rows[time]) * every)
    parts = []
    for back in range(-(-forecasts.of(spec).horizon // every)):
        asked = last - back * every
        part = rows.assign(asked_at=asked)[asked >= rows[time] - forecasts.of(spec).horizon]
        steps = ((part[time] - part["asked_at"]) // forecasts.of(spec).every).astype(str)
        parts.append(part.assign(event_id=ids(spec, part) + "-" + steps))
    questions: DataFrame = pd.concat(parts, ignore_index=True)
    return questions


def _between(rows: DataFrame, column: str, since: datetime, until: datetime) -> DataFrame:
    """Return the rows of (since, until] in the order of time; the frame itself where it is that, as it may be large."""
    inside = (rows[column] > pd.Timestamp(since)) & (rows[column] <= pd.Timestamp(until))
    if inside.all() and rows[column].is_monotonic_increasing and rows.index.equals(pd.RangeIndex(len(rows))):
        return rows
    return rows[inside].sort_values(column, kind="stable", ignore_index=True)


def _or_as_it_is(read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except (ValueError, TypeError, OverflowError):
        return value


def _numbers(values: Series[Any]) -> Series[Any]:
    return values if pd.api.types.is_float_dtype(values) else pd.to_numeric(values).astype("float64")


def _integers(values: Series[Any]) -> Series[Any]:
    numbers = values if pd.api.types.is_integer_dtype(values) else pd.to_numeric(values)
    if (numbers.dropna() % 1 != 0).any():
        raise ValueError("numbers with decimals")
    return numbers.astype("Int64" if numbers.isna().any() else "int64")


def _booleans(values: Series[Any]) -> Series[Any]:
    if pd.api.types.is_bool_dtype(values):
        return values
    texts = values.dropna().astype(str).str.lower()
    if not texts.isin([*TRUE, *FALSE]).all():
        raise ValueError("values that are neither true nor false")
    return texts.isin(TRUE).reindex(values.index).astype("boolean" if values.isna().any() else "bool")


def _texts(values: Series[Any]) -> Series[Any]:
    written = values.astype(object)
    if pd.api.types.infer_dtype(values) != "string":  # else there is nothing to write
        written = written.map(_text)
    return written.where(values.notna(), None)


def _text(value: Any) -> str:
    """Return a value as text; whole numbers beside a missing one, floats to pandas, are written as whole ones."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


READERS: dict[str, Callable[[Series[Any]], Series[Any]]] = {
    "number": _numbers,
    "integer": _integers,
    "boolean": _booleans,
    "string": _texts,
    "text": _texts,
}
"""Type of a column -> how its values are read."""
