"""Every service refuses foreign hosts and foreign pages, and answers programs and its own pages."""

import asyncio
import re
import signal
from pathlib import Path

import httpx
import pytest
import yaml
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from services import guard
from services.guard import HEADERS, Guard
from stack.core import settings
from stack.ops import compose_file
from tests import foreigners
from tests.foreigners import CHANGING, CONTENT_TYPES, FOREIGN
from tests.polling import PATIENCE_SECONDS
from tests.stacks import free_ports, own_environment, prefect_api


async def ok(_: object) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def client(tmp_path: Path, **changes: str) -> TestClient:
    stack = settings.load(own_environment(tmp_path), Path("/dev/null")).model_copy(update=changes)
    app = Starlette(routes=[Route("/", ok, methods=["GET", *CHANGING]), WebSocketRoute("/ws", echo)])
    return TestClient(Guard(app, stack), base_url="http://127.0.0.1:3000")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3000", 200),
        ("localhost", 200),
        ("LOCALHOST.:80", 200),
        ("[::1]:3000", 200),
        ("evil.example", 403),
        ("evil.example:3000", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost@evil.example", 403),
        ("evil.example@localhost", 403),
        ("localhost/.evil.example", 403),
        ("localhost#.evil.example", 403),
        ("localhost?.evil.example", 403),
        ("192.168.1.5", 403),
        ("", 403),
        ("[", 403),
    ],
)
def test_host_is_one_of_the_stack(tmp_path, host, status):
    assert client(tmp_path).get("/", headers={"Host": host}).status_code == status


def test_address_of_the_network_is_allowed_where_every_interface_listens(tmp_path):
    wide = client(tmp_path, host="0.0.0.0")
    assert wide.get("/", headers={"Host": "192.168.1.5:3000"}).status_code == 200
    assert wide.get("/", headers={"Host": FOREIGN}).status_code == 403


def test_allowed_hosts_adds_names(tmp_path):
    named = client(tmp_path, allowed_hosts="lab.example, proxy.example")
    assert [named.get("/", headers={"Host": host}).status_code for host in ("proxy.example", FOREIGN)] == [200, 403]


