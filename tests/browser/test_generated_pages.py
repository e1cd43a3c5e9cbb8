"""Pages that tools make of what anybody may have sent: no value becomes a script, and no script reaches the portal."""

import threading
from collections.abc import Iterator

import evidently
import great_expectations.expectations as gxe
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from monitoring import pages
from monitoring.replay import page as replay_page
from services import guard
from services.portal.app import build
from stack.core.settings import Settings
from stack.specification import specs
from stack.training import sweep_page
from stack.training.evaluation import Scorer
from stack.validation import _compat as great_expectations
from stack.validation import data_docs
from tests.browser.chromium import EXECUTABLE
from tests.browser.test_pages import study
from tests.monitoring.replay.test_page import ten_weeks
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import free_ports

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
EVIL = "</script><body><img src=x onerror='window.taken = 1'><script>window.taken = 1</script>"
AT = "2013-03-15T00:00:00+00:00"
SUMMARY = {
    "project": "flights",
    "name": "r",
    "since": AT,
    "at": AT,
    "verdict": {"action": "none", "decided": True, "summary": EVIL, "reasons": [{"text": EVIL}]},
}
RECORD = {"project": "flights", "batch": "b", "since": AT, "until": AT, "accepted": True, "failures": [EVIL]}
RECORD |= {"warnings": [EVIL], "rows": {"t": 1}, "quarantined": {}, "page": "flights/validations/b.html"}
SCRIPT = (
    "<script>try { document.title = localStorage.getItem('stack-key') } catch { document.title = 'denied' }</script>"
)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A portal with generated pages, none of whose services runs."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), portal_port=free_ports(1)[0])
    values = [EVIL, "EWR", "JFK"] * 100
    rows = pd.DataFrame({"origin": values, EVIL: values})
    data = evidently.Dataset.from_pandas(
        rows, data_definition=evidently.DataDefinition(categorical_columns=[*rows.columns])
    )
    snapshot = evidently.Report([evidently.presets.DataDriftPreset()]).run(data, data)
    pages.save(settings, SUMMARY, snapshot.get_html_str(as_iframe=False))
    checks = [gxe.ExpectColumnValuesToBeInSet(column=column, value_set=["EWR"]) for column in rows]
    results = great_expectations.validate({"t": rows}, {"t": checks})
    data_docs.publish(settings.data_docs, results, RECORD)
    spec = specs.load("flights")
    replay_page.save(settings, ten_weeks(spec))
    folder = settings.pages / "flights"
    (folder / "sweep.html").write_text(sweep_page.render(EVIL, study(), Scorer.of(spec), EVIL))
    (folder / "old.html").write_text(SCRIPT)
    running = guard.server(build(settings), settings, "portal")
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    eventually(lambda: running.started)
    yield settings
    running.should_exit = True
    thread.join(PATIENCE_SECONDS)


@pytest.fixture
def page(browser: Browser, portal: Settings) -> Iterator[Page]:
    """A page of a browser that has the key."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    opened = context.new_page()
    opened.goto(f"{portal.address('portal')}/sign-in", wait_until="networkidle")
    opened.evaluate("localStorage.setItem('stack-key', 'the-key')")
    yield opened
    context.close()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("reports/flights/r.html", "Drift is detected"),
        ("docs/flights/validations/b.html", "must belong"),
        ("docs/flights/", "b"),
        ("reports/flights/sweep.html", "Candidates and feature sets"),
    ],
)
def test_a_value_becomes_no_script_and_the_page_is_whole(page: Page, portal: Settings, path: str, shown: str) -> None:
    errors: list[str] = []
    page.on(
        "console",
        lambda message: errors.append(f"{message.text} {message.location['url']}") if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(request.url))
    page.goto(f"{portal.address('portal')}/{path}", wait_until="networkidle")
    expect(page.get_by_text(shown).first).to_be_visible()
    assert page.get_by_text("onerror").count() > 0
    assert page.evaluate("window.taken") is None and page.locator("img[src=x]").count() == 0
    assert errors == []


def test_a_replay_is_drawn(page: Page, portal: Settings) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{portal.address('portal')}/reports/flights/year.html", wait_until="networkidle")
    assert page.locator("svg").count() > 0 and errors == []


def test_a_script_in_a_generated_page_does_not_reach_the_key(page: Page, portal: Settings) -> None:
    page.goto(f"{portal.address('portal')}/reports/flights/old.html")
    assert page.title() == "denied"
    page.goto(f"{portal.address('portal')}/reports/")
    assert page.evaluate("localStorage.getItem('stack-key')") == "the-key"


def test_a_link_with_a_wrong_key_changes_nothing(page: Page, portal: Settings) -> None:
    with page.expect_response("**/sign-in") as answered:
        page.goto(f"{portal.address('portal')}/help/#key=another")
    assert answered.value.status == 401
    assert page.evaluate("localStorage.getItem('stack-key')") == "the-key" and page.url.endswith("/help/")
