"""A page of another site, and one under a name that it has pointed at this machine, reach no service of the stack."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from stack.core.settings import Settings
from stack.ops import compose_file
from tests.browser.chromium import EXECUTABLE, chromium
from tests.polling import PATIENCE_SECONDS, eventually

pytestmark = [
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}"),
]
NAME = "evil.example"
METHODS = ("POST", "PUT", "PATCH", "DELETE")
SEND = """
async ([url, method, mode, type]) => {
  try {
    const answer = await fetch(url, {method, mode, headers: {"Content-Type": type}, body: "{}"});
    return answer.type === "opaque" ? "opaque" : String(answer.status);
  } catch (error) {
    return "blocked";
  }
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium for which the foreign name is this machine, and which leaves the defence to the services."""
    rules = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    with chromium(rules, "--disable-features=LocalNetworkAccessChecks") as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a foreign site."""
    folder = tmp_path_factory.mktemp("site")
    # An icon in the page itself: the browser asks for none, whose answer would count among those of the services.
    (folder / "index.html").write_text('<!doctype html><title>foreign</title><link rel="icon" href="data:,">')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{NAME}:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    yield context.new_page()
    context.close()


def paths(running: Settings) -> dict[str, list[str]]:
    """For each service that publishes a port, paths that change something."""
    changing = {
        "prefect": ["/api/flows/", "/api/deployments/", "/api/work_pools/"],
        "features": ["/write-to-online-store", "/push", "/materialize"],
        "monitoring": ["/api/projects"],
        "prediction": ["/flights/predict", "/flights/feedback"],
        "portal": ["/projects/flights/try", "/projects/flights/labels", "/settings/alarms", "/settings/restore"],
        "mlflow": ["/api/2.0/mlflow/experiments/create"],
    }
    published = [service.name for service in compose_file.services(running) if service.ports]
    return {name: ["/", *changing.get(name, [])] for name in published}


def test_a_page_of_another_site_changes_nothing(running: Settings, page: Page, site: str) -> None:
    page.goto(site)
    # Pages and Playwright see nothing of an answer with Cross-Origin-Resource-Policy; Chromium's own protocol does.
    statuses: list[int] = []
    network = page.context.new_cdp_session(page)
    network.on("Network.responseReceivedExtraInfo", lambda event: statuses.append(event["statusCode"]))
    network.send("Network.enable")
    outcomes: dict[str, Any] = {}
    for service, targets in paths(running).items():
        for path in targets:
            url = running.address(service) + path
            for method in METHODS:
                outcomes[f"{method} {url} json"] = page.evaluate(SEND, [url, method, "cors", "application/json"])
            for content_type in ("text/plain", "application/x-www-form-urlencoded"):
                sent = page.evaluate(SEND, [url, "POST", "no-cors", content_type])
                outcomes[f"POST {url} {content_type}"] = sent
    assert set(outcomes.values()) <= {"blocked", "opaque"}, json.dumps(outcomes, indent=1)
    # Each request, or its preflight, has reached its service; the events of the last come a moment after its outcome.
    eventually(lambda: page.evaluate("true") and len(statuses) >= len(outcomes))
    assert set(statuses) == {403}


def test_a_rebound_name_is_not_answered(running: Settings, page: Page) -> None:
    for service, targets in paths(running).items():
        url = running.address(service).replace(running.host, NAME)
        opened = page.goto(f"{url}/")
        assert opened is not None and opened.status == 403, service
        for path in targets:
            for method in METHODS:
                assert page.evaluate(SEND, [url + path, method, "cors", "application/json"]) == "403", (service, path)
