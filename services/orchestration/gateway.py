"""The key of Prefect's API for those who come through the gateway, which has checked their own login.

The gateway puts the key into the headers of each request. Prefect's server also asks for it in the first message of a
WebSocket, and Prefect's pages ask the person who opens them. With this, callers behind the gateway need not know it.
"""

import hmac
import json

import httpx
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stack.core.settings import Settings

UI_SETTINGS = "/ui-settings"
"""Tells Prefect's pages whether to ask for a key."""


class GatewayLogin:
    """ASGI middleware: a request that has the key in its headers is asked for it nowhere else."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self._key = app, settings.prefect_key
        self._login = settings.prefect_headers.get("Authorization", "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; rewrite the login message of a WebSocket, and the settings of the pages."""
        if scope["type"] == "websocket" and self._has_key(scope):
            await self.app(scope, self._with_key(receive), send)
        elif scope["type"] == "http" and scope["path"] == UI_SETTINGS and self._has_key(scope):
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                settings = (await client.get(UI_SETTINGS)).json()
            await JSONResponse(settings | {"auth": None})(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        given = Headers(scope=scope).get("authorization", "")
        return bool(self._login) and hmac.compare_digest(given.encode(), self._login.encode())

    def _with_key(self, receive: Receive) -> Receive:
        async def received() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and _is_login(message.get("text")):
                message = {**message, "text": json.dumps({"type": "auth", "token": self._key})}
            return message

        return received


def _is_login(text: str | None) -> bool:
    try:
        message = json.loads(text or "")
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("type") == "auth"
