"""The page of a project: what is live, what runs and awaits an answer, its past on charts, and what can be done."""

import asyncio
from functools import partial
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import history, report_index, series
from services.portal.alarms import Alarm, alarms
from services.portal.cards import card
from services.portal.drift_map import drift_map
from services.portal.history import History
from services.portal.links import outside
from services.portal.pages import canary
from services.portal.pages.actions import STARTS
from services.portal.portal import Portal, of_project, origin
from stack.access import actions
from stack.core.errors import StackError
from stack.ops.project_runs import ProjectRuns
from stack.project import Project
from stack.promotion import decisions
from stack.promotion.decisions import Entry

REPORTS = 400
DECISIONS = 100
ACTIONS = 10
EVENTS = 20
"""Decisions and alarms that are listed."""


async def project(request: Request) -> Response:
    """Show a project."""
    portal, name = of_project(request)
    reached = origin(request)
    cards, results = await asyncio.gather(
        portal.cards.read(
            {
                f"project {name}": partial(asyncio.to_thread, card, portal.settings, name),
                f"history {name}": partial(asyncio.to_thread, _history, portal, name),
            }
        ),
        portal.cache.read(
            {
                f"runs {name}": partial(asyncio.to_thread, _runs, portal, name),
                f"canary {name}": partial(asyncio.to_thread, canary.read, portal, name),
            }
        ),
    )
    return portal.page(
        "project.html",
        name=name,
        card=cards[f"project {name}"],
        history=_or_none(cards[f"history {name}"]),
        runs=results[f"runs {name}"],
        canary=results[f"canary {name}"],
        starts=STARTS,
        links={tool: outside(portal.settings, tool, reached) for tool in ("mlflow", "prefect", "monitoring")},
    )


def _runs(portal: Portal, name: str) -> dict[str, Any]:
    """Return the runs of a project, and what was done to it in the browser."""
    runs, done = ProjectRuns(portal.settings, name), actions.entries(portal.settings.state_database, name, ACTIONS)
    try:
        found: dict[str, Any] = {
            "recent": runs.recent(),
            "due": runs.due(),
            "awaiting": runs.awaiting(),
            "paused": runs.paused,
        }
    except StackError as error:
        found = {"problem": str(error)}
    return {**found, "actions": done[::-1]}


def _history(portal: Portal, name: str) -> dict[str, Any]:
    """Return what the charts and lists of the past show."""
    entries = decisions.entries(Project.open(name, portal.settings), DECISIONS)
    reports = [*islice(report_index.reports(portal.settings, name), REPORTS)]
    raised = alarms(portal.settings, name, reports)
    promotions = [entry.at for entry in entries if entry.kind in ("promote", "rollback") and entry.state == "done"]
    events: list[Entry | Alarm] = [*entries, *raised]
    week = History.of(portal.settings).read(history.now(), name)
    return {
        "charts": series.charts(reports, entries, raised),
        "drift": drift_map(reports, promotions),
        "traffic": series.traffic(week, entries, raised),
        "events": sorted(events, key=lambda event: event.at, reverse=True)[:EVENTS],
    }


def _or_none(result: Any) -> Any:
    return result if isinstance(result, dict) else None


ROUTES = [Route("/projects/{project}", project)]
