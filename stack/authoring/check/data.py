"""Find what is wrong in a project's data: ``source.py`` and ``features.py`` are run on the project's first window."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from stack import sources
from stack.core.errors import StackError, nearest
from stack.declared.checks import unreadable
from stack.project import contract
from stack.specification import example, frames, tasks
from stack.specification.request import RequestField
from stack.specification.sources import Push
from stack.specification.specs import ProjectSpec
from stack.specification.table import ROWS, time

Tables = dict[str, pd.DataFrame]
REFUSED = 0.05
"""A batch in which a larger share of the rows fails an expectation is refused."""
LOCALIZE = 'give a time column the zone of the data: .dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC")'
MODULES: dict[str, Callable[[str], Any]] = {"source": contract.source, "features": contract.features}


def findings(spec: ProjectSpec, now: datetime, read: Tables) -> list[StackError]:
    """Return what is wrong with the rows of the first window, which ends now on the wall clock, and their features.

    `read` receives the tables of the window, where they are not only a part of it.
    """
    since, until = spec.clock.start, spec.clock.first_now or now
    with suppress(Exception):  # what is wrong with it, fetch() shows
        if isinstance(source := contract.source(spec.name), contract.SplitSource):
            until = next(iter(source.split(since, until)), until)
    whole = until == (spec.clock.first_now or now)
    try:
        tables = _fetched(spec, since, until)
        if not isinstance(tables, Mapping):
            return [_wrong_type(_place(spec, "source", "fetch()"), tables, "a dict of table -> frame")]
        if errors := list(_tables(spec, dict(tables))):
            return errors
        read.update(tables if whole else {})
        if isinstance(spec.source, Push) and not any(map(len, tables.values())):
            return []  # nothing has been pushed yet
        # As in the lake, rows of a snapshot are available from the end of their batch on.
        end = pd.Timestamp(until).as_unit("us")
        snapshots = {name: table for name, table in spec.tables.items() if table.snapshot}
        known = {**tables}
        for name, table in snapshots.items():
            known[name] = frames.with_columns(tables[name], {table.available_at: end})
        if errors := list(_types(spec, known)):
            return errors
        errors = list(_rows(spec, known, since, until))
        errors += _events(spec, _asked(spec, known))
        return [*errors, *_views(spec, known, until)]
    except StackError as error:
        return [error]


def _run(spec: ProjectSpec, noun: str, function: str, *arguments: Any) -> Any:
    """Call a function of the project; an exception becomes a StackError of the line that raised it."""
    try:
        return getattr(MODULES[noun](spec.name), function)(*arguments)
    except StackError:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        without_zone = isinstance(error, TypeError) and any(word in message for word in ("datetime64", "tz-"))
        trace = traceback.extract_tb(error.__traceback__)
        lines = [f"{file}, line {line}" for file, line, *_ in trace if Path(file).is_relative_to(spec.folder)]
        raise StackError(
            lines[-1] if lines else _place(spec, noun, f"{function}()"),
            found=message,
            expected="instants with their zone, UTC" if without_zone else f"{function}() to run",
            todo=LOCALIZE if without_zone else "fix the line",
        ) from error


def _fetched(spec: ProjectSpec, since: datetime, until: datetime) -> Any:
    """Return what the source gives, and let it forget the rows as it has read them."""
    tables = _run(spec, "source", "fetch", since, until)
    if spec.source:
        sources.forget(spec.source)
    return tables


def _asked(spec: ProjectSpec, tables: Tables) -> Any:
    """Return the events; those that project.yaml declares are its rows, and naming one shows how all are named."""
    if spec.has("features") or spec.forecast or tables[ROWS].empty:
        return _run(spec, "features", "events", tables)
    first = _run(spec, "features", "events", {ROWS: tables[ROWS].head(1)})
    return frames.with_columns(tables[ROWS], {name: first[name].iloc[0] for name in frames.EVENT})


def _tables(spec: ProjectSpec, tables: Tables) -> Iterator[StackError]:
    """Yield missing tables, keys and instants."""
    for name, table in spec.tables.items():
        where = _place(spec, "source", "fetch()")
        if name not in tables:
            found = f"the tables {', '.join(tables) or 'none'}{nearest(name, tables)}"
            yield StackError(where, found=found, expected=f"{name}, a table of project.yaml")
            continue
        where, rows = f"{where}, table {name}", tables[name]
        instants = [] if table.snapshot else [table.available_at]
        yield from frames.problems(where, rows, [*table.key, *instants], [])
        for column in map(str, rows.select_dtypes("datetime").columns):
            place, found = f"{where}, column {column}", "instants without a zone"
            yield StackError(place, found=found, expected="instants in UTC", todo=LOCALIZE)
        yield from frames.problems(where, rows, [], instants)


def _types(spec: ProjectSpec, tables: Tables) -> Iterator[StackError]:
    """Yield the columns of project.yaml with so many values of another type that a batch is refused."""
    if not spec.columns:
        return
    rows = tables[ROWS]
    for name, those in unreadable(spec, rows).items():
        if (count := int(those.sum())) > REFUSED * len(rows):
            yield StackError(
                f"{spec.folder}/project.yaml, key columns.{name}",
                found=f"{count} of {len(those)} values that cannot be read, like {rows[name][those].iloc[0]!r}",
                expected=f"values of type {spec.columns[name].type}",
                todo="correct the type, or the rows of the source",
            )


def _rows(spec: ProjectSpec, tables: Tables, since: datetime, until: datetime) -> Iterator[StackError]:
    """Yield tables without rows, duplicate keys and missing keys."""
    for name, table in spec.tables.items():
        where = f"{_place(spec, 'source', 'fetch()')}, table {name}"
        rows, key = tables[name], ", ".join(table.key)
        if rows.empty:
            found, todo = f"no row in ({since}, {until}]", "fix clock in project.yaml"
            yield StackError(where, found=found, expected="rows", todo=todo)
        duplicates = rows[rows.duplicated(table.key, keep=False)]
        if len(duplicates):
            first = ", ".join(f"{column} {duplicates[column].iloc[0]}" for column in table.key)
            found = f"{len(duplicates)} rows that share a key, as {first}"
            yield StackError(where, found=found, expected=f"unique {key}", todo=_apart(spec, table.key))
        if incomplete := rows[table.key].isna().any(axis=1).sum():
            yield StackError(where, found=f"{incomplete} rows without key", expected=key)


def _apart(spec: ProjectSpec, key: Sequence[str]) -> str:
    """Return what to do about rows that share a key."""
    todo = "take out the rows that come twice, or name the columns that tell rows apart in source.key"
    if time(spec.columns) in key and spec.source and spec.source.zone == "UTC":
        todo += (
            "; of local times, an hour comes twice when the clocks go back: name their zone, as ZONE=Europe/Berlin or "
            "in source.zone"
        )
    return todo


def _events(spec: ProjectSpec, events: pd.DataFrame) -> Iterator[StackError]:
    """Yield errors in the columns, instants, request fields and outcomes of the events."""
    where = _place(spec, "features", "events()")
    if not isinstance(events, pd.DataFrame):
        yield _wrong_type(where, events, "a frame")
        return
    yield from frames.problems(where, events, [*frames.EVENT, *spec.request])
    for name, field in spec.request.items():
        if name in events:
            yield from _field(f"{where}, column {name}", events[name], field)
    if spec.label in events:
        yield from _outcomes(spec, events[spec.label].dropna(), f"{where}, column {spec.label}")
        return
    found = f"{spec.label!r}, no such column in features.events(){nearest(spec.label, map(str, events.columns))}"
    yield StackError(f"{spec.folder}/project.yaml, key label", found=found, expected="a column")


def _field(where: str, values: pd.Series, field: RequestField) -> Iterator[StackError]:
    """Yield errors of a request field whose column has another type, or gaps."""
    if expected := field.field_type.column_problem(values):
        found = f"{values.dtype}, like {values.iloc[0]!r}" if len(values) else str(values.dtype)
        yield StackError(where, found=found, expected=expected)
    if values.dtype.kind == "f" and (infinite := (values.abs() > frames.LARGEST).sum()):
        todo = "leave such values out in source.py, or make them missing"
        yield StackError(where, found=f"{infinite} values that no 32-bit number holds", expected="numbers", todo=todo)
    if values.isna().any() and not field.nullable:
        todo = "set `nullable: true` in project.yaml, or fill them in"
        yield StackError(where, found=f"{values.isna().sum()} missing values", expected="none", todo=todo)


def _outcomes(spec: ProjectSpec, labels: pd.Series, where: str) -> Iterator[StackError]:
    """Yield outcomes that are no class of the task, and classes without a row."""
    task = tasks.of(spec)
    if task.numeric:
        if not pd.api.types.is_numeric_dtype(labels):
            yield StackError(where, found=f"{labels.dtype}, like {labels.iloc[0]!r}", expected="numbers")
        return
    classes, values = task.classes, labels.unique().tolist()
    if any(value not in classes for value in values):
        yield StackError(
            where,
            found=f"{len(values)} outcomes: {', '.join(map(repr, values[:5]))}",
            expected=f"{len(classes)} of a {spec.task} task: {', '.join(map(repr, classes))}",
            todo="fix the data, or task and classes in project.yaml",
        )
        return
    for label in classes:
        if label not in values:
            todo = "take it out of classes in project.yaml, or widen the first window"
            yield StackError(where, found=f"no row with {label!r}", expected="rows of every class", todo=todo)


def _views(spec: ProjectSpec, tables: Tables, until: datetime) -> Iterator[StackError]:
    """Compare the feature tables of the window's last day and the example request's features with project.yaml."""
    where = _place(spec, "features", "build()")
    views = _run(spec, "features", "build", tables, until - timedelta(days=1), until)
    if not isinstance(views, Mapping):
        yield _wrong_type(where, views, "a dict of feature view -> frame")
        return
    computed: set[str] = set()
    for view, frame in views.items():
        yield from frames.problems(f"{where}, view {view}", frame, ["event_timestamp"], ["event_timestamp"])
        computed |= {*frame.columns} - {"event_timestamp", *spec.features.entities}
    if contract.on_request(spec.name):
        try:
            values = example.columns(spec)
        except ValueError:  # no instant: an error of project.yaml
            return
        computed |= {*_run(spec, "features", "on_request", values)}
    for column in spec.features.columns:
        if column not in computed:
            yield StackError(
                f"{spec.folder}/project.yaml, key features.columns.{column}",
                found=f"a column that features.py does not give{nearest(column, computed)}",
                expected=f"one of {', '.join(sorted(computed))}",
                todo="fix the name",
            )


def _place(spec: ProjectSpec, noun: str, function: str) -> str:
    """Return where a project says something: in a function of its module, or in project.yaml."""
    return f"{spec.folder}/{noun}.py, {function}" if spec.has(noun) else f"{spec.folder}/project.yaml"


def _wrong_type(where: str, value: Any, expected: str) -> StackError:
    return StackError(where, found=f"a {type(value).__name__}", expected=expected)
