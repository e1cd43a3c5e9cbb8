"""A machine joins the stack whose authority the key names, and no other."""

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from services.trainer.__main__ import environment
from stack.core.errors import StackError
from stack.core.settings import Settings, load
from tests.stacks import free_ports

AUTHORITY = b"a certificate of an authority"


class Gateway(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ca.crt" else 401)
        self.end_headers()
        self.wfile.write(ssl.DER_cert_to_PEM_cert(AUTHORITY).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def joined(url: str, key: str) -> Settings:
    return load({"STACK_JOIN_URL": url, "STACK_JOIN_KEY": key}, Path("/dev/null"))


def test_the_key_opens_prefect_and_mlflow(url: str, tmp_path: Path) -> None:
    stack = joined(url, f"{hashlib.sha256(AUTHORITY).hexdigest()}.pass-word")

    given = environment(stack, tmp_path)

    assert json.loads(given["PREFECT_CLIENT_CUSTOM_HEADERS"]) == {"Authorization": "Basic dHJhaW5lcjpwYXNzLXdvcmQ="}
    assert (given["MLFLOW_TRACKING_USERNAME"], given["MLFLOW_TRACKING_PASSWORD"]) == ("trainer", "pass-word")
    assert ssl.PEM_cert_to_DER_cert(Path(given["PREFECT_API_SSL_CERT_FILE"]).read_text()) == AUTHORITY
    assert (stack.prefect_url, stack.mlflow_url) == (f"{url}/prefect", f"{url}/mlflow")


def test_another_authority_is_refused_before_the_password_is_sent(url: str, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="as the key says"):
        environment(joined(url, f"{'0' * 64}.pass-word"), tmp_path)


def test_a_gateway_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (port,) = free_ports(1)

    with pytest.raises(StackError, match=f"127.0.0.1:{port}/ca.crt"):
        environment(joined(f"http://127.0.0.1:{port}", "0.pass-word"), tmp_path)
