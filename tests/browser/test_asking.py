"""A person tries the live model in a browser, asks what if, and says what was true with the keyboard."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from stack.access import actions
from stack.core.settings import Settings
from tests.browser.chromium import EXECUTABLE, PHONE, assert_sound, look, signed_in

pytestmark = [
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]


@pytest.fixture
def page(running: Settings, browser: Browser) -> Iterator[Page]:
    """A page of a browser that has followed the link with the key."""
    with signed_in(browser, running) as opened:
        yield opened


def ask(page: Page, running: Settings) -> str:
    """Ask with the form as it is; return the id of the answer."""
    page.goto(f"{running.portal_url}/projects/flights/try")
    page.get_by_role("button", name="Ask").click()
    asked = page.locator("#answer [data-asked]")
    expect(asked).to_be_visible()
    return asked.get_attribute("data-asked") or ""


def test_a_model_is_tried_and_its_answers_are_labelled_by_keyboard(running: Settings, page: Page):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    first = ask(page, running)
    expect(page.locator("#answer .bars").last.locator("tr")).to_have_count(10)
    before = page.locator(".said").inner_text()
    page.get_by_label("sched_dep").fill("2013-03-01T20:00:00-05:00")
    expect(page.locator(".said")).not_to_have_text(before)
    expect(page.locator("#answer [data-asked]")).to_have_attribute("data-asked", first)
    page.get_by_label("sched_dep").fill("noon")
    expect(page.get_by_label("sched_dep")).to_have_attribute("aria-invalid", "true")
    ask(page, running)

    page.goto(f"{running.portal_url}/projects/flights/labels")
    items = page.locator("#queue > li")
    expect(items.nth(1)).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("y")
    expect(items.nth(0)).to_contain_text("is yes")
    expect(items.nth(1)).to_be_focused()
    page.keyboard.press("n")
    expect(items.nth(1)).to_contain_text("is no")
    page.keyboard.press("u")
    expect(items.nth(1)).to_contain_text("has no label again")
    expect(page.locator("#queue > .labelled")).to_have_count(1)
    given = [entry.action for entry in actions.entries(running.state_database, "flights") if entry.parameters]
    assert given[-3:] == ["label", "label", "undo label"]
    assert errors == []


@pytest.mark.parametrize("path", ["try", "labels"])
@pytest.mark.parametrize("dark", [False, True])
def test_the_pages_fit_a_phone_and_ask_no_other_machine(running: Settings, browser: Browser, path: str, dark: bool):
    url = f"{running.portal_url}/projects/flights/{path}"
    seen = look(browser, url, shows="flights", size=PHONE, dark=dark, settle=0)
    assert_sound(seen)
    assert seen.width <= PHONE[0]
