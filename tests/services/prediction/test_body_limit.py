"""A body is counted as it arrives: more than the limit is refused, and never held."""

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from services.prediction import app
from services.prediction.app import BodyLimit

LIMIT = 1000


class Client:
    """Sends a body in chunks, for as long as it is read."""

    def __init__(self, chunks: int, size: int = 100, declared: int | None = None, leaves: bool = False) -> None:
        self.left, self.size, self.leaves, self.sent = chunks, size, leaves, 0
        length = [(b"content-length", str(declared).encode())] if declared is not None else []
        self.scope = {"type": "http", "method": "POST", "path": "/", "headers": length}
        self.messages: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        if self.leaves:
            return {"type": "http.disconnect"}
        self.left -= 1
        self.sent += self.size
        return {"type": "http.request", "body": b"x" * self.size, "more_body": self.left > 0}

    async def send(self, message: Any) -> None:
        self.messages.append(message)


async def echo(scope, receive, send):
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(app, "MAX_BYTES", LIMIT)


def answer(client: Client) -> tuple[int, bytes]:
    asyncio.run(BodyLimit(echo)(client.scope, client.receive, client.send))
    start, *rest = client.messages
    return start["status"], b"".join(message["body"] for message in rest)


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large():
    client = Client(chunks=3_000_000)  # 300 MB
    status, body = answer(client)
    assert status == 413
    assert json.loads(body) == {"error": "found a body of 1100 bytes or more, expected at most 1000"}
    assert client.sent == 1100


def test_a_declared_length_is_refused_unread():
    client = Client(chunks=10, declared=5_000)
    assert answer(client)[0] == 413
    assert client.sent == 0


def test_a_body_within_the_limit_is_passed_on_whole():
    assert answer(Client(chunks=10)) == (200, b"1000")
    assert answer(Client(chunks=1, size=0)) == (200, b"0")
    assert answer(Client(chunks=10, declared=1000)) == (200, b"1000")


def test_a_caller_who_leaves_is_not_answered():
    client = Client(chunks=1, leaves=True)
    asyncio.run(BodyLimit(echo)(client.scope, client.receive, client.send))
    assert client.messages == []
