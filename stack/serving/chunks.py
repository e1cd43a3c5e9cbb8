"""CSV and Parquet files of any size, read and written a chunk of rows at a time."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas import DataFrame

from stack.core import files
from stack.core.errors import StackError

ROWS = 50_000


def read(path: Path, types: Mapping[str, Any]) -> Iterator[tuple[DataFrame, float]]:
    """Yield the rows of a Parquet or CSV file chunk by chunk, each with the share of the file that has been read.

    Of a CSV file, columns without a type are text, whatever they hold; a value of another type is a `StackError`.
    """
    if path.suffix == ".parquet":
        file, done = pq.ParquetFile(path), 0
        total = file.metadata.num_rows
        if not total:
            yield file.schema_arrow.empty_table().to_pandas(), 1.0
        for batch in file.iter_batches(ROWS):
            done += batch.num_rows
            yield batch.to_pandas(), done / total
        return
    size = path.stat().st_size
    with path.open("rb") as opened:
        try:
            header = pd.read_csv(opened, nrows=0)
            opened.seek(0)
            dtypes = {str(column): types.get(str(column), str) for column in header}
            for rows in pd.read_csv(opened, chunksize=ROWS, dtype=dtypes):
                yield rows, opened.tell() / size
        except ValueError as error:
            raise StackError(str(path), found=str(error), expected="values of the types in project.yaml") from None


class Writer:
    """Writes chunks of one frame; the columns and types of the first are those of the file."""

    def __init__(self, path: Path, is_csv: bool) -> None:
        self.path, self.is_csv = path, is_csv
        self.rows = 0
        self._parquet: pq.ParquetWriter | None = None

    def write(self, frame: DataFrame) -> None:
        """Add rows at the end."""
        if self.is_csv:
            frame.to_csv(self.path, mode="a", header=not self.rows, index=False)
        else:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if self._parquet is None:
                # A column without any value in the first chunk may hold text later.
                fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
                self._parquet = pq.ParquetWriter(self.path, pa.schema(fields))
            self._parquet.write_table(table.cast(self._parquet.schema))
        self.rows += len(frame)

    def close(self) -> None:
        """Finish the file."""
        if self._parquet is not None:
            self._parquet.close()


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write a CSV or Parquet file: whole, or not at all."""
    with files.replacing(path) as partial, closing(Writer(partial, path.suffix == ".csv")) as writer:
        yield writer
