"""A source that brings nothing raises one alarm for each span of silence, however often it is asked."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from pandas import DataFrame

from stack.core.settings import Settings
from stack.lake import lake
from stack.project import Project
from stack.validation import silence
from tests.stack.conftest import START

HOUR, SINCE = timedelta(hours=1), START.to_pydatetime()


def batch(hours: int, rows: int) -> dict[str, DataFrame]:
    known = START + pd.to_timedelta([hours + 0.5] * rows, unit="h")
    return {"days": DataFrame({"day": [hours] * rows, "available_at": known})}


@pytest.fixture
def home(tmp_path, toy):
    """A lake with one row in its first hour, and none in the second."""
    settings = Settings(home=tmp_path)
    for hours, rows in ((0, 1), (1, 0)):
        lake.append(settings, toy, batch(hours, rows), SINCE + hours * HOUR, SINCE + (hours + 1) * HOUR)
    return settings


def told(home, toy, hours: int, rows: int = 0, length: int = 1) -> dict[str, object]:
    return silence.grown(Project(home, toy), batch(hours, rows), SINCE + hours * HOUR, SINCE + (hours + length) * HOUR)


def test_each_week_of_silence_is_told_once(home, toy):
    assert toy.monitoring.max_silence == timedelta(days=7)
    found = [hours for hours in range(1, 24 * 15, 12) if told(home, toy, hours, length=12)]

    assert found == [1 + 24 * 7 - 12, 1 + 24 * 14 - 12]
    assert told(home, toy, 24 * 7) == {"days": SINCE + HOUR}


def test_a_machine_that_was_off_tells_it_when_it_is_back(home, toy):
    assert told(home, toy, 2, length=24 * 30)


def test_rows_are_no_silence_and_a_snapshot_table_has_none(home, toy):
    tables = {"days": toy.tables["days"].model_copy(update={"snapshot": True})}

    assert not told(home, toy, 2, rows=1, length=24 * 30)
    assert not told(home, toy.model_copy(update={"tables": tables}), 2, length=24 * 30)


def test_a_source_that_never_brought_a_row_is_told(tmp_path, toy):
    assert told(Settings(home=tmp_path), toy, 0, length=24 * 8) == {"days": SINCE}
