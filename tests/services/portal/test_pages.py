import ast
import json
import shlex
import socket
import subprocess
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from time import monotonic

import pytest
from sqlalchemy import insert
from starlette.testclient import TestClient

from services.portal import portal as portal_module
from services.portal.links import Origin, outside
from stack.core import migrations
from stack.core.database import decisions, engine
from stack.core.settings import Settings
from stack.registry import registry
from stack.specification import example
from tests.polling import PATIENCE_SECONDS, eventually

AT = datetime(2013, 3, 15, tzinfo=UTC)


def settled(client: TestClient, shows: str) -> str:
    """The home page, once it shows a text."""
    return eventually(lambda: shows in (page := client.get("/").text) and page)


def test_with_every_service_down_the_page_says_so(home, portal):
    client = portal(home)
    settled(client, f"nothing answers on port {home.mlflow_port}")
    page = settled(client, "champion:")

    assert page.count('class="tool down"') == 6
    assert "no batch has been checked yet" in page


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({}, "The first backup is made"),
        (
            {"at": "2026-11-29T07:00:00Z", "file": "<b>", "verified_at": "2026-11-28T07:00:00Z"},
            'title="&lt;b&gt;">2026-11-29 07:00 UTC</span>\n· last restore that was tried and compared: 2026-11-28',
        ),
        ({"at": "2026-11-29T07:00:00Z", "problem": "full"}, "2026-11-29 07:00 UTC</span>, since then it fails"),
        ({"problem": "full"}, ">none</span>, since then it fails"),
        ({"at": "2026-11-29T07:00:00Z", "verify_problem": "rot"}, "compared: none, since then it fails"),
    ],
)
def test_last_backup_and_the_last_restore_that_was_tried_are_shown(home, portal, known, shown):
    home.run.mkdir(parents=True, exist_ok=True)
    (home.run / "backup.json").write_text(json.dumps({"since": "2026-11-01T00:00:00Z"} | known))

    assert shown in portal(home).get("/").text


def test_the_data_sets_of_a_project_are_listed_with_their_picture(reported, portal):
    migrations.upgrade(reported.state_database)  # the catalog is read in another process
    client = portal(reported)
    page = eventually(lambda: "<svg" in (text := client.get("/catalog/flights").text) and text)
    assert page.count('class="box"') >= 4 and "2 batches" in page and "<svg" in page
    kinds = [data_set["kind"] for data_set in client.get("/catalog/flights.json").json()]
    assert kinds[0] == "raw table" and kinds[-1] == "reports"
    assert client.get("/catalog/fligths").status_code == 404


def test_the_last_decisions_stand_on_the_card(home, portal):
    row = {"project": "flights", "kind": "refuse", "champion": "1", "at": AT, "decided_at": AT, "numbers": {}}
    with engine(home.state_database).begin() as connection:
        for number in range(1, 6):
            reason = {"number": number, "version": str(number), "reason": f"<b>{number}</b>", "state": "done"}
            connection.execute(insert(decisions).values(row | reason))
    page = settled(portal(home), "2013-03-15 00:00 UTC: refuse 5 after 1, &lt;b&gt;5&lt;/b&gt;")

    assert page.index("refuse 5") < page.index("refuse 4") < page.index("refuse 3")
    assert "refuse 2" not in page


def test_what_the_flows_left_is_shown_and_served(reported, portal):
    client = portal(reported)
    page = settled(client, "38.7%")

    assert "2 batches" in page
    assert "912 keys twice" in page
    for link in ("/reports/flights/20130315T000000Z.html", "/docs/flights/validation.html", "/docs/flights/index.html"):
        assert f'href="{link}"' in page
        assert client.get(link).status_code == 200
    settled(client, "replay clock · 2013-01-01 00:00 UTC")
    assert "12,345" in client.get("/reports/flights/").text


def test_the_data_docs_of_every_project_are_listed(reported, portal):
    assert 'href="/docs/flights/"' in portal(reported).get("/docs/").text


def test_before_the_first_batch_the_data_docs_say_so(home, portal):
    answer = portal(home).get("/docs/")
    assert answer.status_code == 200
    assert "make ingest" in answer.text


def test_what_others_wrote_is_escaped(reported, portal):
    page = settled(portal(reported), "38.7%")

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


