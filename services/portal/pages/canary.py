"""The switch of a project's canary, which answers a share of the requests first, and what its shadow answers unseen."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import access, processes
from services.portal.access import Done
from services.portal.portal import Portal, form, of_project
from stack.authoring import canary
from stack.core.errors import StackError
from stack.project import Project
from stack.specification import tasks

SHARE = 0.1
"""What the form offers where there is no canary."""
SHADOWS = "stack.promotion.shadows"
PATIENCE_SECONDS = 20.0


async def show(request: Request) -> Response:
    """Show the switch, as a part of the project's page."""
    portal, name = of_project(request)
    try:
        found: Any = await asyncio.to_thread(read, portal, name)
    except (StackError, httpx.HTTPError) as error:
        found = str(error)
    return portal.page("canary.html", name=name, canary=found)


def read(portal: Portal, name: str) -> dict[str, Any]:
    """Return the share of the canary, what it means, the version that answers, and whether there are shadows."""
    project = Project.open(name, portal.settings)
    answering = project.registry.canary()
    return {
        "share": project.spec.rollout.canary,
        "offered": project.spec.rollout.canary or SHARE,
        "meaning": canary.describe(project.spec.rollout),
        "hours": f"{project.spec.rollout.canary_for / timedelta(hours=1):g}",
        "version": answering.version if answering else "",
        "shadows": project.spec.rollout.shadow,
    }


async def shadow(request: Request) -> Response:
    """Show what a shadow answers beside the champion, as a part of the project's page."""
    portal, name = of_project(request)
    query = partial(processes.read, portal.settings, SHADOWS, name)
    found = (await portal.slow.read({f"shadow {name}": query}, PATIENCE_SECONDS)).popitem()[1]
    loss = tasks.of(Project.open(name, portal.settings).spec).loss.replace("_", "-")
    return portal.page(
        "shadow.html", shadow=found, loss=loss, problem=str(found) if isinstance(found, Exception) else ""
    )


@access.action("canary")
async def switch(request: Request) -> Done:
    """Set the share of the canary; 0 withdraws the one that answers."""
    portal, name = of_project(request)
    share = await _share(request)
    outcome = await asyncio.to_thread(canary.switch, portal.settings, name, share, datetime.now(UTC))
    withdrawn = ""
    if not share:
        reason = f"the canary was switched off by {access.caller(request)}"
        withdrawn = await asyncio.to_thread(canary.withdraw, portal.settings, name, reason)
    said = [f"canary: {outcome}"]
    said += [f"version {withdrawn} is withdrawn"] if withdrawn else []
    return Done("; ".join(said), parameters={"share": share, "withdrawn": withdrawn})


async def _share(request: Request) -> float:
    """Return the share that the form names in per cent; 0 for off."""
    given = await form(request)
    if given.get("canary") == "off":
        return 0.0
    text = given.get("percent", "")[:20]
    try:
        share = float(text.replace(",", ".")) / 100
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise StackError("Share of the requests", found=f"{text!r}", expected="more than 0 and less than 100 per cent")
    return round(share, 6)


ROUTES = [
    Route("/projects/{project}/shadow", shadow),
    Route("/projects/{project}/canary", show),
    Route("/projects/{project}/canary", switch, methods=["POST"]),
]
