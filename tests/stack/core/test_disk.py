"""Below the reserve no batch is added, nothing is lost, and doctor reports it."""

from datetime import timedelta

import pandas as pd
import pytest
from pandas import DataFrame

from stack.core import disk
from stack.core.disk import DiskFullError
from stack.core.settings import Settings
from stack.lake import lake
from stack.ops import doctor
from stack.project import Project
from tests.stack.conftest import START

SINCE = START.to_pydatetime()


def day(number: int) -> dict[str, DataFrame]:
    return {"days": pd.DataFrame({"day": [number], "available_at": [START + timedelta(days=number, hours=1)]})}


def test_batch_waits_until_there_is_room(tmp_path, toy, monkeypatch):
    settings, first, second = Settings(home=tmp_path), SINCE + timedelta(days=1), SINCE + timedelta(days=2)
    kept = Project(settings, toy).lake.append(day(0), SINCE, first)
    with monkeypatch.context() as full:
        full.setattr(disk, "RESERVE", 2**62)
        with pytest.raises(DiskFullError, match=r"batch 20240102T000000Z_.* of toy[\s\S]*MiB free"):
            Project(settings, toy).lake.append(day(1), first, second)

        assert Project(settings, toy).lake.append(day(0), SINCE, first) == lake.newest_revision(settings) == kept
        assert "ingestion has stopped" in disk.problems(settings)[0].text and doctor.disk(settings) == []

    Project(settings, toy).lake.append(day(1), first, second)
    assert Project(settings, toy).lake.read()["days"]["day"].tolist() == [0, 1]


def test_free_space_of_a_home_that_does_not_exist_yet(tmp_path):
    assert disk.free(tmp_path / "not" / "yet") > 0
