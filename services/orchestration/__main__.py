"""Run Prefect's server: ``python -m services.orchestration``, as `prefect server start` does.

Prefect on SQLite can hang for a minute without answering. A statement that has failed ("database is locked")
leaves a cursor that only the garbage collector frees. Freeing it waits for the cursor's connection, where a thread may
be waiting for the database's write lock. Collected on the event loop, this stops the loop, and with it the coroutine
that is to give the lock back: nothing moves until SQLite gives up, after 60 s. So garbage is collected in a thread of
its own, which may wait.
"""

import gc
import time
from itertools import count
from pathlib import Path
from threading import Thread

from prefect.server.api.server import create_app
from prefect.settings import PREFECT_SERVER_API_KEEPALIVE_TIMEOUT, PREFECT_SERVER_LOGGING_LEVEL
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

from services import guard
from services.orchestration import _compat
from services.orchestration.gateway import GatewayLogin
from stack.core import wall_clock
from stack.core.settings import settings

SIGN_IN = Path(__file__).with_name("sign_in.html")
PAUSE_SECONDS = 1.0
YOUNG, ALL = 1, 2
"""Generations of Python's collector."""
EVERY = 60
"""Collections of the young generations to one of all."""


def main() -> None:
    """Move garbage collection off the event loop, then listen on the host and port of the settings."""
    gc.disable()
    Thread(target=collect, name="garbage", daemon=True).start()
    guard.serve(
        GatewayLogin(application(), settings()),
        settings(),
        "prefect",
        hidden=("/docs", "/redoc", "/api/docs", "/api/redoc"),
        log_level=PREFECT_SERVER_LOGGING_LEVEL.value().lower(),
        timeout_keep_alive=PREFECT_SERVER_API_KEEPALIVE_TIMEOUT.value(),
    )


def application() -> Starlette:
    """Return Prefect's API and pages, and a page that gives a browser the key: ``/sign-in#<key>``."""
    _compat.look_less_often()
    _compat.set_time(lambda: wall_clock.observe(settings()).now)
    app: Starlette = create_app(final=True)
    app.router.routes.insert(0, Route("/sign-in", lambda _: FileResponse(SIGN_IN)))
    return app


def collect() -> None:
    """Collect garbage for as long as the process lives.

    What is left of the first collection of all, after the start, is modules: it is looked at no more.
    """
    for turn in count(1):
        time.sleep(PAUSE_SECONDS)
        gc.collect(YOUNG if turn % EVERY else ALL)
        if turn == EVERY:
            gc.freeze()


if __name__ == "__main__":
    main()
