"""``python -m bench.pages``: when pages of the portal are usable in Chromium, beside a training.

The home page with 20 projects, and the page of a project with a year of reports and 300,000 predictions. A page is
usable when its elements are there and its scripts have run (the navigation's ``domContentLoadedEventEnd``).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

import httpx
from playwright.sync_api import Browser

from bench import projects
from bench.projects import FIRST, Checkout
from bench.table import Row, ratio
from monitoring import pages
from stack.core.database import engine, predictions
from stack.specification.request import MAX_ROWS
from tests.browser.chromium import chromium

PROJECTS, REPORTS, PREDICTIONS, YEAR = 20, 52, 300_000, 365 * 86_400
LOADS = 9
HOME, PROJECT = 300.0, 600.0
"""Milliseconds."""
TRAINING = """
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
random = np.random.default_rng(5)
X = random.normal(size=(100_000, 12))
while True:
    HistGradientBoostingClassifier().fit(X, X[:, 0] + random.normal(size=len(X)) > 0)
"""


class Times(NamedTuple):
    """Medians of one page, in milliseconds from the start of the navigation."""

    usable: float
    first_byte: float


def compare(one: Checkout) -> list[Row]:
    """Open the pages of a stack with one project, and then of one with many and with much to show."""
    with chromium() as browser:
        home, project = (times(one, browser, path) for path in ("/", f"/projects/{FIRST}"))
        for number in range(1, PROJECTS):
            one.copy_project(f"many{number}")
        one.run("up")
        fill(one)
        with training():
            many, full = (times(one, browser, path) for path in ("/", f"/projects/{FIRST}"))
    what = f"{REPORTS} reports and {PREDICTIONS:,} predictions"
    return [
        _row(f"home page with {PROJECTS} projects, beside a training", many, home, HOME),
        _row(f"page of a project with {what}, beside a training", full, project, PROJECT),
    ]


def _row(what: str, found: Times, alone: Times, bar: float) -> Row:
    return Row(
        f"usable: {what}",
        f"{found.usable:.0f} ms, first byte {found.first_byte:.0f} ms",
        f"{alone.usable:.0f} ms of a new one, nothing beside",
        ratio(found.usable, alone.usable),
        f"<= {bar:.0f} ms",
        found.usable <= bar,
    )


def times(one: Checkout, browser: Browser, path: str) -> Times:
    """Open a page again and again, each time in a new tab."""
    entries: list[dict[str, Any]] = []
    for _ in range(LOADS):
        page = browser.new_page()
        page.goto(f"{one.settings.portal_url}{path}", wait_until="load")
        entries.append(page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()"))
        page.close()
    return Times(*(median(entry[key] for entry in entries) for key in ("domContentLoadedEventEnd", "responseStart")))


def fill(one: Checkout) -> None:
    """Give the first project a year of weekly reports, and as many predictions at random instants of the year."""
    folder = pages.folder(one.settings, FIRST)
    summary = json.loads(max(folder.glob("*.json")).read_text())
    at = datetime.fromisoformat(summary["at"])
    for week in range(1, REPORTS):
        then = at - timedelta(weeks=week)
        pages.save(one.settings, summary | {"name": f"{then:%Y%m%dT%H%M%SZ}", "at": then.isoformat()}, None)
    body = {"rows": [{f"x{number}": row / MAX_ROWS for number in range(6)} for row in range(MAX_ROWS)]}
    url = f"{one.settings.prediction_url}/{FIRST}/predict"
    httpx.post(url, json=body, timeout=60, trust_env=False).raise_for_status()
    moved = "strftime('%Y-%m-%d %H:%M:%f000', {}, '-' || ago || ' seconds')"
    names = [*predictions.c.keys()]
    values = dict(zip(names, names, strict=True))
    values |= {"id": "lower(hex(randomblob(16)))"} | {name: moved.format(name) for name in ("asked_at", "answered_at")}
    some = f"select *, abs(random() % {YEAR}) as ago from predictions where project = ? limit ?"
    copy = f"insert into predictions ({', '.join(values)}) with drawn as materialized ({some})"
    copy += f" select {', '.join(values.values())} from drawn"
    with engine(one.settings.state_database).begin() as connection:
        for _ in range(PREDICTIONS // MAX_ROWS - 1):
            connection.exec_driver_sql(copy, (FIRST, MAX_ROWS))


@contextmanager
def training() -> Iterator[None]:
    """Fit on one core meanwhile, in a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", TRAINING], env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(projects.alone(compare))
