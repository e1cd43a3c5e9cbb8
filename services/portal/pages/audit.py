"""The audit: what people did in the browser, and what was decided about versions, the newest first."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal.portal import portal_of
from stack.access import actions
from stack.core.settings import Settings
from stack.promotion import decisions
from stack.specification import specs

LAST = 200


@dataclass(frozen=True)
class Line:
    """A line of the audit."""

    at: datetime
    """On the wall clock."""
    project: str
    """Empty for an action on the whole stack."""
    caller: str
    """Empty for a decision, which the stack takes by itself or carries out for the action before it."""
    what: str
    outcome: str


async def page(request: Request) -> Response:
    """Show the audit of all projects, or of the one that the query names."""
    portal, name = portal_of(request), request.query_params.get("project") or None
    lines = await asyncio.to_thread(_lines, portal.settings, name)
    return portal.page("audit.html", lines=lines, names=specs.names(), project=name, last=LAST)


def _lines(settings: Settings, name: str | None) -> list[Line]:
    """Return the newest actions and decisions."""
    done = [
        Line(entry.at, entry.project, entry.caller, entry.action, entry.outcome)
        for entry in actions.entries(settings.state_database, name, LAST)
    ]
    decided = [
        Line(
            entry.decided_at,
            project,
            "",
            f"{entry.kind} version {entry.version}{f' after {entry.champion}' if entry.champion else ''}",
            entry.reason if entry.state == "done" else f"{entry.state}: {entry.reason}",
        )
        for project, entry in decisions.recent(settings, name, LAST)
    ]
    return [*islice(sorted([*done, *decided], key=lambda line: line.at, reverse=True), LAST)]


ROUTES = [Route("/audit", page)]
