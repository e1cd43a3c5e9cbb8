"""The portal: one home page with every user interface and project; serves report pages and Data Docs.

It loads nothing from elsewhere. Open pages receive changes as server-sent events. Beside it run the watch that
raises alarms, the delivery of answers, and what follows messages and pushed rows.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from services.measured import Measured
from services.portal import follow, headers, sampler, watch
from services.portal.limits import Limits
from services.portal.pages import (
    actions,
    alarms,
    audit,
    backups,
    canary,
    catalog,
    data_docs,
    events,
    features,
    help,
    home,
    icon,
    labels,
    metrics,
    new_project,
    packages,
    predictions,
    problems,
    project,
    project_file,
    reports,
    settings,
    sign_in,
    try_it,
    versions,
)
from services.portal.portal import HERE, Portal
from stack.core.settings import Settings
from stack.ops.pushed import PushedRows
from stack.publishing.publisher import Publisher
from stack.sources.subscriber import Subscriber

PAGES = (
    home,
    events,
    new_project,
    sign_in,
    project,
    project_file,
    versions,
    packages,
    try_it,
    labels,
    predictions,
    actions,
    canary,
    audit,
    backups,
    alarms,
    settings,
    problems,
    reports,
    catalog,
    features,
    data_docs,
    help,
    metrics,
    icon,
)


def build(settings: Settings) -> Starlette:
    """Return the portal of a stack."""
    portal = Portal.of(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Portal]]:
        async with portal.client:
            followers: list[follow.Follower] = [Publisher(settings), Subscriber(settings), PushedRows(settings)]
            background = [watch.forever(settings, portal.client), sampler.forever(portal), home.warm(portal)]
            tasks = [*map(asyncio.create_task, [*background, *map(follow.forever, followers)])]
            yield {"portal": portal}
            await portal.jobs.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return Starlette(
        lifespan=lifespan,
        middleware=[
            Middleware(Measured, own_page=True),
            Middleware(BaseHTTPMiddleware, dispatch=headers.add),
            Middleware(Limits, settings=settings),
        ],
        routes=[
            *(route for page in PAGES for route in page.ROUTES),
            Mount("/features/static", StaticFiles(directory=features.SWAGGER_UI, check_dir=False)),
            Mount("/reports", headers.Sandbox(settings.pages)),
            Mount("/docs", headers.Sandbox(settings.data_docs, html=True)),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
    )
