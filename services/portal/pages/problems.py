"""What is wrong, for programs."""

from dataclasses import asdict
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.portal.portal import Portal, portal_of
from stack.core.problems import Problem
from stack.ops import health


async def find(portal: Portal) -> list[Problem]:
    """Return what is wrong now."""
    return await health.problems(portal.settings, portal.client, datetime.now(UTC))


async def problems_json(request: Request) -> Response:
    """List what is wrong as JSON, for command lines that cannot see the state."""
    return JSONResponse([asdict(problem) for problem in await find(portal_of(request))])


async def healthy(_: Request) -> Response:
    """Report that this process answers."""
    return JSONResponse({"status": "ok"})


ROUTES = [Route("/problems.json", problems_json), Route("/healthz", healthy)]
