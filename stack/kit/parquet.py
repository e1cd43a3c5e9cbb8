"""Read a long Parquet file window by window, for a project's ``source.py``: of it only the row groups of the window.

The file is in the order of time, or nearly so; else each window reads all of it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow.parquet as pq

__all__ = ["split", "window"]

BATCH = 1_000_000
"""Rows of a batch, about: validating one takes some 100 bytes a row and column."""
DAY = timedelta(days=1)


def window(file: Path | IO[bytes], time: str, columns: Sequence[str], since: datetime, until: datetime) -> pd.DataFrame:
    """Read the rows of (since - a day, until + a day]: instants without a zone may be of any.

    Args:
        time: column with the instant of a row.
    """
    zoned = pq.read_schema(file).field(time).type.tz is not None
    first, last = (
        pd.Timestamp(at) if zoned else pd.Timestamp(at).tz_localize(None) for at in (since - DAY, until + DAY)
    )
    filters = [(time, ">", first), (time, "<=", last)]
    table = pq.read_table(file, columns=list(columns), filters=filters, partitioning=None)
    frame: pd.DataFrame = table.to_pandas(self_destruct=True)
    return frame


def split(file: Path | IO[bytes], time: str, since: datetime, until: datetime, rows: int = BATCH) -> list[datetime]:
    """Return the instants in (since, until) that split a window into batches of about so many rows."""
    metadata = pq.read_metadata(file)
    at = metadata.schema.to_arrow_schema().get_field_index(time)
    cuts: list[datetime] = []
    count, end = 0, since
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if count >= rows and max([since, *cuts[-1:]]) < end < until:
            cuts.append(end)
            count = 0
        last = pd.Timestamp(group.column(at).statistics.max).floor("s").to_pydatetime()  # as batches are named
        end = last if last.tzinfo else last.replace(tzinfo=UTC)
        count += group.num_rows if end > since else 0
    return cuts
