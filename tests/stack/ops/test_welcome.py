"""The answer that a user sees is that of the model that has just been promoted."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import welcome
from stack.specification import specs


class Service(BaseHTTPRequestHandler):
    """A prediction service that has loaded version 2 when it is asked about it for the third time."""

    asked = 0

    def do_GET(self) -> None:
        Service.asked += 1
        self._respond({"projects": {"flights": {"champion": self._live()}}})

    def do_POST(self) -> None:
        self._respond([{"model_version": self._live()}])

    def log_message(self, *_: object) -> None: ...

    def _live(self) -> str:
        return "2" if Service.asked > 2 else "1"

    def _respond(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def project(tmp_path) -> Iterator[SimpleNamespace]:
    Service.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, daemon=True).start()
    settings = Settings(home=tmp_path, prediction_port=server.server_port)
    registry = SimpleNamespace(champion=lambda: SimpleNamespace(version="2"))
    yield SimpleNamespace(name="flights", spec=specs.load("flights"), settings=settings, registry=registry)
    server.shutdown()
    server.server_close()


def test_the_answer_is_that_of_the_champion_which_the_service_loads(project):
    assert json.loads(welcome.answer(project))[0]["model_version"] == "2" and Service.asked == 3


def test_a_service_that_is_away_is_named(project):
    project.settings = Settings(home=project.settings.home, prediction_port=9)
    with pytest.raises(StackError, match="expected  an answer"):
        welcome.answer(project)
