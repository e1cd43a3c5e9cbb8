"""Pushed rows over HTTP: good ones are on the disk when they are acknowledged, wrong ones are named one by one."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable

import httpx
import jsonschema
import pytest

from services.prediction.app import PredictionApp
from services.prediction.projects import ProjectRegistry
from stack.core import settings as core_settings
from stack.core.settings import ROOT, Settings
from stack.project import Project
from stack.sources import inbox
from tests.stack.authoring.scaffolds import Folder, flowers, sales
from tests.stack.sources.test_push import CLOCK, PUSHED, SOURCE, row

GOOD = json.loads(row(1))


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Ask a stack with a project that takes rows and one that does not."""
    folder, home = Folder(tmp_path, monkeypatch), Settings(home=tmp_path / "home", mlflow_port=1)
    folder.write("declared", sales(), target="units", time="Sold At", keys="ShopID")
    folder.write("flowers", flowers(), target="species")
    folder.change("projects/declared/project.yaml", SOURCE, PUSHED)
    folder.change("projects/declared/project.yaml", CLOCK, "clock: {start: 2024-01-01T00:00:00Z}")

    def run(questions: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        async def live() -> None:
            projects = ProjectRegistry(home)
            await projects.refresh()
            transport = httpx.ASGITransport(PredictionApp(projects))
            async with httpx.AsyncClient(transport=transport, base_url="http://stack") as client:
                await questions(client)
            await projects.stop()

        with core_settings.using(home):
            asyncio.run(live())

    run.home = home
    return run


def kept(home: Settings) -> list[int]:
    return [json.loads(message.payload)["order_no"] for message in reversed(inbox.newest(home, "declared", 1000))]


def test_wrong_rows_are_told_one_by_one_and_put_aside_and_the_others_are_kept(ask):
    wrong = [
        (GOOD | {"price": "dear"}, "price", "'dear'", "a number"),
        ({name: value for name, value in GOOD.items() if name != "order_no"}, "order_no", "nothing", "a whole number"),
        (GOOD | {"weather": None, "wether": "sun"}, "wether", "did you mean 'weather'", "only sold_at, order_no"),
        (GOOD | {"sold_at": "2024-05-01T00:00:00"}, "sold_at", "2024-05-01T00:00:00", "with its zone"),
        (GOOD | {"units": float("nan")}, "units", "nan", "a number"),
    ]

    async def questions(client: httpx.AsyncClient) -> None:
        rows = [GOOD, *(row for row, *_ in wrong), GOOD | {"order_no": 2, "weather": "rain"}]
        answer = await client.post("/declared/rows", content=json.dumps({"rows": rows}))
        assert answer.status_code == 200 and answer.json()["accepted"] == 2
        for number, (refusal, (_, field, found, expected)) in enumerate(
            zip(answer.json()["refused"], wrong, strict=True), 1
        ):
            assert (refusal["row"], refusal["field"]) == (number, field)
            assert found in refusal["found"] and expected in refusal["expected"]

    ask(questions)
    assert kept(ask.home) == [1, 2]
    (file,) = (ask.home.quarantine / "declared").glob("pushed-*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["row"] for line in lines][:4] == [row for row, *_ in wrong][:4]
    assert lines[0]["refused"][0]["field"] == "price"


def test_requests_at_the_same_time_are_each_answered_for_their_own_rows(ask):
    async def questions(client: httpx.AsyncClient) -> None:
        async def send(number: int) -> httpx.Response:
            rows = [GOOD | {"order_no": number}, GOOD | {"order_no": "x"}, GOOD | {"order_no": 100 + number}]
            return await client.post("/declared/rows", json={"rows": rows})

        for answer in await asyncio.gather(*map(send, range(20))):
            assert answer.json()["accepted"] == 2 and [one["row"] for one in answer.json()["refused"]] == [1]

    ask(questions)
    assert sorted(kept(ask.home)) == [*range(20), *range(100, 120)]


def test_a_body_of_another_form_is_refused_as_a_whole(ask):
    async def questions(client: httpx.AsyncClient) -> None:
        for body in ({}, {"rows": []}, {"rows": [5]}, {"rows": [GOOD] * 1001}, {"row": [GOOD]}):
            answer = await client.post("/declared/rows", json=body)
            assert answer.status_code == 400 and "expected" in answer.text

    ask(questions)
    assert kept(ask.home) == []


def test_a_project_of_another_source_says_what_to_do(ask):
    async def questions(client: httpx.AsyncClient) -> None:
        answer = await client.post("/flowers/rows", json={"rows": [GOOD]})
        assert answer.status_code == 409 and "kind: push" in answer.json()["todo"]
        assert (await client.post("/nobody/rows", json={"rows": [GOOD]})).status_code == 404
        assert (await client.get("/declared/rows")).status_code == 405

    ask(questions)


def test_the_api_s_document_has_the_columns(ask):
    async def questions(client: httpx.AsyncClient) -> None:
        paths = (await client.get("/docs.json")).json()
        assert "/flowers/rows" not in paths["paths"]
        content = paths["paths"]["/declared/rows"]["post"]["requestBody"]["content"]["application/json"]
        schema = content["schema"] | {"components": paths["components"]}
        item = schema["properties"]["rows"]["items"]
        assert list(item["properties"]) == list(GOOD) and "weather" not in item["required"]
        jsonschema.validate({"rows": [GOOD]}, schema)
        jsonschema.validate({"rows": schema["properties"]["rows"]["examples"][0]}, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"rows": [GOOD | {"price": "dear"}]}, schema)

    ask(questions)


def test_the_answer_on_the_page_about_sources_is_the_one_that_comes(ask):
    page = (ROOT / "docs" / "sources.md").read_text()
    ((body, answered),) = re.findall(r"^\$ curl \S+/rows .* -d '(.*)'\n(.*)$", page, re.MULTILINE)

    async def questions(client: httpx.AsyncClient) -> None:
        assert (await client.post("/declared/rows", content=body)).text == answered

    ask(questions)


def test_a_key_is_never_missing(ask, tmp_path):
    from services.prediction import rows
    from stack.specification import specs

    spec = specs.load("declared")
    assert not rows.fields(spec)["order_no"].nullable and rows.fields(spec)["weather"].nullable
    assert rows.takes_rows(spec) and not rows.takes_rows(specs.load("flowers"))
    assert Project(ask.home, spec).spec.tables["rows"].corrected
