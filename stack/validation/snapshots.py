"""Snapshot tables: the source delivers the whole table each time; its new and changed rows are the batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from stack.lake import contents
from stack.project import Project
from stack.specification.specs import ProjectSpec, Table


def batch(
    project: Project, tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> dict[str, pd.DataFrame]:
    """Keep the rows of snapshot tables that the lake lacked at `since`; they are known from `until` on.

    A row with a known key and other values is new as well, and replaces the former one from `until` on. A row that is
    no longer in the source stays in the lake. Other tables are returned unchanged.
    """
    result = dict(tables)
    names = [name for name, table in project.spec.tables.items() if table.snapshot and name in result]
    if names:
        known = project.lake.read(until=since)
        stamp = pd.Timestamp(until).tz_convert("UTC").as_unit("us")
        for name in names:
            new = _new(project.spec.tables[name], contents.in_utc(result[name]), known[name])
            result[name] = new.assign(**{project.spec.tables[name].available_at: stamp}).reset_index(drop=True)
    return result


def unchanged(spec: ProjectSpec, tables: Mapping[str, pd.DataFrame]) -> bool:
    """Return whether a batch has snapshot tables only, and no new row."""
    return all(table.snapshot and name in tables and tables[name].empty for name, table in spec.tables.items())


def _new(table: Table, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose key is unknown, or whose values differ from those of their key."""
    if known.empty or not set(table.key) <= set(rows.columns):
        return rows
    new = rows.drop(columns=table.available_at, errors="ignore").set_index(table.key).astype(object)
    old = known.set_index(table.key).reindex(index=new.index, columns=new.columns).astype(object)
    differs = (new.ne(old) & ~(new.isna() & old.isna())).any(axis=1).to_numpy()
    absent = ~new.index.isin(pd.Index(known.set_index(table.key).index))
    return rows[differs | absent]
