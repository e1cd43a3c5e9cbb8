"""Every service refuses foreign hosts and foreign pages, and answers programs and its own pages."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import yaml
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from services.guard import Guard
from stack.core import settings
from stack.ops import compose_file
from tests import foreigners
from tests.foreigners import CHANGING, CONTENT_TYPES, FOREIGN
from tests.stacks import own_environment, prefect_api


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


def published() -> list[str]:
    """The services of docker-compose.yml that publish a port, but the gateway and Jupyter, which ask for a login."""
    services = yaml.safe_load(compose_file.FILE.read_text())["services"]
    return sorted(name for name, body in services.items() if body.get("ports") and name not in ("gateway", "notebook"))


@pytest.mark.services
def test_every_published_service_refuses_foreigners(running):
    urls = foreigners.urls(running)
    assert set(published()) - {"feast-ui"} == set(urls)
    foreigners.assert_refused(urls)


@pytest.mark.services
def test_prefect_wants_its_key(running):
    url = f"{running.prefect_url}/api/work_pools/filter"
    assert httpx.post(url, json={}, trust_env=False).status_code == 401
    assert prefect_api(running).post("/work_pools/filter", json={}).status_code == 200


@pytest.mark.services
def test_state_is_the_owners_alone(running):
    assert running.home.stat().st_mode & 0o077 == 0
