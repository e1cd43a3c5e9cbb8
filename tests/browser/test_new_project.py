"""A person corrects what was understood of a table while the page is still thinking, and while the project is made."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.chromium import EXECUTABLE, signed_in
from tests.polling import eventually
from tests.stacks import Service

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
TABLE = "size,price,sold\n" + "".join(f"{row % 7},{row % 11 + row % 7},{row % 5}\n" for row in range(60))


def test_a_project_is_made_of_what_is_shown_and_what_becomes_of_it_stays(
    service: Service, browser: Browser, tmp_path: Path
):
    (file := tmp_path / "shop.csv").write_text(TABLE)
    waiting: list[Route] = []
    with signed_in(browser, service.settings) as page:
        page.get_by_role("link", name="New project").click()
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_role("button", name="Look at it").click()
        make = page.get_by_role("button", name="Make it and run it")
        expect(make).to_be_enabled()
        page.route("**/new/look", lambda route: waiting.append(route))  # noqa: PLW0108  # no built-in
        page.route("**/new/make", lambda route: route.fulfill(body="<p>shop is being made</p>"))
        page.get_by_label("Predict").select_option("size")
        expect(make).to_be_disabled()
        eventually(lambda: page.evaluate("true") and waiting)  # a route is seen while the page is asked
        waiting.pop().continue_()
        expect(page.get_by_role("heading", name="How much is size?")).to_be_visible()
        make.click()
        page.get_by_label("Predict").select_option("price")
        eventually(lambda: page.evaluate("true") and waiting)
        waiting.pop().continue_()
        expect(page.get_by_role("heading", name="How much is price?")).to_be_visible()
        expect(page.get_by_text("shop is being made")).to_be_visible()
