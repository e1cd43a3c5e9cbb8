"""The tables of a batch: checked before they are appended, and read back."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dvc.repo import Repo

from stack.core.errors import StackError
from stack.lake import repository
from stack.lake.windows import batch_id
from stack.specification import frames
from stack.specification.sections import Table
from stack.specification.specs import ProjectSpec


def checked(
    spec: ProjectSpec, name: str, tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> pa.Table:
    """Check a table of a batch, order it by its key, and bring its instants to UTC microseconds."""
    where, table = f"batch {batch_id(since, until)} of {spec.name}, table {name}", spec.tables[name]
    frame = tables.get(name)
    required = [*table.key, table.available_at]
    if frame is None or not set(required) <= set(frame.columns):
        columns = "no such table" if frame is None else ", ".join(map(str, frame.columns))
        raise StackError(where, found=columns, expected=f"a table with the columns {', '.join(required)}")
    frame = in_utc(frame)
    outside = ~((frame[table.available_at] > pd.Timestamp(since)) & (frame[table.available_at] <= pd.Timestamp(until)))
    if outside.any():
        found = f"{outside.sum()} rows outside the window, one at {frame.loc[outside, table.available_at].iloc[0]}"
        raise StackError(where, found=found, expected="rows inside")
    duplicates = frame[frame.duplicated(table.key)]
    if len(duplicates):
        raise StackError(where, found=f"a key twice: {first_key(duplicates, table)}", expected="each key once")
    return pa.Table.from_pandas(frame.sort_values(table.key, ignore_index=True), preserve_index=False)


def in_utc(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring the instants of a table to microseconds, UTC; without a zone they are taken as UTC."""
    instants = frame.select_dtypes(["datetime", "datetimetz"])
    converted = {str(name): pd.to_datetime(instants[name], utc=True).dt.as_unit("us") for name in instants}
    return frames.with_columns(frame, converted)


def first_key(frame: pd.DataFrame, table: Table) -> str:
    """Name the first row of a frame by its key."""
    return ", ".join(f"{column} {frame[column].iloc[0]}" for column in table.key)


def require_same_types(repo: Repo, spec: ProjectSpec, content: Mapping[str, pa.Table], batch: str) -> None:
    """Refuse a column of another type than the last batch's, with which the table could no longer be read."""
    unseen = set(content)
    for _, file in repository.partitions(repo, spec.name, "HEAD"):
        last = {table: path for (table, _), path in repository.files(repo, file, "HEAD").items() if table in unseen}
        for name, path in last.items():
            _require_unifiable(
                pq.read_schema(path), content[name].schema, f"batch {batch} of {spec.name}, table {name}"
            )
        unseen -= last.keys()
        if not unseen:
            return


def _require_unifiable(former: pa.Schema, new: pa.Schema, where: str) -> None:
    for field in (field for field in new if field.name in former.names):
        known = former.field(field.name)
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


def known_rows(table: Table, paths: Iterable[str], since: datetime | None, until: datetime | None) -> pd.DataFrame:
    """Read the rows of a table that became known in (since, until]; of a snapshot table, the latest of each key."""
    frame = repository.frame(paths, [*table.key, table.available_at])
    if since is not None:
        frame = frame[frame[table.available_at] > pd.Timestamp(since)]
    if until is not None:
        frame = frame[frame[table.available_at] <= pd.Timestamp(until)]
    frame = frame.sort_values([table.available_at, *table.key], ignore_index=True)
    return frame.drop_duplicates(table.key, keep="last", ignore_index=True) if table.snapshot else frame
