"""Give a browser the stack's key."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import access
from services.portal.portal import portal_of


async def sign_in(request: Request) -> Response:
    """Ask for the key; the page keeps it in the browser."""
    return portal_of(request).page("sign_in.html")


ROUTES = [Route("/sign-in", sign_in), Route("/sign-in", access.check, methods=["POST"])]
