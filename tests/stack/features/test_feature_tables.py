"""Feature tables: a window replaces itself, and nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.features import feature_tables

START = datetime(2013, 1, 31, 22, tzinfo=UTC)


def ticks(count: int, value: float = 0.0) -> pd.DataFrame:
    at = pd.date_range(START + timedelta(hours=1), periods=count, freq="h", unit="ns")
    return pd.DataFrame({"train": "ICE 1", "event_timestamp": at, "delay": value})


def stored(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)


def test_a_window_over_two_months_is_two_files_in_microseconds(tmp_path: Path) -> None:
    feature_tables.replace(tmp_path / "view", ticks(4), START, START + timedelta(hours=4))
    assert sorted(path.name for path in (tmp_path / "view").iterdir()) == ["2013-01.parquet", "2013-02.parquet"]
    assert str(stored(tmp_path / "view")["event_timestamp"].dtype) == "datetime64[us, UTC]"


def test_a_window_replaces_its_own_rows_only(tmp_path: Path) -> None:
    folder = tmp_path / "view"
    feature_tables.replace(folder, ticks(4), START, START + timedelta(hours=4))
    inner = ticks(4, value=1.0).iloc[1:2]
    feature_tables.replace(folder, inner, START + timedelta(hours=1), START + timedelta(hours=3))
    rows = stored(folder)
    assert rows["event_timestamp"].tolist() == ticks(4)["event_timestamp"].iloc[[0, 1, 3]].tolist()
    assert rows["delay"].tolist() == [0.0, 1.0, 0.0]


def test_a_month_without_rows_has_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "view"
    feature_tables.replace(folder, ticks(1), START, START + timedelta(hours=1))
    assert feature_tables.filled(tmp_path, ["view", "other"]) == ["view"]
    feature_tables.replace(folder, ticks(0), START, START + timedelta(hours=1))
    assert feature_tables.filled(tmp_path, ["view"]) == []


def test_a_row_outside_its_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="1 rows outside the window"):
        feature_tables.replace(tmp_path / "view", ticks(2), START, START + timedelta(hours=1))
