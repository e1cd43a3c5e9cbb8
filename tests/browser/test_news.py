"""Open pages are updated without being loaded again."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from stack.core.settings import Settings
from tests.browser.chromium import EXECUTABLE
from tests.polling import PATIENCE_SECONDS
from tests.services.portal.conftest import REPORT
from tests.stacks import Service

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
WAIT = PATIENCE_SECONDS * 1000


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


def report(own: Settings, project: str, day: int) -> None:
    """Write a report of a project of the stack."""
    folder, name = own.pages / project, f"201303{day}T000000Z"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.html").write_text("<h1>the report</h1>")
    changed = {"name": name, "path": f"{name}.html", "at": f"2013-03-{day}T00:00:00+00:00"}
    (folder / f"{name}.json").write_text(json.dumps(REPORT | changed))


def test_a_new_report_appears_on_the_pages_that_are_open(service: Service, page: Page):
    page.goto(f"{service.settings.portal_url}/projects/flights")
    page.evaluate("window.loaded = true")
    expect(page.locator("#past")).to_contain_text("No report yet", timeout=WAIT)
    report(service.settings, "flights", 15)
    expect(page.locator("#charts canvas").first).to_be_visible(timeout=WAIT)
    assert page.evaluate("window.loaded") is True

    page.goto(service.settings.portal_url)
    card, other = page.locator("#project-flights"), page.locator("#project-housing")
    expect(card).to_contain_text("2013-03-15", timeout=WAIT)
    card.locator("a").first.focus()
    report(service.settings, "flights", 16)
    report(service.settings, "housing", 16)
    expect(other).to_contain_text("2013-03-16", timeout=WAIT)
    expect(card).to_contain_text("2013-03-15")  # it has the focus
    page.evaluate("document.activeElement.blur()")
    expect(card).to_contain_text("2013-03-16", timeout=WAIT)


def test_a_page_says_that_the_portal_is_gone_until_it_is_back(service: Service, page: Page):
    page.goto(service.settings.portal_url)
    expect(page.locator("#status h1")).not_to_have_text("Looking …", timeout=WAIT)
    service.stop()
    expect(page.locator("body.stale")).to_be_attached(timeout=WAIT)
    service.start()
    expect(page.locator("body.stale")).not_to_be_attached(timeout=WAIT)
