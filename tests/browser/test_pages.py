"""Every page a user opens, in a real browser, on the running stack: it works and asks no other machine."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import optuna
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from monitoring import pages, reports, workspace
from monitoring.replay import page as replay_page
from stack.core.pages import REPLAY
from stack.core.settings import Settings
from stack.ops import welcome
from stack.project import Project
from stack.registry import artifacts
from stack.specification import example
from stack.specification import specs as projects
from stack.training import sweep_page
from stack.training.evaluation import Scorer
from tests.browser.chromium import DESKTOP, EXECUTABLE, PHONE, Seen, assert_sound, look
from tests.monitoring.replay.test_page import ten_weeks
from tests.polling import PATIENCE_SECONDS
from tests.stacks import prefect_api

pytestmark = [
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
PROJECT = "flights"
SWEEP = "sweep-20130301T000000Z.html"
# What the tools' own pages ask for in vain on their own server, whoever runs them.
HARMLESS = ("/ajax-api/2.0/mlflow/users/current", "/ico/undefined.svg")

VIOLATIONS = {"resultTypes": ["violations"]}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""The rules that look at colours."""


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module", autouse=True)
def drawn_pages(running: Settings) -> Iterator[None]:
    """What a sweep and a replay would have left, drawn as they draw it."""
    spec = projects.load(PROJECT)
    compared = sweep_page.render(
        f"sweep of {PROJECT}", study(), Scorer.of(spec), "training:\n  initial_params:\n    linear: {C: 0.1}"
    )
    replay, sweep = replay_page.save(running, ten_weeks(spec)), running.pages / PROJECT / SWEEP
    sweep.write_text(compared)
    yield
    for page in (replay, sweep):
        page.unlink()


@pytest.fixture(scope="module", autouse=True)
def drawn_report(running: Settings) -> Iterator[None]:
    """A report of rows that are new to the champion; that of the first pipeline has none."""
    project, name = Project(running, projects.load(PROJECT)), "20130302T000000Z"
    rows = artifacts.reference(running, project.registry.require_champion()).head(1000)
    at = project.clock.now() + timedelta(days=1)
    reports.run(project, rows, rows, at=at, name=name, created_at=datetime.now(UTC))
    yield
    workspace.remove(project, name)
    pages.remove(running, PROJECT, name)


def study() -> optuna.Study:
    """Trials of two candidates, as a sweep draws them."""

    def loss(trial: optuna.Trial) -> float:
        bonus = 0.02 * (trial.suggest_categorical("features", ["all", "weather"]) == "weather")
        if trial.suggest_categorical("candidate", ["linear", "gradient_boosting"]) == "linear":
            return 0.52 + bonus + 0.01 * abs(trial.suggest_float("linear.C", 0.01, 10, log=True) - 0.1)
        rate = trial.suggest_float("gradient_boosting.learning_rate", 0.01, 0.3, log=True)
        return 0.5 + bonus + abs(rate - 0.06) + 0.001 * trial.suggest_int("gradient_boosting.max_leaf_nodes", 7, 63)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trials.optimize(loss, n_trials=24)
    return trials


def report(running: Settings) -> dict[str, Any]:
    """The summary of the last drift report."""
    newest = max((running.pages / PROJECT).glob("*.json"))
    return json.loads(newest.read_text())


