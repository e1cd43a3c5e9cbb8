"""A long file is read window by window, and a long window is split where row groups end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from stack.kit import parquet

START = datetime(2024, 1, 1, tzinfo=UTC)
END = START + timedelta(days=10)


@pytest.fixture(params=["UTC", None])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    at = pd.date_range(START, END, periods=241, inclusive="right").as_unit("us").tz_convert(request.param)
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"number": range(240), "at": at, "other": 0}).to_parquet(path, row_group_size=24)
    return path


def test_a_window_is_read_with_a_day_around_it(file: Path) -> None:
    rows = parquet.window(file, "at", ["number", "at"], START + timedelta(days=3), START + timedelta(days=4))
    assert list(rows) == ["number", "at"]
    assert rows["number"].tolist() == list(range(48, 120))


def test_a_window_is_split_into_batches_of_so_many_rows(file: Path) -> None:
    assert parquet.split(file, "at", START, END) == []
    assert parquet.split(file, "at", START, END, rows=72) == [START + timedelta(days=day) for day in (3, 6, 9)]
    later = START + timedelta(days=5, hours=1)
    assert parquet.split(file, "at", later, END, rows=48) == [START + timedelta(days=day) for day in (7, 9)]
