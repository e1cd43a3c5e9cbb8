"""The tables of a batch: checked before they are appended, and read back."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import reduce
from operator import and_

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dvc.repo import Repo

from stack.core.errors import StackError
from stack.lake import repository
from stack.lake.windows import batch_id, window
from stack.specification import frames
from stack.specification.sections import Table
from stack.specification.specs import ProjectSpec


def checked(
    spec: ProjectSpec, name: str, tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> pa.Table:
    """Check a table of a batch, order it by instant and key, and bring its instants to UTC microseconds."""
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
    return pa.Table.from_pandas(_ordered(frame, [table.available_at, *table.key]), preserve_index=False)


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
    """Refuse other rows for a window that is in the lake; earlier releases ordered the rows of a batch by key."""
    for name, table in content.items():
        path = known.get((name, batch))
        stored = pq.ParquetFile(path).read() if path else None
        by_key = [(column, "ascending") for column in spec.tables[name].key]
        if stored is None or not (stored.equals(table) or stored.equals(table.sort_by(by_key))):
            raise StackError(
                f"batch {batch} of {spec.name}, table {name}",
                found="other rows than the lake already has for this window",
                expected="the same rows, or a window that is not in the lake",
                todo="give corrections a window of their own, as rows that became known later",
            )


def known_rows(table: Table, files: Mapping[str, str], since: datetime | None, until: datetime | None) -> pd.DataFrame:
    """Read the rows of a table that became known in (since, until]; where a key may return, its latest row.

    Of a file that has later or earlier rows too, only the row groups of the window are read.

    Args:
        files: batch -> parquet file.
    """
    order, inside = [table.available_at, *table.key], _inside(table.available_at, since, until)
    parts = []
    for batch, path in files.items():
        first, last = window(batch)
        whole = (since is None or first >= since) and (until is None or last <= until)
        read = pq.ParquetFile(path).read() if whole else pq.read_table(path, filters=inside, partitioning=None)
        parts.append(read)
    frame = _ordered(repository.joined(parts, [*table.key, table.available_at]), order)
    returns = table.identity != table.key
    return frame.drop_duplicates(table.key, keep="last", ignore_index=True) if returns else frame


def groups(path: str, column: str) -> Iterator[tuple[datetime, int]]:
    """Yield the last instant of a column, and the number of rows, of each row group of a file."""
    metadata = pq.read_metadata(path)
    at = metadata.schema.to_arrow_schema().get_field_index(column)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if (statistics := group.column(at).statistics) and statistics.has_min_max:
            yield statistics.max, group.num_rows


def _inside(column: str, since: datetime | None, until: datetime | None) -> pc.Expression:
    """Return the condition that an instant lies in (since, until]."""
    field, us = pc.field(column), pa.timestamp("us", "UTC")
    after = [field > pa.scalar(since, us)] if since else []
    upto = [field <= pa.scalar(until, us)] if until else []
    return reduce(and_, [*after, *upto], pc.scalar(True))


def _ordered(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Sort rows that are not in order yet: it takes ten times as long as to see that they are."""
    ties = np.arange(len(frame) - 1)
    for column in columns if len(frame) else ():
        values = frame[column].array
        if frame[column].hasnans or (values[ties + 1] < values[ties]).any():
            return frame.sort_values(columns, ignore_index=True)
        ties = ties[np.asarray(values[ties + 1] == values[ties], dtype=bool)]
    return frame
