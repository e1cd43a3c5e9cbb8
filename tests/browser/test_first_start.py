"""The first start in the browser: the name, a test alarm, backups and a login, each kept."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from dotenv import dotenv_values
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from services import guard
from services.portal.app import build
from stack.access import actions
from stack.core import migrations, saved, settings
from stack.core.settings import Settings
from stack.ops import credentials
from tests.browser.chromium import EXECUTABLE, Hand, signed_in
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import own_environment

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
WAIT = PATIENCE_SECONDS * 1000
MOST = 6
"""Clicks that a job may take, beside typing."""


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A portal that keeps settings in a file of the test's own."""
    monkeypatch.setattr(credentials, "FILE", tmp_path / ".env")
    credentials.FILE.touch()
    own = settings.load(own_environment(tmp_path / "var"), credentials.FILE)
    migrations.upgrade(own.state_database)
    server = guard.server(build(own), own, "portal", own_metrics=True)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    yield own
    server.should_exit = True
    server.force_exit = True
    thread.join()


@pytest.fixture
def page(stack: Settings, browser: Browser) -> Iterator[Page]:
    """A browser that has followed the link of `make up`."""
    with signed_in(browser, stack) as opened:
        yield opened


def test_a_new_machine_gets_a_name_and_places_for_alarms_and_backups(
    stack: Settings,
    page: Page,
    receiver: tuple[str, list[object]],
    tmp_path: Path,
):
    (address, came), hand, folder = receiver, Hand(), tmp_path / "disk" / "backups"
    hand.click(page.get_by_role("link", name="Set it up"))
    page.get_by_label("Its name", exact=True).fill("Attic")
    hand.click(page.locator("form[hx-post='/settings/name'] button"))
    expect(page.locator("#named .done")).to_be_visible()
    expect(page.get_by_role("link", name="Attic")).to_be_visible()  # the head, without a reload
    page.get_by_label("Address", exact=True).fill(address)
    hand.click(page.get_by_role("button", name="Test", exact=True))
    expect(page.locator("#alarmed .done")).to_contain_text("sent", timeout=WAIT)
    hand.click(page.locator("form[hx-post='/settings/alarms'] button.primary"))
    expect(page.locator("#alarmed .done")).to_contain_text("alarms go to 1 address")
    page.get_by_label("Folder, best on another disk").fill(str(folder))
    hand.click(page.locator("form[hx-post='/settings/backups'] button"))
    expect(page.locator("#backed .done")).to_be_visible()
    expect(page.locator("#alarms")).to_contain_text("They go to json://…")
    pending = page.get_by_role("region", name="Not in force yet")
    expect(pending).to_contain_text("after a restart: where backups go.")

    assert len(came) == 1 and hand.clicks <= MOST
    assert saved.read(stack.home) == {"title": "Attic", "alert_urls": address}
    assert dotenv_values(credentials.FILE) == {"STACK_BACKUP_FOLDER": str(folder)} and folder.is_dir()
    done = {entry.action for entry in actions.entries(stack.state_database)}
    assert done == {"name the stack", "try alarms", "save alarms", "save backups"}


def test_the_login_for_other_machines_is_shown_once(stack: Settings, page: Page, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stack.ops.compose_file.shutil.which", lambda _: "/usr/bin/caddy")
    hand = Hand()
    hand.click(page.get_by_role("link", name="Set it up"))
    hand.click(page.get_by_role("button", name="Open it to my network"))
    expect(page.locator("#gateway")).to_contain_text("password")
    assert hand.clicks <= MOST and dotenv_values(credentials.FILE)["STACK_LAN_PASSWORD_HASH"]
    page.reload()
    expect(page.get_by_role("button", name="New password")).to_be_visible()
    assert "password " not in page.locator("#gateway").inner_text()


def test_a_button_pressed_before_the_scripts_are_there_acts_once_they_are(stack: Settings, page: Page):
    held: list[Route] = []
    page.route("**/static/portal.js", lambda route: held.append(route))
    with page.expect_request("**/static/portal.js"):
        page.goto(f"{stack.portal_url}/settings", wait_until="commit")
    page.get_by_label("Its name", exact=True).fill("Attic")
    page.locator("form[hx-post='/settings/name'] button").click()
    held[0].continue_()
    expect(page.locator("#named .done")).to_be_visible()
    assert page.url == f"{stack.portal_url}/settings"
    assert saved.read(stack.home) == {"title": "Attic"}


def test_what_is_saved_while_the_page_is_updated_is_shown_too(stack: Settings, page: Page, tmp_path: Path):
    page.goto(f"{stack.portal_url}/settings")
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if held or route.request.method != "GET":
            route.fallback()
        else:
            held.append((route, route.fetch()))

    page.route("**/settings", hold)
    with page.expect_request(lambda request: request.method == "GET" and request.url.endswith("/settings")):
        page.locator("form[hx-post='/settings/name'] button").click()
    eventually(lambda: page.title() and held)
    page.get_by_label("Folder, best on another disk").fill(str(tmp_path / "backups"))
    page.locator("form[hx-post='/settings/backups'] button").click()
    expect(page.locator("#backed .done")).to_be_visible()
    route, before = held[0]
    route.fulfill(response=before)
    expect(page.get_by_role("region", name="Not in force yet")).to_contain_text("after a restart: where backups go.")
