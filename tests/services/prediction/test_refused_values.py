"""Callers who send what nothing can hold harm no other caller."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from bench.load import Load, load
from monitoring import skew
from services.prediction.live_models import LoadedModel
from services.prediction.service import ProjectService, refusal
from stack.core.database import engine
from stack.project import Project
from stack.serving.reasons import UnexplainableError
from stack.specification import example
from tests.polling import eventually
from tests.services.conftest import NOW, get, post

pytestmark = pytest.mark.services


@pytest.fixture
def champion(home, spec, version, prediction) -> str:
    """The version, which the service has loaded."""
    prediction.ensure()
    Project(home, spec).registry.set_champion(version)
    url = f"{home.prediction_url}/readyz"
    eventually(lambda: get(url).json()["projects"]["flights"]["champion"] == version)
    return version


def row(spec, **values) -> dict:
    return example.row(spec) | {"sched_dep": NOW.isoformat(), "sched_arr": NOW.isoformat()} | values


HOSTILE = [
    {"sched_dep": "0001-01-01T00:00:00+23:00"},
    {"sched_arr": "9999-12-31T23:59:59-23:00"},
    {"asked_at": "0001-01-01T00:00:00+14:00"},
    {"dest": "x" * 3_000_000},
]


def test_good_callers_beside_hostile_callers_all_get_their_answers(home, spec, champion):
    url = f"{home.prediction_url}/flights/predict"
    good = [json.dumps({"rows": [row(spec)]}).encode()]
    hostile = [json.dumps({"rows": [row(spec, **values)]}).encode() for values in HOSTILE]

    async def both() -> list[Load]:
        return await asyncio.gather(load(url, good, clients=4, seconds=4), load(url, hostile, clients=2, seconds=4))

    of_good, of_hostile = asyncio.run(both())
    assert of_good.failed == 0 and of_good.statuses[200] > 20
    assert set(of_hostile.statuses) == {400} and of_hostile.statuses[400] > 8


def test_a_version_of_an_early_release_has_no_reasons_and_says_how_to_get_them():
    answer = refusal("flights", UnexplainableError())
    assert answer.status_code == 409
    assert json.loads(answer.body)["todo"] == "make train PROJECT=flights"


def test_a_row_that_cannot_be_read_does_not_stop_the_check_of_skew(home, spec, champion):
    project, window = Project(home, spec), (NOW - timedelta(seconds=1), NOW)
    answers = post(f"{home.prediction_url}/flights/predict", {"rows": [row(spec)] * 2}).json()
    ids = [answer["prediction_id"] for answer in answers]
    before = skew.check(project, *window).rows
    with engine(home.state_database).begin() as connection:
        connection.exec_driver_sql("UPDATE predictions SET request = '{' WHERE id = ?", (ids[0],))
    try:
        assert skew.check(project, *window).rows == before - 1
    finally:
        with engine(home.state_database).begin() as connection:
            connection.exec_driver_sql("DELETE FROM predictions WHERE id = ?", (ids[0],))


@pytest.fixture
def served(home, spec, champion) -> Iterator[tuple[ProjectService, asyncio.Runner]]:
    """Flights, served in this process."""
    service = ProjectService(Project(home, spec))
    with asyncio.Runner() as loop:
        loop.run(service.start())
        yield service, loop
        loop.run(service.stop())


def test_a_value_that_no_feature_can_hold_is_refused_alone(served, spec, monkeypatch):
    service, loop = served
    predict, batches = LoadedModel.predict, []

    def fails(model, requests, instants):
        batches.append([request["dest"] for request in requests])
        if "BAD" in batches[-1]:
            raise OverflowError("date value out of range")
        return predict(model, requests, instants)

    monkeypatch.setattr(LoadedModel, "predict", fails)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(service)
        async with httpx.AsyncClient(transport=transport, base_url="http://stack") as client:
            bodies = [{"rows": [row(spec, dest=dest)]} for dest in ("ORD", "BAD", "LAX", "ATL", "BAD", "SFO")]
            return await asyncio.gather(*(client.post("/flights/predict", json=body) for body in bodies))

    answers = loop.run(ask())
    assert [answer.status_code for answer in answers] == [200, 400, 200, 200, 400, 200]
    assert any(len(batch) > 1 and "BAD" in batch for batch in batches)
    refusal = answers[1].json()
    assert refusal["detail"][0]["loc"] == ["rows"] and "date value out of range" in refusal["detail"][0]["msg"]
