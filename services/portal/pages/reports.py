"""The lists of report pages, of every project and of one."""

import asyncio
import re
from itertools import islice
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from services.portal import report_index
from services.portal.links import outside
from services.portal.portal import of_project, origin, portal_of
from stack.specification import specs

LISTED = 200
SHARED = re.compile(r'<script src="(\.\./assets/[0-9a-f]+\.js)"></script>')


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


async def download(request: Request) -> Response:
    """Send a page of a project as one file, which can be read anywhere: with the library that the pages share."""
    portal, name = of_project(request)
    file = portal.settings.pages / name / request.path_params["page"]
    if file.suffix != ".html" or file.parent != portal.settings.pages / name or not file.is_file():
        raise HTTPException(404, f"no page {file.name} of {name}")
    text = await asyncio.to_thread(_whole, file)
    given = {"Content-Disposition": f'attachment; filename="{name}-{file.name}"'}
    return HTMLResponse(text, headers=given)


def _whole(file: Path) -> str:
    def library(script: re.Match[str]) -> str:
        shared = (file.parent / script[1]).resolve()
        return f"<script>{shared.read_text()}</script>" if shared.is_file() else script[0]

    return SHARED.sub(library, file.read_text())


ROUTES = [
    Route("/reports/", every_report),
    Route("/reports/{project}/", reports),
    Route("/reports/{project}/{page}/download", download),
]
