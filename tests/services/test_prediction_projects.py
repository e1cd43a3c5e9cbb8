from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.prediction import service
from services.prediction.answers import _ids
from stack import project
from stack.settings import Settings


@pytest.fixture
def projects(tmp_path, monkeypatch):
    """A folder of projects that holds flights."""
    shutil.copytree(project.PROJECTS / "flights", tmp_path / "flights")
    monkeypatch.setattr(project, "PROJECTS", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("threshold: 0.5", "treshold: 0.5"), "did you mean 'threshold'?"),
        (("request:", "request: ["), "while parsing"),
        (('pattern: "^[A-Z]{3}$"', 'pattern: "^[A-Z"'), "regex"),
    ],
)
def test_a_broken_project_is_left_out_and_the_others_are_served(projects, change, reason):
    shutil.copytree(projects / "flights", projects / "energy")
    yaml = projects / "energy" / "project.yaml"
    yaml.write_text(yaml.read_text().replace("name: flights", "name: energy").replace(*change))
    specs, broken = service.served()
    assert [spec.name for spec in specs] == ["flights"]
    assert list(broken) == ["energy"]
    assert reason in broken["energy"]


def test_every_project_has_its_typed_route(projects, tmp_path):
    flights = project.load("flights")
    energy = flights.model_copy(update={"name": "energy"})
    made = service.build(Settings(home=tmp_path), [flights, energy], {})
    assert sorted(api.route for api in made.apis.values()) == ["/energy/predict", "/flights/predict"]


def test_ids_are_uuids_in_the_order_of_time():
    now = datetime(2024, 5, 1, tzinfo=UTC)
    ids = [*_ids(now, 100), *_ids(now + timedelta(milliseconds=1), 100)]
    assert len(set(ids)) == 200
    assert {UUID(one).version for one in ids} == {7}
    assert {UUID(one).variant for one in ids} == {UUID(int=0x8 << 60).variant}
    assert max(ids[:100]) < min(ids[100:])
