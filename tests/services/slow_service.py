"""``python -m tests.services.slow_service PORT SECONDS``: unloaded after so many seconds without a request."""

import os
import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from services import on_demand
from services.on_demand import Loaded
from stack.core.settings import Settings


def load(settings: Settings) -> Loaded:
    """Return an application that names the process it runs in."""
    app = Starlette(routes=[Route("/", answer), Route("/well", answer)])
    return app, app.router.lifespan_context(app)


def answer(request: Request) -> JSONResponse:
    """Answer with the path, and the process that answers."""
    return JSONResponse({"path": request.url.path, "pid": os.getpid()})


if __name__ == "__main__":
    stack = Settings(monitoring_port=int(sys.argv[1])).model_copy(update={"unload_minutes": float(sys.argv[2]) / 60})
    on_demand.serve("tests.services.slow_service", stack, "monitoring", "/well")
