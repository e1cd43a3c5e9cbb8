"""The home page: the states of the services, what is wrong, and a card for each project."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal.cache import Query
from services.portal.cards import Card, card
from services.portal.links import outside
from services.portal.pages.problems import find
from services.portal.pages.settings import SETTING_UP
from services.portal.portal import Portal, origin, portal_of
from services.portal.recent import Recent, recent
from stack.access import actions
from stack.ops import releases, scheduled
from stack.ops.tools import ToolState, ask, inside, tools
from stack.specification import example, specs


async def home(request: Request) -> Response:
    """Show the states of the services and a card for each project."""
    portal = portal_of(request)
    settings, reached, names = portal.settings, origin(request), specs.names()
    shown = tools(settings)
    queries: dict[str, Query] = {"problems": partial(find, portal), "awaiting": partial(_awaiting, portal)}
    queries["set up"] = partial(asyncio.to_thread, actions.happened, settings.state_database, SETTING_UP)
    queries |= {tool.title: partial(ask, portal.client, settings, tool) for tool in shown}
    results, (cards, past) = await asyncio.gather(portal.cache.read(queries), _read(portal, names))
    return portal.page(
        "home.html",
        tools=[
            (tool, _state(results[tool.title]), tool.here or outside(settings, tool.service, reached) + tool.page)
            for tool in shown
        ],
        names=names,
        cards=cards,
        recent=[each if isinstance(each, Recent) else None for each in past],
        awaiting=results["awaiting"] if isinstance(results["awaiting"], set) else set(),
        problems=results["problems"] if isinstance(results["problems"], list) else None,
        checked_out=releases.checked_out(),
        first_start=results["set up"] is False and not (settings.alert_urls or settings.read_only),
        backups=settings.backup_daily > 0,
        backup=await asyncio.to_thread(scheduled.read, settings),
        checked=any(isinstance(card, Card) and card.data_docs for card in cards),
        reported=any(isinstance(card, Card) and card.report for card in cards),
        mlflow=outside(settings, "mlflow", reached),
        evidently=outside(settings, "monitoring", reached),
        prediction=outside(settings, "prediction", reached),
        curl=example.curl,
    )


async def warm(portal: Portal) -> None:
    """Read what the first visitor will ask for."""
    await _read(portal, specs.names())


async def _read(portal: Portal, names: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """Return card and recent past of each project, as the caches have them."""
    cards = {name: partial(asyncio.to_thread, card, portal.settings, name) for name in names}
    past = {name: partial(asyncio.to_thread, recent, portal.settings, name) for name in names}
    read = await asyncio.gather(
        portal.cards.read({f"project {name}": query for name, query in cards.items()}),
        portal.slow.read({f"recent {name}": query for name, query in past.items()}),
    )
    return [*read[0].values()], [*read[1].values()]


async def _awaiting(portal: Portal) -> set[str]:
    """Return the projects with a run of the gate that awaits a person's answer."""
    settings, paused = portal.settings, {"state": {"type": {"any_": ["PAUSED"]}}}
    question = {"flows": {"name": {"any_": ["promote"]}}, "flow_runs": paused}
    url = f"{inside(settings, 'prefect')}/api/flow_runs/filter"
    answer = await portal.client.post(url, json=question, headers=settings.prefect_headers)
    return {str(run["parameters"].get("project", "")) for run in answer.raise_for_status().json()}


def _state(result: Any) -> ToolState:
    if isinstance(result, ToolState):
        return result
    return ToolState(None, "asking") if result is None else ToolState(False, str(result))


ROUTES = [Route("/", home)]