@pytest.mark.parametrize("method", CHANGING)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:3000"}, 200),
        ({"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9911"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_changes_come_from_programs_and_own_pages(tmp_path, method, headers, status):
    for content_type in CONTENT_TYPES:
        sent = headers | ({"Content-Type": content_type} if content_type else {})
        assert client(tmp_path).request(method, "/", headers=sent, content=b"{}").status_code == status


def test_socket_of_a_foreign_page_is_closed(tmp_path):
    own = {"Host": "127.0.0.1:3000"}
    with client(tmp_path).websocket_connect("/ws", headers=own):
        pass
    for foreign in ({"Origin": f"http://{FOREIGN}"}, {"Host": FOREIGN}, {"Sec-Fetch-Site": "cross-site"}):
        with pytest.raises(WebSocketDisconnect), client(tmp_path).websocket_connect("/ws", headers=own | foreign):
            pass


def test_answers_have_headers_that_keep_pages_to_themselves(tmp_path):
    headers = client(tmp_path).get("/").headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert client(tmp_path).get("/", headers={"Host": FOREIGN}).headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_service_may_have_stricter_headers(tmp_path):
    def strict(_: object) -> PlainTextResponse:
        return PlainTextResponse("ok", headers={"X-Frame-Options": "DENY", "Content-Security-Policy": "sandbox"})

    app = Guard(Starlette(routes=[Route("/", strict)]), settings.load(own_environment(tmp_path), Path("/dev/null")))
    headers = TestClient(app, base_url="http://127.0.0.1:3000").get("/").headers
    assert (headers.get_list("X-Frame-Options"), headers["Content-Security-Policy"]) == (["DENY"], "sandbox")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_hidden_pages_are_not_found(tmp_path):
    stack = settings.load(own_environment(tmp_path), Path("/dev/null"))
    app = Starlette(routes=[Route("/{path:path}", ok)])
    hidden = TestClient(Guard(app, stack, hidden=("/docs",)), base_url="http://127.0.0.1:3000")
    paths = ("/docs", "/docs/", "/docs/a", "//docs", "/docs.json")
    assert [hidden.get(f"http://127.0.0.1:3000{path}").status_code for path in paths] == [404] * 4 + [200]


def test_a_signal_ends_the_server_without_waiting_for_its_next_look(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "TICK_SECONDS", 3600.0)
    server = guard.server(ok, settings.Settings(home=tmp_path, portal_port=free_ports(1)[0]), "portal", lifespan="off")

    async def run() -> None:
        serving = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.01)
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(serving, 20)

    asyncio.run(run())


def test_what_is_read_only_answers_questions_alone(tmp_path):
    stack = settings.load(own_environment(tmp_path) | {"STACK_READ_ONLY": "true"}, Path("/dev/null"))
    app = Starlette(routes=[Route("/{path:path}", ok, methods=["GET", *CHANGING])])
    served = guard.server(app, stack, "mlflow", own_metrics=True).config.app
    asking = TestClient(served, base_url="http://127.0.0.1:3000")
    assert asking.get("/").is_success and asking.post("/ajax-api/2.0/mlflow/runs/search").is_success
    refused = [asking.request(method, "/api/2.0/mlflow/runs/create") for method in CHANGING]
    assert {answer.status_code for answer in refused} == {403}
    assert asking.put("/api/2.0/mlflow/runs/search").status_code == 403


OTHERS = ("gateway", "notebook", "grafana")
"""The first two ask for a login; Grafana redirects foreign names, and nobody can change it."""


def published() -> list[str]:
    """The services of docker-compose.yml that publish a port, but those that run an image without the guard."""
    services = yaml.safe_load(compose_file.FILE.read_text())["services"]
    return sorted(name for name, body in services.items() if body.get("ports") and name not in OTHERS)


@pytest.mark.services
def test_every_published_service_refuses_foreigners(running):
    urls = foreigners.urls(running)
    assert set(published()) - {"feast-ui"} == set(urls)
    foreigners.assert_refused(urls)


@pytest.mark.services
def test_every_published_service_has_metrics(running):
    for name, url in foreigners.urls(running).items():
        answer = httpx.get(f"{url}/metrics")
        assert answer.status_code == 200 and "process_resident_memory_bytes " in answer.text, name


FROM_ELSEWHERE = re.compile(
    r"""<(?:script|link|img|iframe|object|embed|source)\b[^>]*?(?:src|href|data)\s*=\s*["']?((?:https?:)?//[^"'>\s]+)"""
    r"""|(?:url|import|src:)\s*\(?\s*["']?(https?://[^"')\s]+)""",
    re.IGNORECASE,
)
"""What a browser loads when it shows a page."""
PATHS = (
    *("/", "/docs", "/redoc", "/docs/oauth2-redirect", "/api/docs", "/api/redoc", "/schema", "/schema/redoc"),
    *(
        "/schema/swagger",
        "/schema/elements",
        "/schema/rapidoc",
        "/schema/scalar",
        "/reports/",
        "/features/",
        "/catalog",
    ),
)
"""Home pages, and where frameworks put the pages about an API."""


@pytest.mark.services
def test_pages_load_from_this_machine_and_show_in_no_foreign_frame(running):
    for name, url in foreigners.urls(running).items():
        for path in PATHS:
            answer = httpx.get(f"{url}{path}", trust_env=False, timeout=PATIENCE_SECONDS, follow_redirects=True)
            loaded = [found[1] or found[2] for found in FROM_ELSEWHERE.finditer(answer.text)]
            assert [place for place in loaded if httpx.URL(place).host != "127.0.0.1"] == [], (name, path)
            assert answer.headers["X-Content-Type-Options"] == "nosniff", (name, path)
            assert answer.headers["X-Frame-Options"] in ("SAMEORIGIN", "DENY"), (name, path)
            policy = answer.headers["Content-Security-Policy"]
            assert "frame-ancestors" in policy and "http" not in policy, (name, path)
            assert answer.headers["Referrer-Policy"] in ("same-origin", "no-referrer"), (name, path)


@pytest.mark.services
def test_prefect_wants_its_key(running):
    url = f"{running.prefect_url}/api/work_pools/filter"
    assert httpx.post(url, json={}, timeout=PATIENCE_SECONDS, trust_env=False).status_code == 401
    assert prefect_api(running).post("/work_pools/filter", json={}).status_code == 200


@pytest.mark.services
def test_state_is_the_owners_alone(running):
    assert running.home.stat().st_mode & 0o077 == 0
