"""A portal without the rest of its stack, which starts in a second, and a receiver of its alarms."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from stack.core import migrations, settings
from tests.browser.chromium import chromium
from tests.stacks import Service, own_environment


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the tests of a module; each opens pages, or contexts, of its own."""
    with chromium() as started:
        yield started


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The portal of a stack of which nothing else runs."""
    environ = own_environment(tmp_path / "var") | {"STACK_BACKUP_FOLDER": str(tmp_path / "backups")}
    own = settings.load(environ, Path("/dev/null"))
    migrations.upgrade(own.state_database)
    healthy = lambda: httpx.get(f"{own.portal_url}/", trust_env=False).is_success  # noqa: E731
    with Service(own, "portal", healthy) as started:
        yield started


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """An address that alarms can go to, and what has come there."""
    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            came.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}", came
        server.shutdown()
