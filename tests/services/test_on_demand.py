"""A service that is loaded on demand refuses no request, whether it is loaded, loading or being unloaded."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from threading import Event

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from services.on_demand import HEALTH, OnDemand
from stack.core.settings import ROOT
from tests.polling import PATIENCE_SECONDS, eventually
from tests.services.conftest import get
from tests.stacks import free_ports


class Slow:
    """An application, and what has happened to it."""

    def __init__(self) -> None:
        self.loads, self.problem, self.events = 0, "", list[str]()
        self.stopped = Event()

    def load(self):
        self.loads += 1
        if self.problem:
            raise RuntimeError(self.problem)
        pages = {"/": ("hello", 200), "/well": ("well", 200)}
        routes = [Route(path, lambda _, page=page: PlainTextResponse(*page)) for path, page in pages.items()]
        app = Starlette(routes=routes, lifespan=self.lifespan)
        return app, app.router.lifespan_context(app)

    @asynccontextmanager
    async def lifespan(self, _: Starlette):
        self.events.append("starts")
        yield
        self.events.append("ends")

    def client(self, patience: float) -> TestClient:
        self.app = OnDemand(self.load, "/well", patience, self.stopped.set)
        return TestClient(self.app, raise_server_exceptions=False)


def test_health_loads_nothing_and_the_first_request_does():
    slow = Slow()
    with slow.client(patience=60) as client:
        assert client.get(HEALTH).text == "not loaded" and slow.loads == 0
        assert client.get("/").text == client.get("/").text == "hello"
        assert (slow.loads, slow.events) == (1, ["starts"])
        assert client.get(HEALTH).text == "well", "a loaded application is asked itself"
    assert slow.events == ["starts", "ends"] and not slow.app.unloaded


def test_without_patience_it_is_loaded_at_the_start_for_good():
    slow = Slow()
    with slow.client(patience=0) as client:
        assert slow.loads == 1 and client.get(HEALTH).text == "well"


def test_an_application_that_does_not_load_is_unhealthy_and_tried_again():
    slow = Slow()
    slow.problem = "no such table"
    with slow.client(patience=60) as client:
        assert client.get("/").status_code == 500
        health = client.get(HEALTH)
        assert health.status_code == 503 and "no such table" in health.text
        slow.problem = ""
        assert client.get("/").text == "hello" and client.get(HEALTH).text == "well"


def test_it_is_unloaded_when_nobody_has_asked_for_a_while():
    slow = Slow()
    with slow.client(patience=0.2) as client:
        assert client.get("/").text == "hello"
        assert slow.stopped.wait(PATIENCE_SECONDS) and slow.app.unloaded
        assert client.get("/").text == "hello", "what has come before the server stops is answered"
    assert (slow.loads, slow.events) == (1, ["starts", "ends"])


@pytest.fixture
def service() -> Iterator[tuple[str, int]]:
    """The address and the id of a process that is unloaded after 0.3 s."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tests.services.slow_service", str(port), "0.3"]
    process, url = subprocess.Popen(command, cwd=ROOT), f"http://127.0.0.1:{port}"
    eventually(lambda: get(url + HEALTH).is_success, alive=lambda: process.poll() is None)
    yield url, process.pid
    process.terminate()
    process.wait(PATIENCE_SECONDS)


def test_the_process_is_unloaded_and_loaded_again_without_refusing_a_request(service):
    url, pid = service
    refused: list[httpx.HTTPError] = []

    def unloaded() -> bool:
        try:
            return get(url + HEALTH).text == "not loaded"
        except httpx.HTTPError as error:
            refused.append(error)
            return False

    for _ in range(2):
        assert get(url).json() == {"path": "/", "pid": pid}
        eventually(unloaded)
    assert not refused
