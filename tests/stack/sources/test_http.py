"""A web service is read to its last page, with secrets that nothing shows, and asked again when it fails."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from stack.core.errors import StackError, UnavailableError
from stack.core.settings import ROOT
from stack.sources import http
from stack.sources.templates import written
from tests.stack.sources.conftest import LAST
from tests.stack.sources.servers import web
from tests.stacks import free_ports

SINCE = datetime(2024, 1, 1, 12, tzinfo=UTC)
ROWS = [{"at": f"2024-01-{day:02}T00:00:00Z", "house": {"kwh": day}} for day in range(1, 26)]
COLUMNS = ["at", "house.kwh"]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(http, "BACK_OFF", 0)
    with web() as state:
        yield state


def section(server, **keys):
    return {"kind": "http", "url": f"{server.url}/readings"} | keys


def paged(request, size=10):
    """Pages by number, offset or cursor, with links in body and header."""
    asked = request.parameters
    start = int(asked.get("offset") or asked.get("cursor") or (int(asked.get("page", 1)) - 1) * size)
    end = start + size
    more = f"http://{request.headers['Host']}{request.path}?offset={end}" if end < len(ROWS) else None
    body = {"data": {"items": ROWS[start:end]}, "meta": {"cursor": str(end) if more else None, "link": more}}
    return 200, {"Link": f'<{more}>; rel="next"'} if more else {}, body


@pytest.mark.parametrize(
    "pages",
    [
        {"by": "number"},
        {"by": "offset", "size": 10},
        {"by": "cursor", "path": "meta.cursor"},
        {"by": "link", "path": "meta.link"},
        {"by": "header"},
        {"by": "auto"},
    ],
    ids=lambda pages: pages["by"],
)
def test_all_pages_are_read_once(server, read, pages):
    server.answer = paged
    rows = read(section(server, rows="data.items", pages=pages), COLUMNS)
    assert list(rows["house.kwh"]) == list(range(1, 26)) and list(rows) == COLUMNS


def test_the_window_and_secrets_are_sent_and_shown_nowhere(server, read, env):
    env(TOKEN="very-secret")
    server.answer = lambda _: (200, {}, ROWS)
    keys = {
        "url": f"{server.url}/readings/{{since:%Y}}",
        "params": {
            "from": "{since}",
            "to": "{until:unix}",
            "ms": "{until:unix_ms}",
            "day": "{since:%d.%m. %H}",
            "n": 5,
        },
        "headers": {"Authorization": "Bearer ${TOKEN}"},
        "zone": "Europe/Berlin",
    }
    rows = read(section(server, **keys), COLUMNS, "at", SINCE, LAST)
    (asked,) = server.asked
    assert len(rows) == 25 and asked.path == "/readings/2024" and asked.headers["Authorization"] == "Bearer very-secret"
    until = int(LAST.timestamp())
    assert asked.parameters == {
        "from": "2024-01-01T12:00:00Z", "to": str(until), "ms": f"{until}000", "day": "01.01. 13", "n": "5",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        (ROWS, ""),
        ({"results": ROWS, "count": 25}, ""),
        ({"time": {"at": [row["at"] for row in ROWS], "house.kwh": list(range(1, 26))}}, "time"),
        ({"at": [row["at"] for row in ROWS], "house.kwh": list(range(1, 26))}, "$"),
        ({"days": {"items": ROWS}}, "days.items[*]"),
    ],
)
def test_rows_are_found_in_answers_of_any_shape(server, read, answer, rows):
    server.answer = lambda _: (200, {}, answer)
    assert list(read(section(server, rows=rows), COLUMNS)["house.kwh"]) == list(range(1, 26))


@pytest.mark.parametrize("answer", [[ROWS[0]], {"items": [ROWS[0]]}, ROWS[0]])
def test_one_row_is_a_row(server, read, answer):
    server.answer = lambda _: (200, {}, answer)
    assert read(section(server), COLUMNS).to_dict("records") == [{"at": ROWS[0]["at"], "house.kwh": 1}]


@pytest.mark.parametrize(("answer", "rows"), [([], ""), ({"items": []}, "items"), ([], "items")])
def test_an_answer_without_rows_has_the_columns(server, read, answer, rows):
    server.answer = lambda _: (200, {}, answer)
    assert list(read(section(server, rows=rows), COLUMNS)) == COLUMNS


def test_csv_is_read(server, read):
    server.answer = lambda _: (200, {"Content-Type": "text/csv"}, "at;kwh\n2024-01-01;1,5\n")
    rows = read(section(server, format="csv", options={"sep": ";", "decimal": ","}), ["kwh", "at"])
    assert rows.to_dict("records") == [{"kwh": 1.5, "at": "2024-01-01"}]


def test_what_fails_is_asked_for_again(server, read):
    answers = iter([(503, {}, "busy"), (429, {"Retry-After": "1"}, "slow down"), (200, {}, ROWS)])
    server.answer = lambda _: next(answers)
    assert len(read(section(server), COLUMNS)) == 25 and len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "keys", "key", "message", "passing"),
    [
        ((401, {}, "no"), {}, "url", "a service that accepts the login", False),
        ((403, {}, "no"), {}, "url", "a service that accepts the login", False),
        ((404, {}, "no"), {}, "url", "404", False),
        ((429, {}, "no"), {}, "url", "a service that answers", True),
        ((500, {}, "no"), {}, "url", "a service that answers", True),
        ((200, {}, "<html>"), {}, "url", "an answer that is no JSON", False),
        ((200, {}, ""), {}, "url", "an answer that is no JSON", False),
        ((200, {}, {"item": ROWS}), {"rows": "items"}, "rows", "no items in the answer; there are item", False),
        ((200, {}, [1, 2]), {}, "rows", "found int where a row should be", False),
        ((200, {}, [{"at": 1}]), {}, "url, column house.kwh", "there are at", False),
        ((200, {}, ROWS), {"pages": {"by": "number"}}, "pages", "the same page twice", False),
        ((200, {}, ROWS), {"rows": "a[["}, "rows", "a path like data.items", False),
        ((200, {}, ROWS), {"url": "nas/readings"}, "url", "Invalid URL", False),
    ],
)
def test_what_is_wrong_is_said_without_the_secret(server, read, env, answer, keys, key, message, passing):
    env(TOKEN="very-secret /+")
    server.answer = lambda _: answer
    keys = {"params": {"token": "${TOKEN}"}, "headers": {"X-Api-Key": "${TOKEN}"}} | keys
    with pytest.raises(StackError) as caught:
        read(section(server, **keys), COLUMNS)
    assert f"project.yaml, key source.{key}:" in str(caught.value) and message in str(caught.value)
    assert isinstance(caught.value, UnavailableError) == passing and "very-secret" not in str(caught.value)


def test_a_service_that_is_away_may_come_back(server, read):
    with pytest.raises(UnavailableError):
        read(section(server, url=f"http://127.0.0.1:{free_ports(1)[0]}/readings"), COLUMNS)


@pytest.mark.parametrize("keys", [{"headers": {"Authorization": "Bearer abc"}}, {"params": {"api_key": "abc"}}])
def test_a_secret_in_plain_text_is_refused(server, read, keys):
    with pytest.raises(ValueError, match="with the value in .env"):
        read(section(server, **keys), COLUMNS)


def test_instants_are_written_as_a_service_wants_them():
    summer = datetime(2024, 7, 1, tzinfo=UTC)
    assert written(summer, "%Y-%m-%dT%H:%M:%S%z", "Europe/Berlin") == "2024-07-01T02:00:00+0200"
    assert written(summer, "", "Europe/Berlin") == "2024-07-01T00:00:00Z"


@pytest.mark.parametrize("answer", [ROWS, {"rows": ROWS, "pages": 1}])
def test_dlt_writes_nothing_and_calls_nobody(server, tmp_path, answer):
    """In a process with a home of its own, whose only connection is to the service."""
    server.answer = lambda _: (200, {}, answer)
    script = f"""
import socket
from datetime import UTC, datetime
from pathlib import Path
connect = socket.socket.connect
def guarded(self, address):
    assert address[0] == "127.0.0.1", address
    return connect(self, address)
socket.socket.connect = guarded
from stack.sources import Query, read
from stack.specification.sources import Http
source = Http(kind="http", url="{server.url}/readings")
window = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
print(len(read(source, Path("."), Query(["at"], None, *window))))
"""
    words = {"env": {"HOME": str(tmp_path), "PATH": "", "PYTHONPATH": str(ROOT)}, "cwd": tmp_path, "text": True}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, **words)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "25", "")
    assert list(tmp_path.rglob("*")) == []
