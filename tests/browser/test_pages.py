"""Every page a user opens, in a real browser, on the running stack: it works and asks nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from stack import project as projects
from stack.promotion import registry
from stack.settings import Settings
from tests.browser.chromium import DESKTOP, EXECUTABLE, PHONE, Seen, assert_sound, chromium, look

pytestmark = [
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
PROJECT = "flights"
# What the tools' own pages ask for in vain on their own server, whoever runs them.
HARMLESS = ("/ajax-api/2.0/mlflow/users/current", "/ico/undefined.svg")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("screenshots")


def report(running: Settings) -> dict[str, Any]:
    """The summary of the last drift report."""
    newest = max((running.pages / PROJECT).glob("*.json"))
    return json.loads(newest.read_text())


def portal(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/", "champion"


def report_list(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/reports/{PROJECT}/", "Drift reports"


def catalog(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/catalog/{PROJECT}", "training set"


def drift_report(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/reports/{PROJECT}/{report(running)['path']}", "Calibration bias"


def data_docs(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/docs/{PROJECT}/index.html", "Data Docs"


def feature_server(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/features/", "Get Online Features"


def evidently_dashboard(running: Settings) -> tuple[str, str]:
    return running.monitoring_url + report(running)["dashboard"].split("/reports/")[0], "Share of drifted features"


def evidently_report(running: Settings) -> tuple[str, str]:
    return running.monitoring_url + report(running)["dashboard"], "Calibration bias"


def prefect_run(running: Settings) -> tuple[str, str]:
    body = {"limit": 1, "sort": "END_TIME_DESC"}
    (last,) = httpx.post(f"{running.prefect_url}/api/flow_runs/filter", json=body, trust_env=False).json()
    return f"{running.prefect_url}/runs/flow-run/{last['id']}", last["name"]


def mlflow_runs(running: Settings) -> tuple[str, str]:
    return f"{running.mlflow_url}/#/experiments", PROJECT


def mlflow_champion(running: Settings) -> tuple[str, str]:
    version = registry.require_champion(running, projects.load(PROJECT)).version
    return f"{running.mlflow_url}/#/models/{PROJECT}/versions/{version}", f"Version {version}"


def prediction_docs(running: Settings) -> tuple[str, str]:
    return f"{running.prediction_url}/", f"/{PROJECT}/predict"


PAGES = (
    portal,
    report_list,
    catalog,
    drift_report,
    data_docs,
    feature_server,
    evidently_dashboard,
    evidently_report,
    prefect_run,
    mlflow_runs,
    mlflow_champion,
    prediction_docs,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_the_page_works_and_asks_nobody_else(
    running: Settings, browser: Browser, shots: Path, page: Callable[[Settings], tuple[str, str]]
):
    url, shows = page(running)

    seen = look(browser, url, shows=shows, screenshot=shots / f"{page.__name__}.png")

    assert_sound(_without_harmless(seen))


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, True), (PHONE, False)], ids=["dark", "phone"])
def test_the_home_page_shows_the_stack_up(running: Settings, browser: Browser, shots: Path, size, dark):
    name = shots / f"portal-{'dark' if dark else 'phone'}.png"

    seen = look(browser, f"{running.portal_url}/", shows="champion", size=size, dark=dark, screenshot=name, settle=3)

    assert_sound(seen)
    assert "nothing answers" not in seen.text
    assert f"curl http://{running.host}:{running.prediction_port}/{PROJECT}/predict" in seen.text


def _without_harmless(seen: Seen) -> Seen:
    errors = [error for error in seen.errors if not any(path in error for path in HARMLESS)]
    return Seen(seen.text, seen.outside, errors)
