"""A project that is younger than the first instant of its past is trained without it, and runs again with it."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import yaml

from stack.core import settings as core_settings
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.features import feature_tables, features
from stack.project import Project

START = datetime(2026, 3, 1, 10, 20, tzinfo=UTC)
PROJECT = {
    "name": "meters",
    "title": "How much?",
    "task": "regression",
    "label": "power",
    "clock": {"start": "2026-03-01T00:00:00Z"},
    "source": {"path": "data/meters.csv"},
    "columns": {
        "at": {"type": "datetime", "role": "time"},
        "meter": {"type": "string", "role": "key"},
        "power": {"type": "number"},
    },
    "features": {"formulas": {"meter_power": "mean(power, 6h) by meter", "at_hour": "hour(at)"}},
}


@pytest.fixture
def project(tmp_path):
    own = Settings(home=tmp_path / "home", workspace=tmp_path)
    (tmp_path / "projects" / "meters").mkdir(parents=True)
    (tmp_path / "feature_repo").mkdir()
    (tmp_path / "projects" / "meters" / "project.yaml").write_text(yaml.safe_dump(PROJECT))
    with core_settings.using(own):
        project = Project.open("meters")
        features.apply_alone(project)
        yield project


def rows(minutes=8):
    at = pd.Series(pd.date_range(START, periods=minutes, freq="min", unit="us"))
    return pd.DataFrame({"at": at, "available_at": at, "meter": "a", "power": 1.0})


def computed(project, until):
    known = rows()
    tables = {"rows": known[known["available_at"] <= until]}
    for view, frame in project.features.build(tables, project.spec.clock.start, until).items():
        feature_tables.replace(feature_tables.folder(project) / view, frame, project.spec.clock.start, until)
    return features.training_set(project, known.assign(event_timestamp=until))


def test_a_training_before_the_first_hour_is_over_has_no_past(project):
    found = computed(project, START + timedelta(minutes=10))
    assert found["meter_power"].isna().all() and found["at_hour"].tolist() == [10.0] * 8
    assert features.awaited_past(project, START) == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_training_after_it_has_one_and_nothing_is_awaited(project):
    found = computed(project, START + timedelta(hours=1))
    assert found["meter_power"].tolist() == [1.0] * 8
    assert features.awaited_past(project, START + timedelta(hours=1)) is None


def test_a_past_that_was_never_computed_is_an_error(project):
    with pytest.raises(StackError, match="no rows of meters_meter_past"):
        features.training_set(project, rows().assign(event_timestamp=START))