def portal(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/", "champion"


def every_report(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/reports/", "replayed period"


def report_list(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/reports/{PROJECT}/", "Drift reports"


def catalog(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/catalog/{PROJECT}", "training set"


def drift_report(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/reports/{PROJECT}/{report(running)['path']}", "Missing values"


def sweep(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/reports/{PROJECT}/{SWEEP}", "every trial is a line"


def year(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/reports/{PROJECT}/{REPLAY}", "Log-loss by week"


def every_data_docs(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/docs/", "What every batch is expected to be"


def data_docs(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/docs/{PROJECT}/index.html", "Data Docs"


def feature_server(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/features/", "Get Online Features"


def evidently_dashboard(running: Settings) -> tuple[str, str]:
    return running.monitoring_url + report(running)["dashboard"].split("/reports/")[0], "Share of drifted features"


def evidently_report(running: Settings) -> tuple[str, str]:
    return running.monitoring_url + report(running)["dashboard"], "Missing values"


def prefect_run(running: Settings) -> tuple[str, str]:
    body = {"limit": 1, "sort": "END_TIME_DESC"}
    (last,) = prefect_api(running).post("/flow_runs/filter", json=body).json()
    return f"{running.prefect_url}/runs/flow-run/{last['id']}", last["name"]


def mlflow_runs(running: Settings) -> tuple[str, str]:
    return f"{running.mlflow_url}/#/experiments", PROJECT


def mlflow_champion(running: Settings) -> tuple[str, str]:
    version = Project(running, projects.load(PROJECT)).registry.require_champion().version
    return f"{running.mlflow_url}/#/models/{PROJECT}/versions/{version}", f"Version {version}"


def prediction_docs(running: Settings) -> tuple[str, str]:
    return f"{running.prediction_url}/", f"/{PROJECT}/predict"


def project(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/projects/{PROJECT}", "Over time"


def versions(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/projects/{PROJECT}/versions", "Measured on held-out rows"


def project_file(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/projects/{PROJECT}/settings", "Settings of"


def audit(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/audit?project={PROJECT}", "What was done in the browser"


def settings(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/settings", "Other machines"


def documents(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/help/", "Running the stack"


def document(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/help/operations", "What listens where"


def found_sections(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/help/?q=backup", "Backup and restore"


def week(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/metrics/week", "The last week"


def prediction_log(running: Settings) -> tuple[str, str]:
    asked(running)
    return f"{running.portal_url}/projects/{PROJECT}/predictions", "One by one"


def a_prediction(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/projects/{PROJECT}/predictions/{asked(running)}", "origin_stats"


def raw_rows(running: Settings) -> tuple[str, str]:
    return f"{running.portal_url}/projects/{PROJECT}/predictions/{asked(running)}/rows", "flights with"


def asked(running: Settings) -> str:
    """Return the id of a prediction that is in the log."""
    body = json.loads(example.body(projects.load(PROJECT)))
    body["rows"][0]["prediction_id"] = str(UUID(int=1))
    url, headers = f"{running.prediction_url}/{PROJECT}/predict", running.prediction_headers
    httpx.post(url, json=body, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False).raise_for_status()
    return str(body["rows"][0]["prediction_id"])


OURS = (
    portal,
    project,
    project_file,
    audit,
    settings,
    versions,
    every_report,
    report_list,
    catalog,
    prediction_log,
    a_prediction,
    raw_rows,
    every_data_docs,
    documents,
    document,
    found_sections,
    week,
)
PAGES = (
    *OURS,
    drift_report,
    sweep,
    year,
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
def test_the_page_works_and_asks_no_other_machine(
    running: Settings, browser: Browser, shots: Path, page: Callable[[Settings], tuple[str, str]]
):
    url, shows = page(running)
    sign_in = welcome.sign_in(running) if url.startswith(running.prefect_url) else ""

    seen = look(browser, url, shows=shows, sign_in=sign_in, screenshot=shots / f"{page.__name__}.png")

    assert_sound(_without_harmless(seen))


def test_prefect_does_not_offer_pages_that_load_from_the_internet(running: Settings, browser: Browser):
    url, sign_in = f"{running.prefect_url}/dashboard", welcome.sign_in(running)

    seen = look(browser, url, shows="Flow Runs", sign_in=sign_in)

    assert "V2 UI available" not in seen.text


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.__name__)
def test_the_page_fits_a_phone(
    running: Settings, browser: Browser, shots: Path, page: Callable[[Settings], tuple[str, str]]
):
    url, shows = page(running)

    seen = look(browser, url, shows=shows, size=PHONE, screenshot=shots / f"{page.__name__}-phone.png", settle=0)

    assert_sound(seen)
    assert seen.width <= PHONE[0]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_pages_are_accessible(running: Settings, browser: Browser, size: tuple[int, int]):
    """In both colour schemes, which an open page follows and which differ in colours alone."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page, found = context.new_page(), []
    for of in OURS:
        url, shows = of(running)
        page.goto(url)
        expect(page.locator("body")).to_contain_text(shows, timeout=PATIENCE_SECONDS * 1000)
        for scheme, rules in (("dark", COLOURS), ("light", {})):
            page.emulate_media(color_scheme=scheme)
            for violation in Axe().run(page, options=VIOLATIONS | rules).response["violations"]:
                found.append((of.__name__, scheme, violation["id"], violation["nodes"][0]["html"][:200]))
    context.close()
    assert found == []


def test_the_home_page_shows_the_stack_up(running: Settings, browser: Browser, shots: Path):
    name = shots / "portal-dark.png"

    seen = look(browser, f"{running.portal_url}/", shows="champion", dark=True, screenshot=name, settle=3)

    assert_sound(seen)
    assert "nothing answers" not in seen.text
    assert f"curl http://{running.host}:{running.prediction_port}/{PROJECT}/predict" in seen.text


def _without_harmless(seen: Seen) -> Seen:
    errors = [error for error in seen.errors if not any(path in error for path in HARMLESS)]
    return Seen(seen.text, seen.outside, errors)
