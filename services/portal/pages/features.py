"""The feature server's API, drawn by files of this machine; its own page loads them from a CDN."""

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from services.portal import _compat
from services.portal.links import outside
from services.portal.portal import origin, portal_of
from stack.ops.tools import inside

SWAGGER_UI = _compat.swagger_ui()
LOAD_SECONDS = 60.0
"""Time limit of the feature server's answer; its first request loads it."""


async def features(request: Request) -> Response:
    """Show the feature server's API."""
    portal = portal_of(request)
    address = outside(portal.settings, "features", origin(request))
    if not SWAGGER_UI.is_dir():
        return RedirectResponse(f"{address}/openapi.json")
    return portal.page("features.html", address=address)


async def features_api(request: Request) -> Response:
    """Return the feature server's OpenAPI document."""
    portal = portal_of(request)
    try:
        url = f"{inside(portal.settings, 'features')}/openapi.json"
        answer = await portal.client.get(url, timeout=LOAD_SECONDS)
    except httpx.HTTPError as error:
        return JSONResponse({"error": f"feature server: {error or type(error).__name__}"}, 502)
    return Response(answer.content, answer.status_code, media_type="application/json")


ROUTES = [Route("/features/", features), Route("/features/openapi.json", features_api)]
