"""What is answered before a request reaches its model: unknown projects, no champion, readiness, pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import bentoml
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from services.prediction import metrics
from services.prediction.champions import Seat
from services.prediction.projects import Projects, Served
from stack.core.errors import nearest

MAX_BYTES = 4_000_000
"""A thousand rows need about 200 kB."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Predictions</title>
<link rel="icon" href="static_content/favicon-light-32x32.png">
<link rel="stylesheet" href="static_content/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="static_content/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "docs.json", dom_id: "#api", validatorUrl: null, defaultModelsExpandDepth: -1});</script>
</body>
</html>
"""
ABOUT = """Two routes for each project. Answers are in the prediction log before they are sent."""
ASSETS = Path(bentoml.__file__).parent / "_internal" / "server" / "static_content"
RESPONSES = {
    "413": {"description": "The body is too large"},
    "503": {"description": "The project has no champion yet: the answer says what to do"},
}
POLICY = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


class Front:
    """The service's ASGI application: hands a request to its project, refuses what none can answer, and counts."""

    def __init__(self, projects: Projects) -> None:
        self.projects, self.pages = projects, pages(projects)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        project, _, verb = scope.get("path", "")[1:].partition("/")
        if verb not in ("predict", "feedback") or scope.get("method") != "POST":
            await self.pages(scope, receive, send)
        elif (served := self.projects.served.get(project)) is None:
            await self._unknown(project)(scope, receive, send)
        elif verb == "predict":
            await _predict(served, scope, receive, send)
        else:
            await (_too_large(scope) or served)(scope, receive, send)

    def _unknown(self, project: str) -> Response:
        if project in self.projects.broken:
            return JSONResponse({"error": self.projects.broken[project], "todo": "mend it"}, 503)
        known = sorted(self.projects.served)
        return JSONResponse({"error": f"no project {project!r}{nearest(project, known)}", "projects": known}, 404)


async def _predict(served: Served, scope: Scope, receive: Receive, send: Send) -> None:
    project, started, status = served.seat.spec.name, perf_counter(), 500

    async def counted(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    try:
        await (_no_champion(served.seat) or _too_large(scope) or served)(scope, receive, counted)
    finally:
        metrics.REQUESTS.labels(project, status).inc()
        metrics.SECONDS.labels(project).observe(perf_counter() - started)


def _no_champion(seat: Seat) -> Response | None:
    if seat.current is not None:
        return None
    project = seat.spec.name
    body = {"error": f"{project} has no champion yet", "todo": f"make train PROJECT={project}"}
    if seat.problem:
        body |= {"error": f"the champion of {project} is not loaded: {seat.problem}", "todo": "make status"}
    return JSONResponse(body, 503, {"retry-after": "5"})


def _too_large(scope: Scope) -> Response | None:
    length = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
    if length <= MAX_BYTES:
        return None
    return JSONResponse({"error": f"found a body of {length} bytes, expected at most {MAX_BYTES}"}, 413)


def readiness(projects: Projects) -> dict[str, Any]:
    """Tell of each project which version answers."""
    told: dict[str, Any] = {name: {"champion": None, "problem": problem} for name, problem in projects.broken.items()}
    for name, served in sorted(projects.served.items()):
        seat = served.seat
        told[name] = {
            "champion": seat.current and seat.current.version,
            "canary": seat.canary and seat.canary.version,
            "shadow": seat.shadow and seat.shadow.version,
            "previous": seat.previous and seat.previous.version,
            "since": seat.current and seat.current.loaded_at.isoformat(timespec="seconds"),
            "problem": projects.broken.get(name) or seat.problem,
        }
    return {"status": "ready", "projects": told}


def described(services: Iterable[Any]) -> dict[str, Any]:
    """One OpenAPI document of all projects' services."""
    document: dict[str, Any] = {"paths": {}, "components": {"schemas": {}}, "tags": []}
    for service in services:
        one = service.openapi_spec.asdict()
        ours = {path: found for path, found in one["paths"].items() if path.startswith(f"/{service.name}/")}
        for operation in (operation for path in ours.values() for operation in path.values()):
            operation["responses"] |= RESPONSES
            operation["tags"] = [service.name]
        document["openapi"] = one["openapi"]
        document["paths"] |= ours
        document["components"]["schemas"] |= one["components"]["schemas"]
        document["tags"].append({"name": service.name, "description": service.inner.__doc__})
    return {"openapi": "3.0.2", "info": {"title": "Predictions", "version": "1", "description": ABOUT}} | document


def pages(projects: Projects) -> Starlette:
    """All that is not a project's: readiness, metrics, the API's page.

    BentoML's own page, and the description in its OpenAPI document, load scripts and badges from elsewhere.
    """

    def docs(_: Request) -> Response:
        return HTMLResponse(PAGE, headers={"content-security-policy": POLICY})

    def schema(_: Request) -> Response:
        return JSONResponse(described(served.service for _, served in sorted(projects.served.items())))

    def ready(_: Request) -> Response:
        """200 as soon as requests are taken, champion or not."""
        return JSONResponse(readiness(projects))

    def measured(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await projects.begin()
        yield
        await projects.end()

    routes = [Route("/", docs), Route("/docs.json", schema), Route("/metrics", measured), Route("/readyz", ready)]
    return Starlette(routes=[*routes, Mount("/static_content", StaticFiles(directory=ASSETS))], lifespan=lifespan)
