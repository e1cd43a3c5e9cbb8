"""A table without new rows raises one alarm for each `max_silence` that passes, however often it is asked."""

from datetime import timedelta

import pandas as pd
import pytest
from pandas import DataFrame

from stack.core.settings import Settings
from stack.project import Project
from stack.validation import batches
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
        Project(settings, toy).lake.append(batch(hours, rows), SINCE + hours * HOUR, SINCE + (hours + 1) * HOUR)
    return settings


def stale(home, toy, hours: int, rows: int = 0, length: int = 1) -> dict[str, object]:
    return batches.newly_stale(
        Project(home, toy), batch(hours, rows), SINCE + hours * HOUR, SINCE + (hours + length) * HOUR
    )


def test_each_week_without_rows_is_reported_once(home, toy):
    assert toy.monitoring.max_silence == timedelta(days=7)
    reported = [hours for hours in range(1, 24 * 15, 12) if stale(home, toy, hours, length=12)]

    assert reported == [1 + 24 * 7 - 12, 1 + 24 * 14 - 12]
    assert stale(home, toy, 24 * 7) == {"days": SINCE + HOUR}


def test_a_machine_that_was_off_reports_it_when_it_is_back(home, toy):
    assert stale(home, toy, 2, length=24 * 30)


def test_rows_and_snapshot_tables_are_not_stale(home, toy):
    tables = {"days": toy.tables["days"].model_copy(update={"snapshot": True})}

    assert not stale(home, toy, 2, rows=1, length=24 * 30)
    assert not stale(home, toy.model_copy(update={"tables": tables}), 2, length=24 * 30)


def test_a_source_that_never_sent_a_row_is_reported(tmp_path, toy):
    assert stale(Settings(home=tmp_path), toy, 0, length=24 * 8) == {"days": SINCE}
