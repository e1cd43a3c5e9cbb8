"""Changes of an open page, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import Message

from services.portal.pages import catalog, home, project
from services.portal.portal import portal_of

SECONDS = 3.0
"""Between two looks at what a page shows."""
MOST = 40
"""Pages that are followed at once: each is made anew at every look."""
SHARE = 10
"""A page that takes long is looked at less often: this many times as long passes until the next look."""
PAGES = Router([*home.ROUTES, *project.ROUTES, *catalog.ROUTES])
"""The pages with parts that are live, marked with ``data-live`` in their templates."""


async def events(request: Request) -> Response:
    """Send the page named by the query, and again whenever it has changed, until the browser leaves."""
    if portal_of(request).followed >= MOST:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST} pages are followed already")
    page = await rendered(request)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(news(request, page), media_type="text/event-stream", headers=headers)


async def news(request: Request, page: str) -> AsyncIterator[str]:
    """Yield an event with the page as it is, and one for each change of it."""
    portal, spent = portal_of(request), 0.0
    portal.followed += 1
    try:
        yield event(page)
        while True:
            await asyncio.sleep(max(SECONDS, SHARE * spent))
            began = monotonic()
            now = await rendered(request)
            yield event(now) if now != page else ": nothing new\n\n"
            page, spent = now, monotonic() - began
    except HTTPException:  # the project has been removed
        return
    finally:
        portal.followed -= 1


def event(page: str) -> str:
    """Return the event that carries a page."""
    return f"data: {json.dumps(page)}\n\n"


async def rendered(request: Request) -> str:
    """Return the HTML of the page named by the query, as the browser that asks would get it.

    Raises:
        HTTPException: there is no such page with live parts.
    """
    path, _, query = request.query_params.get("page", "").partition("?")
    asked = {"path": path, "raw_path": path.encode(), "query_string": query.encode(), "method": "GET"}
    answer: list[Message] = []

    async def send(message: Message) -> None:
        answer.append(message)

    await PAGES({**request.scope, **asked}, request.receive, send)
    if answer[0]["status"] != HTTPStatus.OK:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no page with live parts")
    return b"".join(message.get("body", b"") for message in answer).decode()


ROUTES = [Route("/events", events)]
