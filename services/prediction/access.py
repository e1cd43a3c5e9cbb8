"""The check of tokens in front of the prediction service.

A request from outside needs one: what came through the gateway or another proxy that says so in the headers, and what
came from another machine where STACK_HOST lets it. With STACK_REQUIRE_TOKENS, a request
on 127.0.0.1 for predictions, or with feedback or rows, needs one too; pages, readiness and metrics stay open there.
"""

from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.guard import LOOPBACK, SAFE_METHODS
from stack.access.verifier import Verifier
from stack.core.settings import Settings

PROXY_HEADERS = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"})
"""Headers by which proxies name themselves or the caller."""
PURPOSES = frozenset({"predict", "feedback", "rows", "admin"})
"""Of tokens that may read the pages here, too."""
SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "`make token PROJECT=<project> FOR=predict` makes one. It is needed at the gateway, and on "
        "127.0.0.1 with STACK_REQUIRE_TOKENS.",
    }
}
"""Security schemes of the OpenAPI document."""
OPTIONAL: list[dict[str, list[Any]]] = [{"token": []}, {}]
"""The security requirement of a route."""


class TokenCheck:
    """ASGI middleware that answers 401 without a token, and 403 with one for another project or purpose."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._required = settings.require_tokens
        self._reached_from_outside = settings.host not in LOOPBACK
        self._verifier = Verifier(settings.state_database, settings.access_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with what to do."""
        refusal = await self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers, changing = Headers(scope=scope), scope["method"] not in SAFE_METHODS
        if not (self._is_from_outside(scope) or (self._required and changing)):
            return None
        project, _, verb = scope["path"][1:].partition("/")
        todo = (
            f"make token PROJECT={project if verb in PURPOSES else 'all'} FOR={verb if verb in PURPOSES else 'admin'}"
        )
        scheme, _, text = headers.get("authorization", "").partition(" ")
        token = await self._verifier.find(text.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            error = "no such token, or it has been revoked" if scheme else "a token is needed: Authorization: Bearer"
            return JSONResponse({"error": error, "todo": todo}, 401, {"WWW-Authenticate": "Bearer"})
        if token.allows(verb, project) if changing else not PURPOSES.isdisjoint(token.purposes):
            return None
        error = f"this token is for {token.scope}, not for {scope['method']} {scope['path']}"
        return JSONResponse({"error": error, "todo": todo}, 403)

    def _is_from_outside(self, scope: Scope) -> bool:
        if any(name in PROXY_HEADERS for name, _ in scope["headers"]):
            return True
        client = scope.get("client")
        return self._reached_from_outside and (client is None or client[0] not in LOOPBACK)
