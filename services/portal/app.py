"""The portal: one home page with every user interface and project; serves report pages and Data Docs.

It only reads, answers GET alone, and loads nothing from elsewhere. Beside it runs the watch that raises alarms.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from services.portal import _compat, catalog_page, formats, report_index, watch
from services.portal.cache import Cache
from services.portal.headers import SecurityHeaders
from services.portal.projects import Card, card, titled
from services.portal.tools import TIMEOUT_SECONDS, Origin, State, ask, inside, outside, tools
from stack.core import pages
from stack.core.settings import Settings
from stack.core.settings import settings as read_settings
from stack.specification import example, specs

HERE = Path(__file__).parent
REPORTS_LISTED = 200
CATALOG_SECONDS = 20.0


@dataclass
class Portal:
    """State shared by the routes."""

    settings: Settings
    client: httpx.AsyncClient
    cache: Cache
    templates: Environment


def app() -> Starlette:
    """Return the portal of this process's settings: ``uvicorn --factory services.portal.app:app``."""
    return build(read_settings())


def build(settings: Settings) -> Starlette:
    """Return the portal of a stack."""
    portal = Portal(
        settings=settings,
        # The proxies of the user's shell do not lead to the stack's own services.
        client=httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False),
        cache=Cache(),
        templates=Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(), trim_blocks=True
        ),
    )
    portal.templates.globals["pages"] = pages
    portal.templates.filters |= formats.FILTERS | {"titled": titled}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Portal]]:
        async with portal.client:
            watcher = asyncio.create_task(watch.forever(settings, portal.client))
            yield {"portal": portal}
            watcher.cancel()

    return Starlette(
        lifespan=lifespan,
        middleware=[Middleware(SecurityHeaders)],
        routes=[
            Route("/", home, methods=["GET"]),
            Route("/healthz", health, methods=["GET"]),
            Route("/reports/", every_report, methods=["GET"]),
            Route("/reports/{project}/", reports, methods=["GET"]),
            Route("/catalog/{project}.json", catalog, methods=["GET"]),
            Route("/catalog/{project}", catalog, methods=["GET"]),
            Route("/features/", features, methods=["GET"]),
            Route("/features/openapi.json", features_api, methods=["GET"]),
            Mount("/features/static", StaticFiles(directory=_compat.swagger_ui(), check_dir=False)),
            Mount("/reports", StaticFiles(directory=settings.pages, check_dir=False)),
            Route("/docs/", data_docs, methods=["GET"]),
            Mount("/docs", StaticFiles(directory=settings.data_docs, check_dir=False, html=True)),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
    )


async def home(request: Request) -> Response:
    """Show the states of the services and a card for each project."""
    portal: Portal = request.state.portal
    settings, origin = portal.settings, _origin(request)
    shown = tools(settings)
    names = specs.names()
    found = await portal.cache.read(
        {tool.title: partial(ask, portal.client, settings, tool) for tool in shown}
        | {f"project {name}": partial(asyncio.to_thread, card, settings, name) for name in names}
    )
    cards = [found[f"project {name}"] for name in names]
    return _page(
        portal,
        "home.html",
        tools=[
            {
                "tool": tool,
                "state": _state(found[tool.title]),
                "href": tool.here or outside(settings, tool.service, origin) + tool.page,
            }
            for tool in shown
        ],
        names=names,
        cards=cards,
        checked=any(isinstance(card, Card) and card.data_docs for card in cards),
        reported=any(isinstance(card, Card) and card.report for card in cards),
        mlflow=outside(settings, "mlflow", origin),
        evidently=outside(settings, "monitoring", origin),
        prediction=outside(settings, "prediction", origin),
        curl=example.curl,
    )


async def every_report(request: Request) -> Response:
    """List the projects and their report pages."""
    portal: Portal = request.state.portal
    found = [await asyncio.to_thread(report_index.index, portal.settings, name) for name in specs.names()]
    return _page(portal, "report_index.html", projects=found)


async def reports(request: Request) -> Response:
    """List the reports of a project, newest first."""
    portal: Portal = request.state.portal
    name = request.path_params["project"]
    if name not in specs.names():
        raise HTTPException(404, f"no project {name}")
    found = await asyncio.to_thread(report_index.reports, portal.settings, name, REPORTS_LISTED)
    evidently, swept = (
        outside(portal.settings, "monitoring", _origin(request)),
        report_index.sweeps(portal.settings, name),
    )
    metrics = found[0]["headline"][:3] if found else []
    shown = {"reports": found, "metrics": metrics, "evidently": evidently, "sweeps": swept}
    return _page(
        portal, "reports.html", name=name, replay_page=report_index.replay_page(portal.settings, name), **shown
    )


async def catalog(request: Request) -> Response:
    """List the data sets of a project, as a page or as JSON."""
    portal: Portal = request.state.portal
    name = request.path_params["project"]
    if name not in specs.names():
        raise HTTPException(404, f"no project {name}")
    question = f"catalog {name}"
    found = (
        await portal.cache.read({question: partial(catalog_page.data_sets, portal.settings, name)}, CATALOG_SECONDS)
    )[question]
    if found is None or isinstance(found, Exception):
        raise HTTPException(503, f"the data sets of {name} cannot be listed: {found or 'it takes long; ask again'}")
    if request.url.path.endswith(".json"):
        return JSONResponse(found)
    kinds = [(kind, [one for one in found if one["kind"] == kind]) for kind in catalog_page.KINDS]
    return _page(portal, "catalog.html", name=name, kinds=kinds, picture=catalog_page.picture(found))


async def data_docs(request: Request) -> Response:
    """List the projects whose batches were validated."""
    portal: Portal = request.state.portal
    found = sorted(page.parent.name for page in portal.settings.data_docs.glob("*/index.html"))
    return _page(portal, "docs.html", names=found)


async def health(_: Request) -> Response:
    """Report that this process answers."""
    return JSONResponse({"status": "ok"})


async def features(request: Request) -> Response:
    """The feature server's API, drawn by files of this machine; its own page loads them from a CDN."""
    portal: Portal = request.state.portal
    if not _compat.swagger_ui().is_dir():
        return RedirectResponse(f"{outside(portal.settings, 'features', _origin(request))}/docs")
    return _page(portal, "features.html", address=outside(portal.settings, "features", _origin(request)))


async def features_api(request: Request) -> Response:
    """The feature server's OpenAPI document."""
    portal: Portal = request.state.portal
    try:
        answer = await portal.client.get(f"{inside(portal.settings, 'features')}/openapi.json")
    except httpx.HTTPError as error:
        return JSONResponse({"error": f"feature server: {error or type(error).__name__}"}, 502)
    return Response(answer.content, answer.status_code, media_type="application/json")


def _page(portal: Portal, template: str, **values: Any) -> HTMLResponse:
    return HTMLResponse(portal.templates.get_template(template).render(**values))


def _state(answer: Any) -> State:
    if isinstance(answer, State):
        return answer
    return State(None, "asking") if answer is None else State(False, str(answer))


def _origin(request: Request) -> Origin:
    """Return how the browser reached the portal; behind the gateway a header says that it was over TLS."""
    name = request.url.hostname or "127.0.0.1"
    return Origin(f"[{name}]" if ":" in name else name, request.headers.get("x-forwarded-proto") == "https")
