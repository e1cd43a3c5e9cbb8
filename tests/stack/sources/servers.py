"""A web server of the tests' own, with answers that a test gives it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: str = ""


@dataclass
class Web:
    """Answers each request by a function: status, headers, and JSON or text."""

    url: str = ""
    asked: list[Request] = field(default_factory=list)
    answer: Callable[[Request], tuple[int, dict[str, str], Any]] = lambda _: (404, {}, "nothing here")


@contextmanager
def web() -> Iterator[Web]:
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            parameters = {name: values[0] for name, values in parse_qs(url.query).items()}
            request = Request(url.path, parameters, dict(self.headers), body)
            state.asked.append(request)
            status, headers, content = state.answer(request)
            payload = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
            if payload is None:
                payload, headers = json.dumps(content).encode(), {"Content-Type": "application/json"} | headers
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(payload))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(payload)

        do_POST = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()
