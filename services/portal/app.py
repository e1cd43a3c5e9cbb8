"""The portal: one home page with every user interface and project; serves report pages and Data Docs.

It only reads, answers GET alone, and loads nothing from elsewhere. Beside it run the watch that raises alarms, the
delivery of answers, and what follows messages and pushed rows.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from services import guard
from services.portal import _compat, catalog_page, follow, formats, headers, report_index, watch
from services.portal.cache import Cache
from services.portal.links import Origin, outside
from services.portal.projects import Card, card
from stack.core import pages
from stack.core.problems import Problem
from stack.core.settings import Settings
from stack.ops import health, scheduled
from stack.ops.pushed import PushedRows
from stack.ops.tools import TIMEOUT_SECONDS, ToolState, ask, inside, tools
from stack.publishing.publisher import Publisher
from stack.sources.subscriber import Subscriber
from stack.specification import example, specs

HERE = Path(__file__).parent
REPORTS_LISTED = 200
CATALOG_SECONDS = 20.0
LOAD_SECONDS = 60.0
"""Time limit of the feature server's answer; its first request loads it."""


@dataclass
class Portal:
    """State shared by the routes."""

    settings: Settings
    client: httpx.AsyncClient
    cache: Cache
    templates: Environment


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
    portal.templates.filters |= formats.FILTERS

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Portal]]:
        async with portal.client:
            followers: list[follow.Follower] = [Publisher(settings), Subscriber(settings), PushedRows(settings)]
            background = [watch.forever(settings, portal.client), *map(follow.forever, followers)]
            tasks = [*map(asyncio.create_task, background)]
            yield {"portal": portal}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return Starlette(
        lifespan=lifespan,
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=headers.add)],
        routes=[
            Route("/", home),
            Route("/healthz", healthy),
            Route("/problems.json", problems_json),
            Route("/reports/", every_report),
            Route("/reports/{project}/", reports),
            Route("/catalog/{project}.json", catalog_json),
            Route("/catalog/{project}", catalog),
            Route("/features/", features),
            Route("/features/openapi.json", features_api),
            Mount("/features/static", StaticFiles(directory=_compat.swagger_ui(), check_dir=False)),
            Mount("/reports", StaticFiles(directory=settings.pages, check_dir=False)),
            Route("/docs/", data_docs),
            Mount("/docs", StaticFiles(directory=settings.data_docs, check_dir=False, html=True)),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
    )


async def home(request: Request) -> Response:
    """Show the states of the services and a card for each project."""
    portal: Portal = request.state.portal
    settings, origin, names = portal.settings, _origin(request), specs.names()
    shown = tools(settings)
    results = await portal.cache.read(
        {"problems": partial(_problems, portal)}
        | {tool.title: partial(ask, portal.client, settings, tool) for tool in shown}
        | {f"project {name}": partial(asyncio.to_thread, card, settings, name) for name in names}
    )
    cards = [results[f"project {name}"] for name in names]
    return _page(
        portal,
        "home.html",
        tools=[
            (tool, _state(results[tool.title]), tool.here or outside(settings, tool.service, origin) + tool.page)
            for tool in shown
        ],
        names=names,
        cards=cards,
        problems=results["problems"] if isinstance(results["problems"], list) else [],
        backups=settings.backup_daily > 0,
        backup=await asyncio.to_thread(scheduled.read, settings),
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
    indexes = [await asyncio.to_thread(report_index.index, portal.settings, name) for name in specs.names()]
    return _page(portal, "report_index.html", projects=indexes)


async def reports(request: Request) -> Response:
    """List the reports of a project, newest first."""
    portal, name = _of_project(request)
    index = await asyncio.to_thread(report_index.index, portal.settings, name)
    newest = list(islice(report_index.reports(portal.settings, name), REPORTS_LISTED))
    return _page(
        portal,
        "reports.html",
        index=index,
        reports=newest,
        metrics=newest[0]["headline"][:3] if newest else [],
        evidently=outside(portal.settings, "monitoring", _origin(request)),
    )


async def catalog(request: Request) -> Response:
    """List the data sets of a project as a page."""
    portal, name = _of_project(request)
    sets = await _data_sets(portal, name)
    kinds = [(kind, [data_set for data_set in sets if data_set["kind"] == kind]) for kind in catalog_page.KINDS]
    return _page(portal, "catalog.html", name=name, kinds=kinds, picture=catalog_page.picture(sets))


async def catalog_json(request: Request) -> Response:
    """List the data sets of a project as JSON."""
    return JSONResponse(await _data_sets(*_of_project(request)))


async def _data_sets(portal: Portal, name: str) -> list[dict[str, Any]]:
    query = partial(catalog_page.data_sets, portal.settings, name)
    (sets,) = (await portal.cache.read({f"catalog {name}": query}, CATALOG_SECONDS)).values()
    if isinstance(sets, list):
        return sets
    raise HTTPException(503, f"the data sets of {name} cannot be listed: {sets or 'it takes long; ask again'}")


async def data_docs(request: Request) -> Response:
    """List the projects whose batches were validated."""
    portal: Portal = request.state.portal
    names = sorted(page.parent.name for page in portal.settings.data_docs.glob("*/index.html"))
    return _page(portal, "docs.html", names=names)


async def _problems(portal: Portal) -> list[Problem]:
    return await health.problems(portal.settings, portal.client, datetime.now(UTC))


async def problems_json(request: Request) -> Response:
    """List what is wrong as JSON, for command lines that cannot see the state."""
    problems = await _problems(request.state.portal)
    return JSONResponse([asdict(problem) for problem in problems])


async def healthy(_: Request) -> Response:
    """Report that this process answers."""
    return JSONResponse({"status": "ok"})


async def features(request: Request) -> Response:
    """Show the feature server's API, drawn by files of this machine; its own page loads them from a CDN."""
    portal: Portal = request.state.portal
    address = outside(portal.settings, "features", _origin(request))
    if not _compat.swagger_ui().is_dir():
        return RedirectResponse(f"{address}/openapi.json")
    return _page(portal, "features.html", address=address)


async def features_api(request: Request) -> Response:
    """Return the feature server's OpenAPI document."""
    portal: Portal = request.state.portal
    try:
        url = f"{inside(portal.settings, 'features')}/openapi.json"
        answer = await portal.client.get(url, timeout=LOAD_SECONDS)
    except httpx.HTTPError as error:
        return JSONResponse({"error": f"feature server: {error or type(error).__name__}"}, 502)
    return Response(answer.content, answer.status_code, media_type="application/json")


def _page(portal: Portal, template: str, **values: Any) -> HTMLResponse:
    return HTMLResponse(portal.templates.get_template(template).render(**values))


def _of_project(request: Request) -> tuple[Portal, str]:
    """Return the portal and the project of a request; answer 404 where there is no such project."""
    name = request.path_params["project"]
    if name not in specs.names():
        raise HTTPException(404, f"no project {name}")
    return request.state.portal, name


def _state(result: Any) -> ToolState:
    if isinstance(result, ToolState):
        return result
    return ToolState(None, "asking") if result is None else ToolState(False, str(result))


def _origin(request: Request) -> Origin:
    """Return how the browser reached the portal; the gateway's headers say so for requests from other machines."""
    gateway = request.headers.get("x-forwarded-proto") == "https"
    host = request.headers.get("x-forwarded-host", "") if gateway else request.headers.get("host", "")
    name = guard.hostname(host) or "127.0.0.1"
    return Origin(f"[{name}]" if ":" in name else name, gateway)
