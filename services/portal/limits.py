"""Limits of requests: bytes are counted as they arrive, and no address has NUL, which PostgreSQL cannot hold."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stack.core import disk
from stack.core.settings import Settings

MAX_BYTES = 4_000_000
"""Of a form; a project.yaml of the largest size that is taken needs half of it."""
UPLOAD = "/new/look"
"""Address to which tables are uploaded."""


class Limits:
    """Refuses an address with NUL (400), and a body as soon as it is too large (413).

    Args:
        app: reads a body once it knows that the caller may act.
        settings: of the stack, with the limit of tables.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if b"%00" in scope["query_string"] or "\0" in scope["path"]:
            await PlainTextResponse("found NUL in the address", HTTPStatus.BAD_REQUEST)(scope, receive, send)
            return
        most, size = self._most(scope), 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if message["type"] == "http.request" and size > most:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {most:,} bytes")
            return message

        await self.app(scope, counted, send)

    def _most(self, scope: Scope) -> int:
        if scope["path"] != UPLOAD:
            return MAX_BYTES
        # It is written twice: as it arrives, and beside the other uploads.
        free = (disk.free(self._settings.home) - disk.RESERVE) // 2
        return max(min(self._settings.upload_megabytes * 1_000_000, free), MAX_BYTES)
