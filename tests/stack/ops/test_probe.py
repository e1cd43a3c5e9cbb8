import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from stack.core.settings import ROOT
from stack.ops import probe


class Echo(BaseHTTPRequestHandler):
    """Answers 200 with the body it was sent; 500 below /broken."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(500 if self.path.startswith("/broken") else 200)
        self.end_headers()
        self.wfile.write(self.command.encode() + b" " + body)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    server = HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_good_answer_is_no_problem(url):
    assert probe.ask(url, find="GET") is None
    assert probe.ask(url, data='{"a": 1}', find='POST {"a": 1}') is None


def test_says_what_is_wrong(url):
    assert "HTTP 500" in probe.ask(f"{url}/broken")
    assert "the answer lacks ONLINE" in probe.ask(url, find="ONLINE")
    assert "refused" in probe.ask("http://127.0.0.1:1/")
    assert "unknown url type" in probe.ask("nonsense")


def test_a_proxy_of_the_shell_is_not_asked(url, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert probe.ask(url) is None


def test_the_command_ends_with_the_verdict(url):
    def run(*words):
        command = [sys.executable, "-m", "stack.ops.probe", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run(url, "--data", "{}", "--find", "POST {}").returncode == 0
    bad = run(f"{url}/broken")
    assert (bad.returncode, "HTTP 500" in bad.stdout) == (1, True)


def test_needs_only_the_standard_library():
    code = "import sys, stack.ops.probe; print([m for m in ('pydantic', 'httpx', 'click', 'yaml') if m in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"
