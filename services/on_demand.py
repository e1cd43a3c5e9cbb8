"""Services that are loaded by their first request, and unloaded after a time without requests.

Until then a process of 30 MiB listens. To unload, the process replaces itself by `exec`: its listening socket and its
id stay, so that no request is refused and the supervisor sees no crash.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from importlib import import_module
from time import monotonic
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services import guard
from stack.core.settings import Settings

HEALTH = "/healthz"
"""Path that loads nothing: it answers 200 while nothing is loaded, and then what the application itself does."""
LISTENER = "LISTENING_SOCKET"
"""Variable of the environment: the number of the socket that the process has listened on before."""

Loaded = tuple[ASGIApp, AbstractAsyncContextManager[Any]]
"""An application and its lifespan."""


class OnDemand:
    """ASGI application in place of another.

    Args:
        load: import and make the application; runs in a thread.
        question: path of the application that says whether it is healthy.
        patience: seconds without a request before it is unloaded; 0: it is loaded at the start, for good.
        stop: stops the server; the lifespan ends with it.
    """

    unloaded = False
    """Whether the server stops for lack of requests."""

    def __init__(self, load: Callable[[], Loaded], question: str, patience: float, stop: Callable[[], None]) -> None:
        self._load, self._question, self._patience, self._stop = load, question, patience, stop
        self._application: asyncio.Future[ASGIApp] | None = None
        self._task: asyncio.Task[None] | None = None
        self._problem = ""
        self._stopped = asyncio.Event()
        self._active, self._last = 0, monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or live as long as the server does."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] == HEALTH:
            await self._answer_health(scope, receive, send)
        else:
            self._active += 1
            try:
                await (await self._loaded())(scope, receive, send)
            finally:
                self._active, self._last = self._active - 1, monotonic()

    async def _answer_health(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = PlainTextResponse(self._problem or "not loaded", 503 if self._problem else 200)
        if self._application and self._application.done():
            app = self._application.result()
            scope = dict(scope) | {"path": self._question, "raw_path": self._question.encode()}
        await app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if not self._patience:
            await self._loaded()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._stopped.set()
        if self._task:
            await asyncio.wait([self._task])
        await send({"type": "lifespan.shutdown.complete"})

    async def _loaded(self) -> ASGIApp:
        """Return the application; the first caller starts loading it."""
        if self._application is None:
            self._application = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._application))
        return await asyncio.shield(self._application)

    async def _run(self, application: asyncio.Future[ASGIApp]) -> None:
        try:
            app, lifespan = await asyncio.to_thread(self._load)
            async with lifespan:
                application.set_result(app)
                self._problem = ""
                await self._idle()
                self.unloaded = not self._stopped.is_set()
                self._stop()
                await self._stopped.wait()
        except Exception as error:
            if application.done():
                raise
            self._application, self._problem = None, f"{type(error).__name__}: {error}"
            application.set_exception(error)

    async def _idle(self) -> None:
        """Wait until the patience ends without a request, or the server stops."""
        while (left := self._last + self._patience - monotonic()) > 0 or self._active or not self._patience:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), max(left, 1.0))
                return


def serve(module: str, settings: Settings, service: str, question: str, hidden: Sequence[str] = ()) -> None:
    """Run a service behind the guard until it is stopped, loaded by its first request.

    Args:
        module: its function ``load(settings)`` returns the application and its lifespan.
        settings: of the stack.
        service: name of its port setting, without ``_port``.
        question: path of the application that says whether it is healthy.
        hidden: paths of pages that load from the internet.
    """
    if number := os.environ.pop(LISTENER, ""):
        listener = socket.socket(fileno=int(number))
    else:
        family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
        listener = socket.create_server((settings.bind, getattr(settings, f"{service}_port")), family=family)

    def load() -> Loaded:
        loaded: Loaded = import_module(module).load(settings)
        return loaded

    def stop() -> None:
        server.should_exit = True

    application = OnDemand(load, question, 60.0 * settings.unload_minutes, stop)
    server = guard.server(application, settings, service, hidden, lifespan="on")
    server.run([listener.dup()])
    if not server.started:
        sys.exit(1)
    if application.unloaded:
        listener.set_inheritable(True)
        os.environ[LISTENER] = str(listener.fileno())
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # its own command line
