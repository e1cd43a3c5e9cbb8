"""Acting in the browser: who may, what is recorded, and that nothing happens otherwise."""

import re
from datetime import UTC, datetime

import pytest

from services.guard import Guard
from services.portal.app import PAGES, build
from services.portal.pages.actions import STARTS
from stack.access import actions
from stack.access.actions import Action
from stack.core import migrations
from tests.polling import eventually

KEY = "a-key"
POSTS = [
    *(f"/projects/flights/start/{start.flow}" for start in STARTS),
    *(f"/projects/flights/{verb}" for verb in ("pause", "resume", "answer")),
]
REMOVE = "/projects/flights/remove"


@pytest.fixture
def stack(home):
    """A stack with a key, whose Prefect does not answer."""
    migrations.upgrade(home.state_database)
    return home.model_copy(update={"prefect_key": KEY})


def recorded(stack):
    return actions.entries(stack.state_database)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("authorization", ["", "Basic wrong", KEY])
def test_without_the_key_nothing_is_done(stack, portal, path, authorization):
    answer = portal(stack).post(path, headers={"Authorization": authorization})
    assert answer.status_code == 401 and "sign in" in answer.text
    assert recorded(stack) == []


def test_a_stack_without_a_key_lets_nobody_act(stack, portal):
    client = portal(stack.model_copy(update={"prefect_key": ""}))
    assert client.post(POSTS[0], headers={"Authorization": ""}).status_code == 401


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("header", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_of_another_site_does_nothing_even_with_the_key(stack, path, header):
    from starlette.testclient import TestClient

    client = TestClient(Guard(build(stack), stack), base_url="http://127.0.0.1:8080")
    assert client.post(path, headers=stack.prefect_headers | header).status_code == 403
    assert recorded(stack) == []


@pytest.mark.parametrize("path", POSTS)
def test_what_fails_is_told_and_recorded(stack, portal, path):
    answer = portal(stack).post(path, headers=stack.prefect_headers, data={"answer": "approve"})
    assert answer.status_code == 409 and "Prefect at" in answer.text
    (entry,) = recorded(stack)
    assert (entry.project, entry.caller) == ("flights", "this machine")
    assert entry.outcome.startswith("failed: Prefect at")


def test_a_project_is_removed_by_those_who_may_and_when_its_name_is_typed_in(stack, portal):
    client = portal(stack)
    assert client.post(REMOVE, data={"typed": "flights"}, headers={"Authorization": ""}).status_code == 401
    refused = client.post(REMOVE, headers=stack.prefect_headers, data={"typed": "titanic"})
    assert refused.status_code == 409 and "the name typed in" in refused.text
    begun = client.post(REMOVE, headers=stack.prefect_headers, data={"typed": "flights"})
    job = re.search(r"/jobs/[0-9a-f]+", begun.text)[0]
    said = eventually(lambda: "failed" in (text := client.get(job, headers=stack.prefect_headers).text) and text)
    assert "Prefect at" in said and (stack.projects / "flights").is_dir()
    assert [entry.action for entry in recorded(stack)] == ["remove project"] * 2


def test_an_answer_is_yes_or_no(stack, portal):
    answer = portal(stack).post("/projects/flights/answer", headers=stack.prefect_headers, data={"answer": "maybe"})
    assert answer.status_code == 409 and "approve or refuse" in answer.text


def test_the_gateway_names_the_caller(stack, portal):
    login = {"X-Stack-User": "token%20J%C3%BCrgen", "X-Forwarded-For": "10.0.0.9, 192.168.1.7"}
    portal(stack).post(POSTS[0], headers=stack.prefect_headers | login)
    assert recorded(stack)[0].caller == "token Jürgen at 192.168.1.7"


@pytest.mark.parametrize("path", ["/projects/nothing/start/train", "/projects/flights/start/clean"])
def test_what_is_not_there_cannot_be_started(stack, portal, path):
    assert portal(stack).post(path, headers=stack.prefect_headers).status_code == 404


def test_no_action_is_a_get(stack, portal):
    for path in POSTS:
        assert portal(stack).get(path, headers=stack.prefect_headers).status_code == 405


def test_the_browser_learns_whether_its_key_is_the_right_one(stack, portal):
    client = portal(stack)
    assert client.post("/sign-in", headers=stack.prefect_headers).status_code == 204
    assert client.post("/sign-in").status_code == 401


def test_the_last_actions_are_read_oldest_first(stack):
    for number in range(5):
        at = datetime(2026, 1, 1, 0, number, tzinfo=UTC)
        actions.record(stack.state_database, Action("me", "flights", "start", {"n": number}, "started", at))
    actions.record(stack.state_database, Action("me", "weather", "start", {}, "started", at))
    found = actions.entries(stack.state_database, "flights", last=2)
    assert [entry.parameters["n"] for entry in found] == [3, 4]
    assert found[0].at == datetime(2026, 1, 1, 0, 3, tzinfo=UTC)
    assert len(actions.entries(stack.state_database)) == 6


def test_of_a_read_only_stack_the_key_changes_nothing(stack, portal):
    closed = stack.model_copy(update={"read_only": True})
    client = portal(closed)
    posted = [route.path for page in PAGES for route in page.ROUTES if "POST" in (route.methods or ())]
    paths = [re.sub("{.*?}", "x", path.replace("{project}", "flights").replace("{flow}", "train")) for path in posted]
    refused = {path: client.post(path, headers=stack.prefect_headers).status_code for path in paths}
    asked = refused.pop("/projects/flights/try")
    assert asked == 502 and len(refused) > 20
    assert set(refused.values()) <= {401, 404}, refused
    assert recorded(stack) == []
