"""The ASGI application: routes requests to projects, refuses what no project can answer, serves readiness and pages."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.prediction import _compat, metrics
from services.prediction.live_models import LiveModels
from services.prediction.openapi import openapi
from services.prediction.projects import ProjectRegistry
from services.prediction.service import ProjectService
from stack.core.errors import nearest

MAX_BYTES = 4_000_000
"""A thousand rows need about 200 kB."""
STATIC = Path(__file__).with_name("static")
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


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


class PredictionApp:
    """Passes a request on to its project, refuses what none can answer, and counts requests."""

    def __init__(self, projects: ProjectRegistry) -> None:
        self.projects, self.pages = projects, pages(projects)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        project, _, verb = scope.get("path", "")[1:].partition("/")
        if scope["type"] != "http" or verb not in ("predict", "feedback", "rows"):
            await self.pages(scope, receive, send)
        elif (running := self.projects.services.get(project)) is None:
            await self._unknown(project)(scope, receive, send)
        elif scope["method"] != "POST":
            error = f"found {scope['method']}, expected POST"
            await JSONResponse({"error": error}, 405, {"allow": "POST"})(scope, receive, send)
        elif verb == "rows" and verb not in running.endpoints:
            await _not_pushed(project)(scope, receive, send)
        elif verb == "predict":
            await _predict(running, scope, receive, send)
        else:
            await BodyLimit(running)(scope, receive, send)

    def _unknown(self, project: str) -> Response:
        if project in self.projects.errors:
            return JSONResponse({"error": self.projects.errors[project], "todo": "fix the file"}, 503)
        known = sorted(self.projects.services)
        return JSONResponse({"error": f"no project {project!r}{nearest(project, known)}", "projects": known}, 404)


def _not_pushed(project: str) -> Response:
    todo = f"write `source: {{kind: push, key: [...]}}` in projects/{project}/project.yaml, without a source.py"
    return JSONResponse({"error": f"{project} takes its rows from another source", "todo": todo}, 409)


async def _predict(running: ProjectService, scope: Scope, receive: Receive, send: Send) -> None:
    project, started, status = running.models.project.name, perf_counter(), 500

    async def counted(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        await send(message)

    try:
        await (_no_champion(running.models) or BodyLimit(running))(scope, receive, counted)
    finally:
        metrics.REQUESTS.labels(project, status).inc()
        metrics.SECONDS.labels(project).observe(perf_counter() - started)


def _no_champion(models: LiveModels) -> Response | None:
    if models.champion is not None:
        return None
    project = models.spec.name
    body = {"error": f"{project} has no champion yet", "todo": f"make train PROJECT={project}"}
    if models.problem:
        body = {"error": f"the champion of {project} is not loaded: {models.problem}", "todo": "make status"}
    return JSONResponse(body, 503, {"retry-after": "5"})


def readiness(projects: ProjectRegistry) -> dict[str, Any]:
    """Return which version of each project is live."""
    report: dict[str, Any] = {name: {"champion": None, "problem": error} for name, error in projects.errors.items()}
    for name, running in sorted(projects.services.items()):
        models = running.models
        report[name] = {
            "champion": models.champion and models.champion.version,
            "canary": models.canary and models.canary.version,
            "shadow": models.shadow and models.shadow.version,
            "previous": models.previous and models.previous.version,
            "since": models.champion and models.champion.loaded_at.isoformat(timespec="seconds"),
            "problem": projects.errors.get(name) or models.problem,
        }
    return {"status": "ready", "projects": report}


def document(projects: ProjectRegistry) -> dict[str, Any]:
    """Return one OpenAPI document of all projects."""
    served = projects.services.items()
    titles = {name: running.models.spec.title for name, running in served}
    return openapi(titles, {name: running.endpoints for name, running in served})


def pages(projects: ProjectRegistry) -> Starlette:
    """Return the application of the routes that belong to no project: readiness, metrics, the API's page.

    BentoML's own page, and the description in its OpenAPI document, load scripts and badges from elsewhere.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await projects.start()
        yield
        await projects.stop()

    answers: dict[str, Callable[[], Response]] = {
        "/": lambda: FileResponse(STATIC / "index.html", headers={"content-security-policy": POLICY}),
        "/docs.json": lambda: JSONResponse(document(projects)),
        "/metrics": lambda: Response(generate_latest(), media_type=CONTENT_TYPE_LATEST),
        # 200 as soon as requests are accepted, with or without a champion.
        "/readyz": lambda: JSONResponse(readiness(projects)),
    }
    routes: list[BaseRoute] = [Route(path, partial(_respond, answer)) for path, answer in answers.items()]
    folders = {"/static_content": _compat.swagger_ui(), "/static": STATIC}
    routes += [Mount(path, StaticFiles(directory=folder)) for path, folder in folders.items()]
    return Starlette(routes=routes, lifespan=lifespan)


def _respond(answer: Callable[[], Response], _: Request) -> Response:
    return answer()
