"""CSV and Parquet files of any size, and folders of Parquet files, read and written a chunk of rows at a time."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas import DataFrame

from stack.core import files
from stack.core.errors import StackError

ROWS = 200_000
STEP = 50_000
"""Rows that are decoded at a time."""
INDEX = "__index_level_"
"""Begins the name of a column in which pandas has written an index."""


class Part(NamedTuple):
    """Some rows of a Parquet file, which can be read alone."""

    path: Path
    first: int
    """Its first row in the file."""
    rows: int
    before: int
    """Rows of all files before it."""


def parts(path: Path) -> list[Part]:
    """Split a Parquet file, or the files of a folder in the order of their names, into parts of `ROWS` rows.

    Raises:
        StackError: the folder has no Parquet file, or one has other columns than the first.
    """
    inside = path.rglob("*.parquet") if path.is_dir() else [path]
    found = sorted(file for file in inside if not file.name.startswith("."))
    if not found:
        raise StackError(str(path), found="no Parquet file in it", expected="a folder of Parquet files")
    names, cut, before = pq.read_schema(found[0]).names, list[Part](), 0
    for file in found:
        metadata = pq.read_metadata(file)
        if (own := metadata.schema.to_arrow_schema().names) != names:
            expected = f"{', '.join(names)}, as in {found[0]}"
            raise StackError(str(file), found=f"columns {', '.join(own)}", expected=expected)
        total = metadata.num_rows
        cut += [Part(file, at, min(ROWS, total - at), before + at) for at in range(0, total, ROWS)]
        before += total
    return cut or [Part(found[0], 0, 0, 0)]


def load(part: Part) -> pa.Table:
    """Read a part, of the file no more than the row groups that it is in."""
    file = pq.ParquetFile(part.path)
    starts = [*accumulate((file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)), initial=0)]
    end = part.first + part.rows
    groups = [at for at, (start, stop) in enumerate(pairwise(starts)) if start < end and stop > part.first]
    skip, left, taken = part.first - starts[groups[0]] if groups else 0, part.rows, []
    for batch in file.iter_batches(STEP, row_groups=groups):
        taken.append(batch.slice(min(skip, len(batch)), left))
        skip, left = max(skip - len(batch), 0), left - len(taken[-1])
        if not left:
            break
    table = pa.Table.from_batches(taken, file.schema_arrow)
    return table.drop_columns([name for name in table.column_names if name.startswith(INDEX)])


def csv(path: Path, types: Mapping[str, Any]) -> Iterator[tuple[pa.Table, float]]:
    """Yield the rows of a CSV file chunk by chunk, each with the share of the file that has been read.

    Columns without a type are text, whatever they hold; a value of another type is a `StackError`.
    """
    size = path.stat().st_size
    with path.open("rb") as opened:
        try:
            header = pd.read_csv(opened, nrows=0)
            opened.seek(0)
            dtypes = {str(column): types.get(str(column), str) for column in header}
            for rows in pd.read_csv(opened, chunksize=ROWS, dtype=dtypes):
                yield _table(rows), opened.tell() / size
        except ValueError as error:
            expected = "CSV in UTF-8, commas between columns, values of the types in project.yaml"
            todo = "correct the value, or save the file anew"
            raise StackError(str(path), found=str(error), expected=expected, todo=todo) from None


class Writer:
    """Writes chunks of one table; the columns and types of the first are those of the file."""

    def __init__(self, path: Path, is_csv: bool) -> None:
        self.path, self.is_csv = path, is_csv
        self.rows = 0
        self._parquet: pq.ParquetWriter | None = None

    def write(self, rows: DataFrame | pa.Table) -> None:
        """Add rows at the end."""
        if self.is_csv:
            frame = rows if isinstance(rows, DataFrame) else rows.to_pandas()
            frame.to_csv(self.path, mode="a", header=not self.rows, index=False)
        else:
            table = _table(rows) if isinstance(rows, DataFrame) else rows
            if self._parquet is None:
                # A column without any value in the first chunk may hold text later.
                fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
                # Numbers seldom repeat: a dictionary of them is tried in vain, at three times the cost.
                texts = [f.name for f in fields if pa.types.is_string(f.type)]
                schema = pa.schema(fields)
                self._parquet = pq.ParquetWriter(self.path, schema, compression="zstd", use_dictionary=texts)
            self._parquet.write_table(table.cast(self._parquet.schema))
        self.rows += len(rows)

    def close(self) -> None:
        """Finish the file."""
        if self._parquet is not None:
            self._parquet.close()


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write a CSV or Parquet file: whole, or not at all."""
    with files.replacing(path) as partial, closing(Writer(partial, path.suffix == ".csv")) as writer:
        yield writer


def _table(rows: DataFrame) -> pa.Table:
    return pa.Table.from_pandas(rows, preserve_index=False)
