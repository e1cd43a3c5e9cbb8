"""Projects come, change, break and go while the service runs."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from uuid import UUID

import httpx
import pytest

from services.prediction.front import Front
from services.prediction.ids import uuids
from services.prediction.projects import Projects
from services.prediction.schema import parsed_example
from stack.core.settings import Settings
from stack.project import Project
from stack.specification import example, specs
from tests.services.conftest import NOW


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of projects that holds flights."""
    shutil.copytree(specs.PROJECTS / "flights", tmp_path / "projects" / "flights")
    monkeypatch.setattr(specs, "PROJECTS", tmp_path / "projects")
    return tmp_path / "projects"


@pytest.fixture
def projects(tmp_path):
    """Projects of a stack whose registry does not answer."""
    return Projects(Settings(home=tmp_path / "home", mlflow_port=1))


def energy(folder, *change: str) -> None:
    """Write a second project, with a change to its file."""
    (folder / "energy").mkdir(exist_ok=True)
    text = (folder / "flights" / "project.yaml").read_text().replace("name: flights", "name: energy")
    (folder / "energy" / "project.yaml").write_text(text.replace(*change) if change else text)


def asking(projects: Projects) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(Front(projects)), base_url="http://stack")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("threshold: 0.5", "treshold: 0.5"), "did you mean 'threshold'?"),
        (("request:", "request: ["), "while parsing"),
        (('pattern: "^[A-Z]{3}$"', 'pattern: "^[A-Z"'), "regex"),
    ],
)
def test_a_broken_project_is_left_out_and_the_others_are_served(folder, projects, change, reason):
    energy(folder, *change)

    async def look():
        await projects.look()
        async with asking(projects) as client:
            told = await client.post("/energy/predict", json={})
            assert told.status_code == 503 and reason in told.json()["error"]
            ready = (await client.get("/readyz")).json()["projects"]
            assert list(ready) == ["energy", "flights"] and reason in ready["energy"]["problem"]
        await projects.end()

    asyncio.run(look())
    assert list(projects.served) == ["flights"]


def test_a_project_comes_changes_breaks_and_goes_while_the_others_answer(folder, projects):
    async def live():
        await projects.begin()
        flights = projects.served["flights"]
        async with asking(projects) as client:
            answers: list[int] = []
            asked = asyncio.create_task(ask(client, answers))
            assert (await client.post("/energy/predict", json={})).status_code == 404

            energy(folder)
            await until(lambda: "energy" in projects.served)
            assert "/energy/predict" in (await client.get("/docs.json")).json()["paths"]
            first = projects.served["energy"]

            energy(folder, "Airport of arrival", "Where it goes")
            await until(lambda: projects.served["energy"] is not first)
            document = (await client.get("/docs.json")).json()["components"]["schemas"]
            assert document["EnergyRow"]["properties"]["dest"]["description"].startswith("Where it goes")
            assert document["FlightsRow"]["properties"]["dest"]["description"].startswith("Airport of arrival")

            second = projects.served["energy"]
            energy(folder, "threshold: 0.5", "treshold: 0.5")
            await until(lambda: "energy" in projects.broken)
            assert projects.served["energy"] is second, "what was right before goes on"

            shutil.rmtree(folder / "energy")
            await until(lambda: "energy" not in projects.served)
            assert (await client.post("/energy/predict", json={})).status_code == 404
            assert "energy" not in (await client.get("/readyz")).json()["projects"]

            asked.cancel()
            assert projects.served["flights"] is flights, "nobody touched it"
            assert len(answers) > 20 and set(answers) == {200}
        await projects.end()

    asyncio.run(live())


async def ask(client: httpx.AsyncClient, answers: list[int]) -> None:
    """Go on asking flights, which takes feedback without a champion."""
    label = {"prediction_id": str(UUID(int=7)), "label": 1}
    while True:
        answers.append((await client.post("/flights/feedback", json={"labels": [label]})).status_code)


async def until(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not holds():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.services
def test_changed_code_answers_and_broken_code_takes_nothing_away(folder, home, spec, version, monkeypatch):
    Project(home, spec).registry.set_champion(version)
    import_module("projects.flights.features")  # so that what the copy becomes is undone
    monkeypatch.setattr(import_module("projects.flights"), "__path__", [str(folder / "flights")])
    monkeypatch.delitem(sys.modules, "projects.flights.features")
    file = folder / "flights" / "features.py"
    written, row = file.read_text(), {"rows": [example.row(spec)]}

    def weekday(served: Projects) -> float:
        found, _ = served.served["flights"].seat.current.predict([parsed_example(spec)], [NOW])
        return found.columns["dep_weekday"][0]

    async def live():
        served = Projects(home)
        await served.look()
        before, usual = served.served["flights"], weekday(served)
        async with asking(served) as client:
            file.write_text("import no_such_module")
            await served.look()
            assert served.served["flights"] is before and "no_such_module" in served.broken["flights"]
            assert (await client.post("/flights/predict", json=row)).status_code == 200
            assert weekday(served) == usual

            file.write_text(written.replace("// 86400 + 3) % 7", "// 86400 + 4) % 7"))
            await served.look()
            assert served.served["flights"] is not before and not served.broken
            assert (await client.post("/flights/predict", json=row)).status_code == 200
            assert weekday(served) == (usual + 1) % 7
        await served.end()

    asyncio.run(live())


def test_requests_under_way_end_as_they_began(folder, projects):
    async def live():
        await projects.look()
        served = projects.served["flights"]
        served.under_way = 1
        shutil.rmtree(folder / "flights")
        await projects.look()
        await asyncio.sleep(0.1)
        assert projects.served == {} and served.app is not None
        ending = list(projects._tasks)
        assert [one.done() for one in ending] == [False]
        served.under_way = 0
        await asyncio.wait_for(ending[0], 5)

    asyncio.run(live())


def test_ids_are_uuids_in_the_order_of_time():
    now = datetime(2024, 5, 1, tzinfo=UTC)
    ids = [*uuids(now, 100), *uuids(now + timedelta(milliseconds=1), 100)]
    assert len(set(ids)) == 200
    assert {UUID(one).version for one in ids} == {7}
    assert {UUID(one).variant for one in ids} == {UUID(int=0x8 << 60).variant}
    assert max(ids[:100]) < min(ids[100:])
