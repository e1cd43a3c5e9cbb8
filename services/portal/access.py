"""Who may act in the browser, and the audit of what they did.

Everybody who reaches the portal may read. To act takes the stack's key: the link that `make up` prints gives it to a
browser on this machine, the gateway adds it to what comes with a login. It is sent in a header, never as a cookie, so
that a page of another site cannot act with it, nor can another account of this machine.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.portal.portal import Portal, portal_of
from stack.access import actions
from stack.access.actions import Action
from stack.core.errors import StackError

USER = "x-stack-user"
"""Header of the gateway with the name of the login or token."""
HERE = "this machine"
MAX_NAME = 100
"""Letters of the name of a caller."""
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Done:
    """What came of an action."""

    outcome: str
    """For the audit and the page."""
    href: str = ""
    """Where it can be followed."""
    link: str = "follow it"
    """Text of the link there."""
    job: str = ""
    """Id of the job that it started, whose output is shown."""
    unattended: bool = False
    """Whether it started what stops the portal, whose progress is shown when it is back."""
    project: str = ""
    parameters: Mapping[str, Any] | None = None
    details: Sequence[str] = ()
    """More for the page, a line each."""


def with_key(handler: Handler) -> Handler:
    """Let a handler of requests answer those who may act; others are asked for the key."""

    @wraps(handler)
    async def checked(request: Request) -> Response:
        portal = portal_of(request)
        if not may_act(portal, request):
            return portal.page("acted.html", HTTPStatus.UNAUTHORIZED, sign_in=True)
        return await handler(request)

    return checked


def action(name: str) -> Callable[[Callable[[Request], Awaitable[Done]]], Handler]:
    """Make a handler of requests of a function that acts: it asks for the key, records, and shows what came of it.

    Args:
        name: of the action, in the audit.
    """

    def decorated(act: Callable[[Request], Awaitable[Done]]) -> Handler:
        @with_key
        @wraps(act)
        async def handler(request: Request) -> Response:
            portal = portal_of(request)
            project = request.path_params.get("project", "")
            try:
                done = await act(request)
            except StackError as error:
                await _record(portal, Action(caller(request), project, name, {}, f"failed: {error}", _now()))
                return portal.page("acted.html", HTTPStatus.CONFLICT, error=error)
            except HTTPException:  # nothing was done
                raise
            except Exception as error:
                await _record(portal, Action(caller(request), project, name, {}, f"failed: {error!r}", _now()))
                raise
            parameters = done.parameters or {}
            await _record(
                portal, Action(caller(request), done.project or project, name, parameters, done.outcome, _now())
            )
            page = portal.page("acted.html", done=done)
            page.headers["HX-Trigger"] = "acted"  # htmx's event for parts of the page that show what has changed
            return page

        return handler

    return decorated


def may_act(portal: Portal, request: Request) -> bool:
    """Return whether a request brings the key of a stack that can be changed."""
    key = portal.settings.prefect_headers.get("Authorization", "")
    return (
        bool(key)
        and not portal.settings.read_only
        and hmac.compare_digest(request.headers.get("authorization", "").encode(), key.encode())
    )


def caller(request: Request) -> str:
    """Return who sends a request: the login at the gateway and its address, or this machine."""
    user = _plain(unquote(request.headers.get(USER, "")))
    address = _plain(request.headers.get("x-forwarded-for", "").rpartition(",")[2])
    return f"{user} at {address}" if user and address else user or HERE


def _plain(text: str) -> str:
    """Return a name of one short line."""
    return "".join(filter(str.isprintable, text))[:MAX_NAME].strip()


async def check(request: Request) -> Response:
    """Answer whether the browser may act."""
    allowed = may_act(portal_of(request), request)
    return HTMLResponse(status_code=HTTPStatus.NO_CONTENT if allowed else HTTPStatus.UNAUTHORIZED)


async def _record(portal: Portal, entry: Action) -> None:
    await asyncio.to_thread(actions.record, portal.settings.state_database, entry)


def _now() -> datetime:
    return datetime.now(UTC)
