import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from stack.core import alerts
from stack.core.settings import Settings


@pytest.fixture
def hook():
    """A webhook on a free port that keeps its messages."""
    messages = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            messages.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, messages
    server.shutdown()
    server.server_close()


def test_every_url_receives_the_alarm(tmp_path, hook):
    port, messages = hook
    urls = f"json://127.0.0.1:{port}/a, json://127.0.0.1:{port}/b"

    assert alerts.notify(Settings(home=tmp_path, alert_urls=urls), "flights: batch refused", "rows twice")
    assert [message["title"] for message in messages] == ["Home-lab MLOps: flights: batch refused"] * 2
    assert "rows twice" in messages[0]["message"]


@pytest.mark.parametrize("urls", ["", "nonsense", "json://127.0.0.1:9/closed", "bogus://x"])
def test_nothing_is_raised_without_a_listener(tmp_path, urls, caplog):
    assert not alerts.notify(Settings(home=tmp_path, alert_urls=urls), "title", "body")
    assert "title: body" in caplog.text


def test_a_secret_is_not_logged(tmp_path, caplog):
    alerts.notify(Settings(home=tmp_path, alert_urls="bogus://token-of-mine"), "title", "body")

    assert "token-of-mine" not in caplog.text