@pytest.fixture
def deaf(home):
    """Settings with a Prefect that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield home.model_copy(update={"prefect_url": f"http://127.0.0.1:{listener.getsockname()[1]}"})


def test_a_service_that_hangs_delays_nothing(deaf, portal, monkeypatch):
    monkeypatch.setattr(portal_module, "TIMEOUT_SECONDS", PATIENCE_SECONDS)
    began = monotonic()
    assert portal(deaf).get("/").status_code == 200
    assert monotonic() - began < PATIENCE_SECONDS


def test_a_service_that_hangs_is_said_to_give_no_answer(deaf, portal):
    settled(portal(deaf), "no answer within 2 s")


@pytest.mark.parametrize(("status", "body", "shown"), [(200, "{}", "Drift and performance"), (503, "", "HTTP 503")])
def test_the_state_is_what_a_real_question_finds(home, portal, status, body, shown):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        settings = home.model_copy(update={"monitoring_url": f"http://127.0.0.1:{server.server_port}"})
        settled(portal(settings), shown)
    finally:
        server.shutdown()
        server.server_close()


def test_only_get_is_answered(reported, portal):
    client = portal(reported)

    for path in (
        "/",
        "/healthz",
        "/reports/",
        "/reports/flights/",
        "/reports/flights/20130315T000000Z.html",
        "/docs/flights/",
    ):
        assert client.post(path).status_code == 405
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("mount", ["reports", "docs", "static"])
@pytest.mark.parametrize(
    "up", ["../state/state.db", "%2e%2e/state/state.db", "..%2f..%2fstate/state.db", "%2e%2e/%2e%2e/app.py"]
)
def test_no_path_leads_out_of_the_folders(reported, portal, mount, up):
    client = portal(reported)
    settled(client, "38.7%")

    assert (reported.home / "state" / "state.db").is_file()
    assert client.get(f"/{mount}/{up}").status_code == 404


def test_the_pages_of_sweeps_are_reached_from_the_reports(reported, portal):
    for day in ("14", "15"):
        (reported.pages / "flights" / f"sweep-201303{day}T000000Z.html").write_text("<h1>the sweep</h1>")
    client = portal(reported)
    page = client.get("/reports/flights/").text
    first, second = (page.index(f"/reports/flights/sweep-201303{day}T000000Z.html") for day in ("15", "14"))
    assert first < second
    assert "the sweep" in client.get("/reports/flights/sweep-20130315T000000Z.html").text


def test_the_page_of_a_replay_is_linked_once_it_is_written(reported, portal):
    client = portal(reported)
    before = client.get("/reports/flights/").text
    (reported.pages / "flights" / "year.html").write_text("<h1>the year</h1>")

    assert "year.html" not in before
    assert "/reports/flights/year.html" in client.get("/reports/flights/").text
    assert "the year" in client.get("/reports/flights/year.html").text


def test_the_pages_of_every_project_are_listed(reported, portal):
    (reported.pages / "flights" / "year.html").write_text("<h1>the year</h1>")
    (reported.pages / "flights" / "sweep-20130314T000000Z.html").write_text("<h1>the sweep</h1>")
    client = portal(reported)
    page = client.get("/reports/").text
    names = ("", "20130315T000000Z.html", "year.html", "sweep-20130314T000000Z.html")
    for link in (f"/reports/flights/{name}" for name in names):
        assert f'href="{link}"' in page
        assert client.get(link).status_code == 200
    assert 'href="/reports/"' in client.get("/").text


def test_an_unknown_project_has_no_reports(home, portal):
    assert portal(home).get("/reports/nothing/").status_code == 404


def test_the_headers_keep_a_page_to_this_machine(reported, portal):
    client = portal(reported)

    ours, report = client.get("/"), client.get("/reports/flights/20130315T000000Z.html")

    assert "unsafe" not in ours.headers["content-security-policy"]
    for answer in (ours, report):
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert "http" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_links_follow_the_name_that_the_browser_used(home):
    here = home.model_copy(update={"mlflow_url": "http://mlflow:5000"})
    elsewhere = home.model_copy(update={"mlflow_url": "https://mlflow.example.org"})
    every = Settings(home=home.home, host="0.0.0.0")

    assert outside(here, "mlflow", Origin("stack.lan")) == f"http://stack.lan:{home.mlflow_port}"
    assert outside(every, "mlflow", Origin("stack.lan")) == "http://stack.lan:5000"
    assert outside(here, "mlflow", Origin("stack.lan", True)) == f"https://stack.lan:{home.lan_mlflow_port}"
    assert outside(elsewhere, "mlflow", Origin("stack.lan")) == "https://mlflow.example.org"


def test_a_project_without_champion_offers_no_request(home, portal, monkeypatch):
    monkeypatch.setattr(registry, "aliases", lambda _: {})
    page = settled(portal(home), 'hx-post="/projects/flights/start/pipeline"')
    assert "/flights/predict" not in page


def test_the_curl_command_is_what_a_shell_reads():
    body = json.dumps({"rows": [{"city": "L'Aquila"}]})

    words = shlex.split(example.curl("http://127.0.0.1:3000", "tiny", body))

    assert words[1] == "http://127.0.0.1:3000/tiny/predict"
    assert words[-1] == body


def test_the_same_request_is_read_by_python():
    body = json.dumps({"rows": [{"city": "L'Aquila", "rooms": None}], "explain": True})

    lines = example.python("https://stack.lan:3443", "tiny", body)

    assignment, *others = ast.parse(lines).body[1:]
    assert ast.literal_eval(assignment.value) == json.loads(body)
    assert 'requests.post("https://stack.lan:3443/tiny/predict", json=body, auth=' in lines and len(others) == 3


def test_the_portal_stays_light():
    heavy = "{'mlflow', 'feast', 'evidently', 'pandas', 'numpy', 'great_expectations', 'bentoml', 'prefect', 'dvc'}"
    code = f"import sys, services.portal.app; print({heavy} & set(sys.modules))"

    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert process.stdout.strip() == "set()"
