"""From a table to a live answer without a terminal."""

import csv
import random
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from stack.core.settings import Settings
from stack.ops import welcome
from tests.browser.chromium import EXECUTABLE, chromium

pytestmark = [
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
MINUTES = 60_000


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def table(path: Path) -> Path:
    """Write visits of two shops, and whether something was bought."""
    chance = random.Random(5)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["day", "shop", "minutes", "bought"])
        for number in range(600):
            minutes = chance.randint(1, 40)
            bought = chance.random() < minutes / 45
            rows.writerow([date(2024, 1, 1) + timedelta(days=number // 3), "NS"[number % 2], minutes, bought])
    return path


@pytest.fixture
def name(running: Settings) -> Iterator[str]:
    """The name of a project that is gone afterwards."""
    name = "new_visits"
    try:
        yield name
    finally:
        shutil.rmtree(running.projects / name, ignore_errors=True)


def test_a_table_becomes_a_live_answer(running: Settings, browser: Browser, tmp_path: Path, name: str):
    page = browser.new_page()
    page.set_default_timeout(8 * MINUTES)
    page.goto(welcome.home_page(running))
    page.get_by_role("link", name="New project").click()
    page.locator("input[type=file]").set_input_files(table(tmp_path / f"{name}.csv"))
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("heading", name="Is bought")).to_be_visible(timeout=MINUTES)
    page.get_by_role("button", name="Make it and run it").click()
    page.get_by_role("link", name="try it").click()
    page.get_by_role("button", name="Ask").first.click()
    expect(page.locator("main")).to_contain_text("Version 1", timeout=MINUTES)
    page.close()
