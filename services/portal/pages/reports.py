"""The lists of report pages, of every project and of one."""

import asyncio
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import report_index
from services.portal.links import outside
from services.portal.portal import of_project, origin, portal_of
from stack.specification import specs

LISTED = 200


async def every_report(request: Request) -> Response:
    """List the projects and their report pages."""
    portal = portal_of(request)
    indexes = [await asyncio.to_thread(report_index.index, portal.settings, name) for name in specs.names()]
    return portal.page("report_index.html", projects=indexes)


async def reports(request: Request) -> Response:
    """List the reports of a project, newest first."""
    portal, name = of_project(request)
    index = await asyncio.to_thread(report_index.index, portal.settings, name)
    newest = list(islice(report_index.reports(portal.settings, name), LISTED))
    return portal.page(
        "reports.html",
        index=index,
        reports=newest,
        metrics=newest[0]["headline"][:3] if newest else [],
        evidently=outside(portal.settings, "monitoring", origin(request)),
    )


ROUTES = [Route("/reports/", every_report), Route("/reports/{project}/", reports)]
