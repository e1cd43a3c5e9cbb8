"""ProjectRegistry come, change, break and go while the service runs."""

import asyncio
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from uuid import UUID

import httpx
import jsonschema
import pytest

from services.prediction.app import PredictionApp
from services.prediction.canary import uuid7
from services.prediction.projects import ProjectRegistry
from services.prediction.schema import parsed_example
from stack.core.settings import ROOT, Settings
from stack.project import Project
from stack.specification import example
from tests.services.conftest import NOW


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of projects that holds flights."""
    shutil.copytree(ROOT / "projects" / "flights", tmp_path / "projects" / "flights")
    monkeypatch.setattr(Settings, "projects", tmp_path / "projects")
    return tmp_path / "projects"


@pytest.fixture
def projects(tmp_path):
    """ProjectRegistry of a stack whose registry does not answer."""
    return ProjectRegistry(Settings(home=tmp_path / "home", mlflow_port=1))


def energy(folder, *change: str) -> None:
    """Write a second project, with a change to its file."""
    (folder / "energy").mkdir(exist_ok=True)
    text = (folder / "flights" / "project.yaml").read_text().replace("name: flights", "name: energy")
    (folder / "energy" / "project.yaml").write_text(text.replace(*change) if change else text)


def asking(projects: ProjectRegistry) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(PredictionApp(projects)), base_url="http://stack")


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
        await projects.refresh()
        async with asking(projects) as client:
            answer = await client.post("/energy/predict", json={})
            assert answer.status_code == 503 and reason in answer.json()["error"]
            ready = (await client.get("/readyz")).json()["projects"]
            assert list(ready) == ["energy", "flights"] and reason in ready["energy"]["problem"]
        await projects.stop()

    asyncio.run(look())
    assert list(projects.services) == ["flights"]


def test_a_project_comes_changes_breaks_and_goes_while_the_others_answer(folder, projects):
    async def live():
        await projects.start()
        flights = projects.services["flights"]
        async with asking(projects) as client:
            answers: list[int] = []
            asked = asyncio.create_task(ask(client, answers))
            assert (await client.post("/energy/predict", json={})).status_code == 404

            energy(folder)
            await until(lambda: "energy" in projects.services)
            assert "/energy/predict" in (await client.get("/docs.json")).json()["paths"]
            first = projects.services["energy"]

            energy(folder, "Airport of arrival", "Where it goes")
            await until(lambda: projects.services["energy"] is not first)
            document = (await client.get("/docs.json")).json()["components"]["schemas"]
            assert document["EnergyRow"]["properties"]["dest"]["description"].startswith("Where it goes")
            assert document["FlightsRow"]["properties"]["dest"]["description"].startswith("Airport of arrival")

            second = projects.services["energy"]
            energy(folder, "threshold: 0.5", "treshold: 0.5")
            await until(lambda: "energy" in projects.errors)
            assert projects.services["energy"] is second, "what was right before goes on"

            shutil.rmtree(folder / "energy")
            await until(lambda: "energy" not in projects.services)
            assert (await client.post("/energy/predict", json={})).status_code == 404
            assert "energy" not in (await client.get("/readyz")).json()["projects"]

            asked.cancel()
            assert projects.services["flights"] is flights, "it is untouched"
            assert len(answers) > 20 and set(answers) == {200}
        await projects.stop()

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


def test_a_wrong_method_is_refused_with_the_right_method(folder, projects):
    async def ask():
        await projects.refresh()
        async with asking(projects) as client:
            answers = [await client.request(method, "/flights/predict") for method in ("GET", "PUT", "DELETE", "PATCH")]
            unknown = await client.get("/energy/predict")
        await projects.stop()
        return answers, unknown

    answers, unknown = asyncio.run(ask())
    assert {(answer.status_code, answer.headers["allow"]) for answer in answers} == {(405, "POST")}
    assert answers[0].json() == {"error": "found GET, expected POST"}
    assert unknown.status_code == 404


def test_the_openapi_document_describes_every_body_of_a_refusal(folder, projects):
    async def ask():
        await projects.refresh()
        async with asking(projects) as client:
            document = (await client.get("/docs.json")).json()
            bodies = [
                await client.post("/flights/predict", json={"rows": []}),
                await client.post("/flights/feedback", json={"labels": [{}]}),
                await client.post("/flights/feedback", content=b" " * 5_000_000),
                await client.post("/flights/feedback", headers={"content-type": "application/vnd.bentoml+pickle"}),
            ]
        await projects.stop()
        return document, bodies

    document, answers = asyncio.run(ask())
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    operation = document["paths"]["/flights/predict"]["post"]
    assert {"token": []} in operation["security"] and {"401", "403"} <= set(operation["responses"])
    assert [answer.status_code for answer in answers] == [503, 400, 413, 415]
    for answer in answers:
        responses = document["paths"][answer.request.url.path]["post"]["responses"]
        schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), schema | {"components": document["components"]})


@pytest.mark.services
def test_changed_code_answers_and_broken_code_takes_nothing_away(folder, home, spec, version, monkeypatch):
    Project(home, spec).registry.set_champion(version)
    import_module("projects.flights.features")  # so that what the copy becomes is undone
    monkeypatch.setattr(import_module("projects.flights"), "__path__", [str(folder / "flights")])
    monkeypatch.delitem(sys.modules, "projects.flights.features")
    file = folder / "flights" / "features.py"
    written, row = file.read_text(), {"rows": [example.row(spec)]}

    def weekday(served: ProjectRegistry) -> float:
        features, _ = served.services["flights"].models.champion.predict([parsed_example(spec)], [NOW])
        return features.columns["dep_weekday"][0]

    async def live():
        served = ProjectRegistry(home)
        await served.refresh()
        before, usual = served.services["flights"], weekday(served)
        async with asking(served) as client:
            file.write_text("import no_such_module")
            await served.refresh()
            assert served.services["flights"] is before and "no_such_module" in served.errors["flights"]
            assert (await client.post("/flights/predict", json=row)).status_code == 200
            assert weekday(served) == usual

            file.write_text(written.replace("// 86400 + 3) % 7", "// 86400 + 4) % 7"))
            await served.refresh()
            assert served.services["flights"] is not before and not served.errors
            assert (await client.post("/flights/predict", json=row)).status_code == 200
            assert weekday(served) == (usual + 1) % 7
        await served.stop()

    asyncio.run(live())


def test_requests_active_requests_end_as_they_began(folder, projects):
    async def live():
        await projects.refresh()
        served = projects.services["flights"]
        served.active_requests = 1
        shutil.rmtree(folder / "flights")
        await projects.refresh()
        await asyncio.sleep(0.1)
        assert projects.services == {} and served.app is not None
        ending = list(projects.background)
        assert [task.done() for task in ending] == [False]
        served.active_requests = 0
        await asyncio.wait_for(ending[0], 5)

    asyncio.run(live())


def test_ids_are_uuids_in_the_order_of_time():
    now = datetime(2024, 5, 1, tzinfo=UTC)
    ids = [str(uuid7(at)) for at in (now, now + timedelta(milliseconds=1)) for _ in range(100)]
    assert len(set(ids)) == 200
    assert {UUID(key).version for key in ids} == {7}
    assert {UUID(key).variant for key in ids} == {UUID(int=0x8 << 60).variant}
    assert max(ids[:100]) < min(ids[100:])
