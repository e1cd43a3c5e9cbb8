"""The tables of a batch: what they must be before they are appended, and how they are read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dvc.repo import Repo

from stack.core.errors import StackError
from stack.lake import repository
from stack.lake.windows import batch_id as batch_id
from stack.lake.windows import window as window
from stack.specification.sections import Table as TableSpec
from stack.specification.specs import ProjectSpec


def checked(
    spec: ProjectSpec, name: str, tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> pa.Table:
    """Check one table of a batch, order it by its key, and bring its instants to UTC microseconds."""
    where, table = f"batch {batch_id(since, until)} of {spec.name}, table {name}", spec.tables[name]
    frame = tables.get(name)
    needed = [*table.key, table.available_at]
    if frame is None or not set(needed) <= set(frame.columns):
        found = "no such table" if frame is None else ", ".join(map(str, frame.columns))
        raise StackError(where, found=found, expected=f"a table with the columns {', '.join(needed)}")
    frame = in_utc(frame)
    outside = ~((frame[table.available_at] > pd.Timestamp(since)) & (frame[table.available_at] <= pd.Timestamp(until)))
    if outside.any():
        stray = frame.loc[outside, table.available_at].iloc[0]
        raise StackError(
            where, found=f"{outside.sum()} rows outside the window, one at {stray}", expected="rows inside"
        )
    twice = frame.duplicated(table.key)
    if twice.any():
        raise StackError(where, found=f"a key twice: {_first(frame[twice], table)}", expected="each key once")
    return pa.Table.from_pandas(frame.sort_values(table.key, ignore_index=True), preserve_index=False)


def in_utc(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring the instants of a table to microseconds, UTC; one without a zone is UTC."""
    instants = frame.select_dtypes(["datetime", "datetimetz"])
    return pd.concat([frame.drop(columns=instants.columns), instants.apply(_micros)], axis=1)[frame.columns]


def _micros(instants: pd.Series) -> pd.Series:
    utc = instants.dt.tz_localize(UTC) if instants.dt.tz is None else instants.dt.tz_convert(UTC)
    return cast(pd.Series, utc.dt.as_unit("us"))


def _first(frame: pd.DataFrame, table: TableSpec) -> str:
    """Name the first row of a frame by its key."""
    return ", ".join(f"{column} {frame[column].iloc[0]}" for column in table.key)


def require_same_types(repo: Repo, spec: ProjectSpec, content: Mapping[str, pa.Table], batch: str) -> None:
    """Refuse a column of another type than the last batch's: the table could not be read as one any more."""
    unseen = set(content)
    for _, file in repository.partitions(repo, spec.name, "HEAD"):
        last = {table: path for (table, _), path in repository.files(repo, file, "HEAD").items() if table in unseen}
        for name, path in last.items():
            _unifiable(pq.read_schema(path), content[name].schema, f"batch {batch} of {spec.name}, table {name}")
        unseen -= last.keys()
        if not unseen:
            return


def _unifiable(before: pa.Schema, new: pa.Schema, where: str) -> None:
    for field in new:
        if field.name not in before.names:
            continue
        known = before.field(field.name)
        try:
            pa.unify_schemas([pa.schema([known]), pa.schema([field])], promote_options="permissive")
        except pa.ArrowException:
            raise StackError(
                f"{where}, column {field.name}",
                found=str(field.type),
                expected=f"{known.type}, as in the batches before",
                todo="convert it in the project's source.py",
            ) from None


def require_same_rows(
    known: Mapping[tuple[str, str], str], spec: ProjectSpec, content: Mapping[str, pa.Table], batch: str
) -> None:
    """Refuse other rows for a window that is in the lake."""
    for name, table in content.items():
        path = known.get((name, batch))
        if path is None or not pq.ParquetFile(path).read().equals(table):
            raise StackError(
                f"batch {batch} of {spec.name}, table {name}",
                found="other rows than the lake already has for this window",
                expected="the same rows, or a window that is not in the lake",
                todo="give corrections a window of their own, as rows that became known later",
            )


def known_rows(table: TableSpec, paths: Iterable[str], since: datetime | None, until: datetime | None) -> pd.DataFrame:
    """Read the rows of a table that became known in (since, until]; of a snapshot table, the latest of each key."""
    frame = repository.frame(paths, [*table.key, table.available_at])
    known = frame[table.available_at]
    inside = pd.Series(True, index=frame.index)
    if since is not None:
        inside &= known > pd.Timestamp(since)
    if until is not None:
        inside &= known <= pd.Timestamp(until)
    frame = frame[inside].sort_values([table.available_at, *table.key], ignore_index=True)
    return frame.drop_duplicates(table.key, keep="last", ignore_index=True) if table.snapshot else frame
