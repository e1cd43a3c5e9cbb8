"""The list of projects whose batches were validated."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal.portal import portal_of


async def data_docs(request: Request) -> Response:
    """List the projects whose batches were validated."""
    portal = portal_of(request)
    names = sorted(page.parent.name for page in portal.settings.data_docs.glob("*/index.html"))
    return portal.page("docs.html", names=names)


ROUTES = [Route("/docs/", data_docs)]
