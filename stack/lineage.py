"""Trace a logged prediction back to the feature views that its features are of, and to the raw rows of these.

``python -m stack.lineage PROJECT PREDICTION`` prints the views as JSON, with ``--rows`` also the raw rows: the portal
asks in a process of its own, as reading Parquet takes memory that the portal does not have.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import isclose
from pathlib import Path
from typing import Any

import pandas as pd

from stack.core.errors import StackError
from stack.features.feature_tables import TIME, folder
from stack.prediction_log import logged
from stack.prediction_log.logged import Logged
from stack.project import Project
from stack.specification import forecasts, specs
from stack.specification.sections import Table

SHOWN = 50
"""Raw rows of a table, the newest."""
FLOAT32 = 1e-6
"""Relative difference of a number that was rounded to float32."""


@dataclass(frozen=True)
class View:
    """A feature view, and its row for the keys of a request: the newest one at or before the request."""

    name: str
    keys: dict[str, Any]
    features: list[str]
    at: str = ""
    """Event time of the row; empty where the feature table has none."""
    different: Sequence[str] = ()
    """Features that have another value in the log than in the row."""


@dataclass(frozen=True)
class RawRows:
    """Raw rows that feature views are made of."""

    table: str
    views: list[str]
    keys: dict[str, Any]
    """What the rows have in these columns; empty where the table has no key of the views."""
    since: str
    """Rows that became known after this, and up to `until`; empty for all, of a table that comes whole."""
    until: str
    count: int
    columns: list[str]
    rows: list[list[str]]
    """The newest of them, newest first."""


def views(project: Project, prediction: Logged) -> list[View]:
    """Return the feature views of a prediction, by name."""
    keys = _keys(project, prediction)
    tables = sorted(path for path in folder(project).glob("*") if path.is_dir())
    return [view for path in tables for view in _view(project, prediction, path, keys)]


def raw_rows(project: Project, found: Sequence[View]) -> list[RawRows]:
    """Return the raw rows from which the rows of feature views were computed: within the lookback of the features."""
    read = [view for view in found if view.at]
    if not read:
        return []
    instants, lookback = [datetime.fromisoformat(view.at) for view in read], project.features.LOOKBACK
    since, until = min(instants) - lookback, max(instants)
    tables = project.lake.recent(since, until)
    listed: dict[tuple[str, str], RawRows] = {}
    for view in read:
        # Of a forecast, the place in the day or the week is a key too, and no column of a raw table.
        keys_of = {name: {key: view.keys[key] for key in view.keys if key in frame} for name, frame in tables.items()}
        for name, keys in keys_of.items():
            if not keys and any(keys_of.values()):
                continue
            place = name, json.dumps(keys, default=str)
            if place in listed:
                listed[place].views.append(view.name)
            else:
                listed[place] = _rows(name, project.spec.tables[name], tables[name], view, keys, since, until)
    return [*listed.values()]


def _keys(project: Project, prediction: Logged) -> dict[str, Any]:
    """Return the join keys of a request, and those that follow from its instant."""
    spec, request = project.spec, prediction.request
    keys = {name: request[name] for name in spec.features.entities if name in request}
    if not spec.forecast:
        return keys
    at = datetime.fromisoformat(request[forecasts.time_of(spec)])
    return keys | {name: values[0] for name, values in forecasts.slots(spec, [at]).items()}


def _view(project: Project, prediction: Logged, path: Path, keys: Mapping[str, Any]) -> Iterator[View]:
    from pyarrow import parquet

    files = sorted(path.glob("*.parquet"), reverse=True)
    if not files:
        return
    names = parquet.read_schema(files[0]).names
    own = {name: value for name, value in keys.items() if name in names}
    features = [name for name in project.spec.features.columns if name in names and name not in own]
    view = View(path.name, own, features)
    at = pd.Timestamp(prediction.asked_at)
    conditions = [(TIME, "<=", at), *((name, "==", value) for name, value in own.items())]
    for file in files:
        if file.stem <= f"{at:%Y-%m}":  # a file a month
            rows = parquet.read_table(file, filters=conditions).to_pandas()
            if len(rows):
                newest = rows.loc[rows[TIME].idxmax()]
                different = [name for name in features if not _same(newest[name], prediction.features.get(name))]
                view = replace(view, at=newest[TIME].isoformat(), different=different)
                break
    yield view


def _same(stored: Any, seen: Any) -> bool:
    if pd.isna(stored) or seen is None:
        return bool(pd.isna(stored)) and seen is None
    numbers = isinstance(seen, int | float)
    return isclose(stored, seen, rel_tol=FLOAT32, abs_tol=FLOAT32) if numbers else str(stored) == str(seen)


def _rows(
    name: str,
    table: Table,
    frame: pd.DataFrame,
    view: View,
    keys: Mapping[str, Any],
    since: datetime,
    until: datetime,
) -> RawRows:
    """Return the rows of a table that have these keys, as texts."""
    for key, value in keys.items():
        frame = frame[frame[key].astype(str) == str(value)]
    newest = frame.sort_values(table.available_at, ascending=False, kind="stable").head(SHOWN)
    return RawRows(
        table=name,
        views=[view.name],
        keys=dict(keys),
        since="" if table.snapshot else since.isoformat(),
        until=until.isoformat(),
        count=len(frame),
        columns=[*newest.columns],
        rows=newest.astype(object).where(newest.notna(), "").astype(str).to_numpy().tolist(),
    )


def main(project: Project, prediction: str, *, rows: bool) -> dict[str, Any]:
    """Return the views of a prediction, and with `rows` their raw rows, as JSON has them."""
    found = logged.one(project.settings.state_database, project.name, prediction)
    if found is None:
        expected = "one of the prediction log"
        raise StackError(f"prediction {prediction}", found="no such prediction", expected=expected)
    read = views(project, found)
    traced: dict[str, Any] = {"views": [asdict(view) for view in read]}
    return traced | ({"tables": [asdict(table) for table in raw_rows(project, read)]} if rows else {})


if __name__ == "__main__":
    from stack.core.settings import settings as read_settings

    opened = Project(read_settings(), specs.load(sys.argv[1]))
    print(json.dumps(main(opened, sys.argv[2], rows="--rows" in sys.argv[3:]), default=str))
