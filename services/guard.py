"""The guard in front of every HTTP service: it refuses requests that a foreign web page has caused.

A page that the user visits can send requests to 127.0.0.1. Under a name of its own that it points there (DNS
rebinding), it could read the answers too. The browser tells such requests apart by three headers: ``Host``, ``Origin``
(https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Origin) and ``Sec-Fetch-Site``
(https://www.w3.org/TR/fetch-metadata/). A request of a program has none of the last two.
"""

import asyncio
import ipaddress
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from typing_extensions import override

from services.measured import Measured
from stack.core.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN_SITES = ("cross-site", "same-site")
"""Values of ``Sec-Fetch-Site`` for pages of other origins; a page of another port is of the same site."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound to
SEND_SECONDS = 0.2
"""Time in which an accepted connection may still send its request when the server stops."""
TICK_SECONDS = 1.0
POLICY_VIOLATION = 1008
"""Close code of a WebSocket, RFC 6455."""
READS = {
    "prediction": ("/predict",),
    "mlflow": ("/search", "/search-datasets", "/graphql"),
    "features": ("/get-online-features",),
    "monitoring": (),
    "feast_ui": (),
}
"""Service -> ends of the paths that only read although they are posted to. The others ask for the key."""
HEADERS = {
    # The tools' pages have inline scripts, and charts compiled at run time; nothing comes from another host.
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
"""Of every answer that does not bring its own."""
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
"""As ASGI has them."""


class Guard:
    """ASGI middleware that refuses foreign hosts and foreign pages with status 403.

    Args:
        app: the service.
        settings: whose host, service URLs and allowed hosts are the names that the service answers to.
        hidden: paths that are not found, with all below them: pages that load from the internet.
    """

    def __init__(self, app: ASGIApp, settings: Settings, hidden: Sequence[str] = ()) -> None:
        self.app = app
        self._hidden = tuple(f"{path}/" for path in hidden)
        self._names = names(settings)
        self._by_number = settings.host in EVERY_INTERFACE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with the reason for refusing it."""
        problem = self.problem(scope) if scope["type"] in ("http", "websocket") else None
        app = self.app
        if problem and scope["type"] == "websocket":
            app = WebSocketClose(POLICY_VIOLATION, "foreign page or host")
        elif problem:
            app = JSONResponse({"detail": problem}, 403)
        elif scope["type"] == "http" and f"/{scope['path'].strip('/')}/".startswith(self._hidden):
            app = JSONResponse({"detail": "this page would load from the internet"}, 404)
        await app(scope, receive, partial(_with_headers, send))

    def problem(self, scope: Scope) -> str | None:
        """Return why the request is refused; None when it is not."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if not self._knows(hostname(host)):
            return "the Host header names no host of this stack; STACK_ALLOWED_HOSTS adds names"
        if any(origin_host(origin) != host.lower() for origin in headers.getlist("origin")):
            return "this request comes from a page of another site"
        changing = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changing and headers.get("sec-fetch-site") in FOREIGN_SITES:
            return "this request comes from a page of another site"
        return None

    def _knows(self, name: str) -> bool:
        return name in self._names or (self._by_number and _is_number(name))


async def _with_headers(send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        given = message.get("headers", ())
        names = {name.lower() for name, _ in given}
        message = {**message, "headers": [*given, *(header for header in RAW_HEADERS if header[0] not in names)]}
    await send(message)


class ReadOnly:
    """ASGI middleware that refuses with status 403 what would change something.

    Args:
        app: the service.
        reads: ends of the paths whose POST requests change nothing.
    """

    def __init__(self, app: ASGIApp, reads: tuple[str, ...]) -> None:
        self.app, self._reads = app, reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        app = self.app
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            reading = scope["method"] == "POST" and scope["path"].endswith(self._reads)
            app = app if reading else JSONResponse({"detail": "this stack is read-only"}, 403)
        await app(scope, receive, send)


class Server(uvicorn.Server):
    """A server that answers what it has accepted before it stops, and looks once a second whether it is to stop.

    Uvicorn looks ten times, which is a tenth of a percent of a core in each service; a signal is obeyed at once.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._signalled = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @override
    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 10  # uvicorn's tenths of a second
            with suppress(TimeoutError):
                await asyncio.wait_for(self._signalled.wait(), TICK_SECONDS)

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop:  # it has started
            self._loop.call_soon_threadsafe(self._signalled.set)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await asyncio.sleep(SEND_SECONDS)
        await super().shutdown(sockets)


def serve(app: ASGIApp, settings: Settings, service: str, hidden: Sequence[str] = (), **options: Any) -> None:
    """Run a service behind the guard until it is stopped, with the arguments of :func:`server`."""
    running = server(app, settings, service, hidden, **options)
    running.run()
    if not running.started:
        sys.exit(1)


def server(
    app: ASGIApp,
    settings: Settings,
    service: str,
    hidden: Sequence[str] = (),
    own_metrics: bool = False,
    **options: Any,
) -> Server:
    """Return the server of a service behind the guard.

    Args:
        app: the service.
        settings: of the stack.
        service: name of its port setting, without ``_port``.
        hidden: paths of pages that load from the internet.
        own_metrics: whether the application answers at ``/metrics``; else :mod:`services.measured` does.
        options: further ones of ``uvicorn.Config``.
    """
    port = getattr(settings, f"{service}_port")
    options = {"access_log": False, "server_header": False} | options
    if settings.read_only and service in READS:
        app = ReadOnly(app, READS[service])
    guarded = Guard(app if own_metrics else Measured(app), settings, hidden)
    return Server(uvicorn.Config(guarded, host=settings.bind, port=port, **options))


def names(settings: Settings) -> frozenset[str]:
    """Return the host names that a request may be addressed to, in lower case and without ports."""
    urls = (value for field, value in settings.model_dump().items() if field.endswith("_url"))
    own = {urlsplit(url).hostname or "" for url in urls} | {settings.host, *settings.allowed_hosts.split(",")}
    if settings.host in EVERY_INTERFACE:
        machine = socket.gethostname()
        own |= {machine, f"{machine}.local"}
    return frozenset({*LOOPBACK, *(name.strip().lower() for name in own)}) - {"", *EVERY_INTERFACE}


def hostname(host: str) -> str:
    """Return the name in a Host header, in lower case, without port and brackets; empty when malformed."""
    try:
        url = urlsplit(f"//{host}")
    except ValueError:
        return ""
    return (url.hostname or "").removesuffix(".") if url.netloc == host and "@" not in host else ""


def origin_host(origin: str) -> str:
    """Return the host and port of an Origin header; empty for ``null``."""
    return origin.lower().partition("://")[2]


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
