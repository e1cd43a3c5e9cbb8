"""Bound the size of a request's body, whether its length is declared or it comes in chunks."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BYTES = 4_000_000
"""A thousand rows need about 200 kB."""


class BodyLimit:
    """Passes a request on with its whole body, or answers 413 as soon as the body is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        body, size = bytearray(), int(Headers(scope=scope).get("content-length", 0))
        more = True
        while more and size <= MAX_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            size, more = max(size, len(body)), message.get("more_body", False)
        if size > MAX_BYTES:
            error = f"found a body of {size} bytes or more, expected at most {MAX_BYTES}"
            await JSONResponse({"error": error}, 413)(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def read() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, read, send)
