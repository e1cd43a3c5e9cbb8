"""What a person does to a project in the browser: each is started, followed and recorded, and takes a few clicks."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from stack.access import actions
from stack.core.settings import Settings
from stack.ops import welcome
from stack.ops.project_runs import ProjectRuns
from stack.ops.runs import Runs
from tests.browser.chromium import EXECUTABLE, chromium
from tests.polling import PATIENCE_SECONDS, eventually

pytestmark = [
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
PROJECT = "flights"
WAIT = PATIENCE_SECONDS * 1000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


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
