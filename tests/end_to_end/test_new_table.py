"""From a table to a live answer without a terminal, and away again."""

import csv
import random
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from stack.core import database
from stack.core.settings import Settings
from stack.ops import welcome
from stack.registry import registry
from tests.browser.chromium import EXECUTABLE, chromium
from tests.stacks import prefect_api

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


def test_a_table_becomes_a_live_answer_and_its_project_is_removed(
    running: Settings, browser: Browser, tmp_path: Path, name: str
):
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

    page.goto(f"{running.portal_url}/projects/{name}/settings")
    page.get_by_text(f"Delete {name}, or begin anew").click()
    page.get_by_label("Its name, typed in").fill(name)
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#removed")).to_contain_text("nothing of it is left", timeout=4 * MINUTES)
    page.close()
    assert left(running, name) == []
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        httpx.get(f"{running.portal_url}/projects/{name}", trust_env=False).raise_for_status()
    deployments = {"deployments": {"name": {"any_": [name]}}}
    assert prefect_api(running).post("/deployments/filter", json=deployments).json() == []


def left(of: Settings, name: str) -> list[str]:
    """Return what the stack has of a project, but of git's history, logs and the audit."""
    files = [str(path) for path in of.home.rglob(f"*{name}*") if path.relative_to(of.home).parts[0] != "uploads"]
    with database.engine(of.state_database).connect() as connection:
        rows = [
            table.name
            for table in database.metadata.sorted_tables
            if table.name != "actions" and "project" in table.c
            if connection.execute(select(table).where(table.c.project == name)).first()
        ]
    reports = [str(file) for file in of.reports.glob("*/metadata.json") if f'"{name}"' in file.read_text()]
    models = [model for model in registry.aliases(of) if model == name]
    return [*files, *rows, *reports, *models]
