"""The key of Prefect's API in the handshake of a WebSocket.

Prefect's server asks for it in the first message as well. The gateway, which has checked the caller's own login, puts
the key into the headers, and cannot put it there. So people and machines behind the gateway need not know the key.
"""

from __future__ import annotations

import hmac
import json

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stack.core.settings import Settings


class HandshakeLogin:
    """ASGI middleware: where the handshake has the key, the message that should have it gets it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self._key = app, settings.prefect_key
        self._login = settings.prefect_headers.get("Authorization", "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; of an authorised WebSocket, rewrite the message of type ``auth``."""
        given = Headers(scope=scope).get("authorization", "") if scope["type"] == "websocket" else ""
        if not self._login or not hmac.compare_digest(given.encode(), self._login.encode()):
            await self.app(scope, receive, send)
            return

        async def with_key() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and _is_login(message.get("text")):
                message = {**message, "text": json.dumps({"type": "auth", "token": self._key})}
            return message

        await self.app(scope, with_key, send)


def _is_login(text: str | None) -> bool:
    try:
        message = json.loads(text or "")
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("type") == "auth"
