"""Tokens at the prediction service: needed from outside, and on 127.0.0.1 where a setting says so."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from services.prediction.access import TokenCheck
from services.prediction.openapi import PROBLEMS
from stack.access import tokens
from stack.core import database, settings
from tests.stacks import own_environment

OUTSIDE = {"X-Forwarded-For": "192.168.1.7"}


async def ok(_: object) -> PlainTextResponse:
    return PlainTextResponse("ok")


@pytest.fixture
def stack(tmp_path):
    yield settings.load(own_environment(tmp_path) | {"STACK_ACCESS_KEY": "own"}, Path("/dev/null"))
    database.engine.cache_clear()


def client(stack, client=("127.0.0.1", 50000), **changes):
    app = Starlette(routes=[Route("/{path:path}", ok, methods=["GET", "POST", "PUT", "DELETE"])])
    return TestClient(TokenCheck(app, stack.model_copy(update=changes)), client=client)


def bearer(stack, project, *purposes):
    return {"Authorization": f"Bearer {tokens.create(stack.state_database, project, purposes, datetime.now(UTC))}"}


def test_on_this_machine_no_token_is_needed(stack):
    assert client(stack).post("/churn/predict").status_code == 200
    assert client(stack).get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("changes", "peer", "headers"),
    [
        ({}, "127.0.0.1", OUTSIDE),
        ({}, "127.0.0.1", {"Forwarded": "for=192.168.1.7"}),
        ({}, "127.0.0.1", {"X-Real-IP": "192.168.1.7"}),
        ({}, "127.0.0.1", {"Via": "1.1 proxy"}),
        ({"require_tokens": True}, "127.0.0.1", {}),
        ({"host": "0.0.0.0"}, "192.168.1.7", {}),
    ],
)
def test_from_outside_and_by_a_setting_one_is_needed(stack, changes, peer, headers):
    asked = client(stack, (peer, 50000), **changes)
    refused = asked.post("/churn/predict", headers=headers)
    assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
    assert PROBLEMS[401][1].model_validate(refused.json()).todo == "make token PROJECT=churn FOR=predict"
    for wrong in ("Bearer nothing", "Bearer", "Basic b3du", "own", "Bearer own own"):
        assert asked.post("/churn/predict", headers=headers | {"Authorization": wrong}).status_code == 401, wrong
    token = bearer(stack, "churn", "predict")
    assert client(stack, (peer, 50000), **changes).post("/churn/predict", headers=headers | token).status_code == 200
    assert asked.post("/churn/predict", headers=headers | {"Authorization": "Bearer own"}).status_code == 200


def test_this_machine_needs_none_where_others_may_reach_it(stack):
    assert client(stack, host="0.0.0.0").post("/churn/predict").status_code == 200


@pytest.mark.parametrize(
    ("project", "purposes", "statuses"),
    [
        ("churn", ["predict"], (200, 403, 403, 403, 403, 200)),
        ("all", ["predict"], (200, 403, 403, 200, 403, 200)),
        ("churn", ["feedback", "rows"], (403, 200, 200, 403, 403, 200)),
        ("churn", ["admin"], (200, 200, 200, 403, 200, 200)),
        ("all", ["admin"], (200, 200, 200, 200, 200, 200)),
        ("all", ["train"], (403, 403, 403, 403, 403, 403)),
    ],
)
def test_a_token_is_for_its_project_and_purposes(stack, project, purposes, statuses):
    asked, headers = client(stack), OUTSIDE | bearer(stack, project, *purposes)
    changing = ["/churn/predict", "/churn/feedback", "/churn/rows", "/flights/predict", "/churn/anything"]
    answers = [asked.post(path, headers=headers) for path in changing] + [asked.get("/readyz", headers=headers)]
    assert tuple(answer.status_code for answer in answers) == statuses
    refused = [PROBLEMS[403][1].model_validate(answer.json()) for answer in answers if answer.status_code == 403]
    assert all(f"{', '.join(purposes)} of {project}" in problem.error for problem in refused)


def test_from_outside_pages_need_a_token_too(stack):
    for path in ("/", "/readyz", "/metrics", "/docs.json", "/static/index.js", "/nowhere"):
        assert client(stack).get(path, headers=OUTSIDE).status_code == 401


def test_with_the_setting_pages_stay_open_on_this_machine(stack):
    asked = client(stack, require_tokens=True)
    assert [asked.get(path).status_code for path in ("/", "/readyz", "/metrics")] == [200, 200, 200]
    assert [asked.request(method, "/churn/x").status_code for method in ("PUT", "DELETE", "POST")] == [401] * 3
