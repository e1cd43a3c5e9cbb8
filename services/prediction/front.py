"""What is answered before a request reaches its model: unknown projects, no champion, readiness, pages."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.prediction import metrics
from services.prediction.champions import Champions, Seat
from stack.errors import nearest

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
ABOUT = """One route for each project. The answers are in the prediction log before they are sent."""
RESPONSES = {
    "413": {"description": "The body is too large"},
    "503": {"description": "The project has no champion yet: the answer says what to do"},
}
POLICY = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


class Front:
    """ASGI middleware of the prediction routes: refuses what no model can answer, and counts."""

    def __init__(self, app: ASGIApp, champions: Champions, broken: Mapping[str, str]) -> None:
        self.app, self.champions, self.broken = app, champions, broken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        path = scope.get("path", "")
        if path.endswith("/predict") and path.count("/") == 2 and scope["method"] == "POST":
            await self._predict(path[1:-8], scope, receive, send)
        elif path == "/readyz":
            await readiness(self.champions, self.broken)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _predict(self, project: str, scope: Scope, receive: Receive, send: Send) -> None:
        seat = self.champions.seats.get(project)
        if seat is None:
            await self._unknown(project)(scope, receive, send)
            return
        started, status = perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await (_refusal(seat, scope) or self.app)(scope, receive, counted)
        finally:
            metrics.REQUESTS.labels(project, status).inc()
            metrics.SECONDS.labels(project).observe(perf_counter() - started)

    def _unknown(self, project: str) -> Response:
        if project in self.broken:
            return JSONResponse({"error": self.broken[project], "todo": "mend it, then `make down up`"}, 503)
        known = list(self.champions.seats)
        return JSONResponse({"error": f"no project {project!r}{nearest(project, known)}", "projects": known}, 404)


def _refusal(seat: Seat, scope: Scope) -> Response | None:
    """Say why a request cannot be answered at all; None when it can."""
    if seat.current is None:
        project = seat.spec.name
        body = {"error": f"{project} has no champion yet", "todo": f"make train PROJECT={project}"}
        if seat.problem:
            body |= {"error": f"the champion of {project} is not loaded: {seat.problem}", "todo": "make status"}
        return JSONResponse(body, 503, {"retry-after": "5"})
    length = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
    if length > MAX_BYTES:
        return JSONResponse({"error": f"found a body of {length} bytes, expected at most {MAX_BYTES}"}, 413)
    return None


def readiness(champions: Champions, broken: Mapping[str, str]) -> Response:
    """Tell of each project which version answers. 200 as soon as requests are taken, champion or not."""
    projects: dict[str, Any] = {
        name: {
            "champion": seat.current and seat.current.version,
            "previous": seat.previous and seat.previous.version,
            "since": seat.current and seat.current.loaded_at.isoformat(timespec="seconds"),
            "problem": seat.problem,
        }
        for name, seat in champions.seats.items()
    }
    projects |= {name: {"champion": None, "problem": problem} for name, problem in broken.items()}
    return JSONResponse({"status": "ready", "projects": projects})


def pages(service: Any) -> Starlette:
    """The API's page and its metrics.

    BentoML's own page, and the description in its OpenAPI document, load scripts and badges from elsewhere.

    Args:
        service: the BentoML service that the page is about.
    """

    def docs(_: Request) -> Response:
        return HTMLResponse(PAGE, headers={"content-security-policy": POLICY})

    def schema(_: Request) -> Response:
        document = service.openapi_spec.asdict()
        document["info"] = {"title": "Predictions", "version": "1", "description": ABOUT}
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"] |= RESPONSES if "requestBody" in operation else {}
        return JSONResponse(document)

    def measured(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/", docs), Route("/docs.json", schema), Route("/metrics", measured)])
