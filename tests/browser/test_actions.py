"""What a person does to a project in the browser: each is started, followed and recorded, and takes a few clicks."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from stack.access import actions
from stack.core.settings import Settings
from stack.ops import welcome
from stack.ops.project_runs import ProjectRuns
from stack.ops.runs import Runs
from stack.project import Project
from tests.browser.chromium import EXECUTABLE, Hand
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import prefect_api

pytestmark = [
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
PROJECT = "flights"
WAIT = PATIENCE_SECONDS * 1000
MOST = 6
"""Clicks that a job may take, beside typing."""


@pytest.fixture
def page(running: Settings, browser: Browser) -> Iterator[Page]:
    """A browser that has followed the link of `make up`, at the page of a project."""
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    page.goto(welcome.home_page(running))
    page.get_by_role("link", name=PROJECT, exact=True).click()
    yield page
    page.close()


def test_a_run_is_started_followed_and_recorded(running: Settings, page: Page):
    page.get_by_role("button", name="Monitor").click()
    expect(page.locator("#acted")).to_contain_text("Monitor: started", timeout=WAIT)
    done = actions.entries(running.state_database, PROJECT)[-1]
    assert (done.action, done.caller, done.parameters["flow"]) == ("start", "this machine", "monitor")
    expect(page.locator("#runs")).to_contain_text("monitor", timeout=WAIT)
    assert Runs(running).wait(done.parameters["run"]).good


def test_a_project_is_paused_and_goes_on(running: Settings, page: Page):
    runs = ProjectRuns(running, PROJECT)
    try:
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Resume").click(timeout=WAIT)
        assert eventually(lambda: outcomes(running) == ["paused", "goes on"])
        assert not runs.paused
    finally:
        runs.pause(paused=False)


def outcomes(running: Settings) -> list[str]:
    """What came of the last two actions on the project."""
    return [done.outcome.partition(":")[0] for done in actions.entries(running.state_database, PROJECT)[-2:]]


def test_what_cannot_be_taken_back_is_asked_first(running: Settings, page: Page):
    before = actions.entries(running.state_database, PROJECT)
    questions: list[str] = []
    page.on("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Roll back").click()
    assert questions == ["Make the previous version champion?"]
    assert actions.entries(running.state_database, PROJECT) == before


@pytest.fixture
def waiting(running: Settings) -> Iterator[Callable[[], Any]]:
    """A run of the gate that awaits an answer; returns what reads the answer that it has received."""
    with prefect_api(running) as api:
        deployment = api.get(f"/deployments/name/promote/{PROJECT}").json()
        keys = {"schema": "answer-schema", "response": "answer-response", "description": "answer-description"}
        details = {"pause_reschedule": True, "run_input_keyset": keys}
        state = {"type": "PAUSED", "name": "Suspended", "state_details": details}
        run = api.post(f"/deployments/{deployment['id']}/create_flow_run", json={"state": state}).json()["id"]
        schema = {"type": "object", "properties": {"approve": {"type": "boolean"}}, "required": ["approve"]}
        api.post(f"/flow_runs/{run}/input", json={"key": keys["schema"], "value": json.dumps(schema)})
        yield lambda: api.get(f"/flow_runs/{run}/input/{keys['response']}").json()
        api.delete(f"/flow_runs/{run}")


@pytest.mark.parametrize(("button", "approve"), [("Promote", True), ("Refuse", False)])
def test_what_waits_is_answered(running: Settings, page: Page, waiting: Callable[[], Any], button: str, approve: bool):
    hand, place = Hand(), page.locator(".waiting")
    place.get_by_label("Comment").fill("seen")
    hand.click(place.get_by_role("button", name=button))
    expect(page.locator("#acted .done")).to_be_visible(timeout=WAIT)
    assert waiting() == {"approve": approve, "comment": "seen"} and hand.clicks <= MOST
    done = actions.entries(running.state_database, PROJECT)[-1]
    assert (done.action, done.parameters["approve"], done.caller) == ("answer", approve, "this machine")
    page.locator("h1").click()
    expect(place).not_to_be_attached(timeout=WAIT)


@pytest.fixture
def succeeded(running: Settings) -> Iterator[str]:
    """A champion that has followed another one: a copy of it, whose number is returned."""
    project = Project.open(PROJECT, running)
    before = project.registry.require_champion()
    with httpx.Client(base_url=f"{running.mlflow_url}/api/2.0/mlflow", trust_env=False) as mlflow:
        version = {"name": PROJECT, "version": before.version}
        found = mlflow.get("/model-versions/get", params=version).json()["model_version"]
        copy = {key: found[key] for key in ("name", "source", "run_id", "tags")}
        copy["model_id"] = found["source"].rpartition("/")[2]
        number = mlflow.post("/model-versions/create", json=copy).json()["model_version"]["version"]
        project.registry.set_champion(number)
        yield number
        project.registry.point_alias("champion", before.version)
        mlflow.request("DELETE", "/model-versions/delete", json={"name": PROJECT, "version": number})


def test_a_champion_is_rolled_back(running: Settings, page: Page, succeeded: str):
    hand, before = Hand(), Project.open(PROJECT, running).registry.previous()
    assert before and before.version != succeeded
    expect(page.locator("#versions")).to_contain_text(f"version {succeeded}", timeout=WAIT)
    page.on("dialog", lambda dialog: dialog.accept())
    hand.click(page.get_by_role("button", name="Roll back"))
    expect(page.locator("#versions")).to_contain_text(f"version {before.version}", timeout=WAIT)
    expect(page.locator("#decisions")).to_contain_text(f"rollback {before.version} after {succeeded}", timeout=WAIT)
    assert 1 + hand.clicks <= MOST  # and the answer to the question


def test_a_canary_is_switched_on_and_off(running: Settings, page: Page):
    hand, place = Hand(), page.locator("#canary")
    place.get_by_label("Share of the requests").fill("5")
    hand.click(place.get_by_role("button", name="On"))
    expect(place).to_contain_text("answers 5 % of the requests", timeout=WAIT)
    hand.click(place.get_by_role("button", name="Off"))
    expect(place).to_contain_text("champion at once", timeout=WAIT)
    assert outcomes(running) == ["canary", "canary"] and hand.clicks <= MOST


def test_a_browser_without_the_key_may_only_look(running: Settings, browser: Browser):
    page = browser.new_page()
    page.goto(f"{running.portal_url}/projects/{PROJECT}")
    page.get_by_role("button", name="Train").click()
    expect(page.get_by_role("alert")).to_contain_text("sign in", timeout=WAIT)
    page.get_by_role("link", name="sign in").click()
    page.get_by_label("Key").fill("not the key")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#signed")).to_contain_text("not the key", timeout=WAIT)
    page.get_by_label("Key").fill(running.prefect_key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{running.portal_url}/", timeout=WAIT)
    page.close()
