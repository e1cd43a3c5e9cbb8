"""Alarms and backups in the browser: a test alarm arrives, and a restore asks, and refuses what is not whole."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from stack.access import actions
from stack.ops import versions
from tests.browser.chromium import EXECUTABLE, Hand, signed_in
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
def page(service: Service, browser: Browser) -> Iterator[Page]:
    """A browser that has followed the link of `make up`."""
    with signed_in(browser, service.settings) as opened:
        yield opened


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
