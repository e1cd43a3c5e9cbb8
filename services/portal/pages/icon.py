"""The icon, where browsers ask for it of themselves: for pages that name none."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.portal.headers import RESOURCE
from services.portal.portal import HERE


async def icon(_: Request) -> Response:
    """Return the icon, to sandboxed pages too."""
    return FileResponse(HERE / "static" / "portal.svg", headers={RESOURCE: "cross-origin"})


ROUTES = [Route("/favicon.ico", icon)]
