"""Alarms and backups in the browser: a test alarm arrives, and a restore asks, and refuses what is not whole."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from stack.access import actions
from stack.ops import versions
from tests.browser.chromium import EXECUTABLE, Hand, chromium
from tests.polling import PATIENCE_SECONDS
from tests.stacks import Service

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
WAIT = PATIENCE_SECONDS * 1000
MOST = 6
"""Clicks that a job may take, beside typing."""
ARCHIVE = "stack-20260101T000000Z.tar.gz"


@pytest.fixture
def page(service: Service) -> Iterator[Page]:
    """A browser that has followed the link of `make up`."""
    with chromium() as browser:
        opened = browser.new_page()
        opened.set_default_timeout(WAIT)
        opened.goto(f"{service.settings.portal_url}/#key={service.settings.prefect_key}")
        yield opened


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """An address that alarms can go to, and what has come there."""
    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            came.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}", came
        server.shutdown()


def test_a_test_alarm_arrives(service: Service, page: Page, receiver: tuple[str, list[Any]]):
    address, came = receiver
    hand = Hand()
    hand.click(page.get_by_role("link", name="Settings", exact=True))
    page.get_by_label("Address", exact=True).fill(address)
    hand.click(page.get_by_role("button", name="Test", exact=True))
    expect(page.locator("#alarmed .done")).to_be_visible(timeout=WAIT)
    assert len(came) == 1 and hand.clicks <= MOST


def test_a_restore_wants_the_name_typed_in_and_an_archive_that_is_whole(service: Service, page: Page):
    folder, hand = service.settings.backup_folder, Hand()
    versions.write(service.settings)  # as a stack has that was started
    folder.mkdir()
    (folder / ARCHIVE).write_bytes(b"cut off")
    hand.click(page.get_by_role("link", name="Settings", exact=True))
    hand.click(page.get_by_text("Restore", exact=True).first)
    typed, restore = page.get_by_label("Its name once more"), page.get_by_role("button", name="Restore", exact=True)
    typed.fill("another")
    hand.click(restore)
    expect(page.locator("#restored .problem")).to_contain_text("the name typed in", timeout=WAIT)
    typed.fill(ARCHIVE)
    hand.click(restore)
    expect(page.locator("#restored")).to_contain_text("nothing has been changed", timeout=WAIT)
    assert hand.clicks <= MOST
    outcomes = [entry.outcome for entry in actions.entries(service.settings.state_database)]
    assert [outcome.split(":")[0] for outcome in outcomes] == ["failed", f"restore of {ARCHIVE}", "failed"]
