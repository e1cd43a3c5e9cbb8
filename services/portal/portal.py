"""What every page needs: the settings, the cache of slow queries, and the templates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from services import guard
from services.portal import formats
from services.portal.cache import Cache
from services.portal.jobs import Jobs
from services.portal.links import Origin
from services.portal.tickets import Tickets
from stack.core import pages
from stack.core.settings import Settings
from stack.core.version import version
from stack.ops.tools import TIMEOUT_SECONDS
from stack.specification import specs

HERE = Path(__file__).parent
MENU = {
    "Projects": "/",
    "New project": "/new",
    "Reports": "/reports/",
    "Data Docs": "/docs/",
    "Settings": "/settings",
    "Help": "/help/",
}.items()
"""Title -> address of the pages in the head of every page."""


@dataclass
class Portal:
    """State shared by the pages."""

    settings: Settings
    client: httpx.AsyncClient
    cache: Cache
    cards: Cache
    """Of what is shown at once, though it is of some minutes ago, until what is new has been read."""
    slow: Cache
    """Of what takes seconds and changes slowly."""
    templates: Environment
    jobs: Jobs
    tickets: Tickets
    followed: int = 0
    """Pages that browsers follow by events."""

    @classmethod
    def of(cls, settings: Settings) -> Portal:
        """Return the state of a stack's portal."""
        templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=select_autoescape(),
            trim_blocks=True,
            auto_reload=False,
        )
        templates.globals |= {
            "pages": pages,
            "menu": MENU,
            "read_only": settings.read_only,
            "version": version(),
        }
        templates.filters |= formats.FILTERS
        # The proxies of the user's shell do not lead to the stack's own services.
        client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)
        slow = Cache(fresh=600.0, stale=3600.0)
        return cls(settings, client, Cache(), Cache(stale=600.0), slow, templates, Jobs(settings), Tickets())

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a template's page."""
        return HTMLResponse(self.templates.get_template(template).render(stack=self.settings.title, **values), status)


def portal_of(request: Request) -> Portal:
    """Return the portal that a request was sent to."""
    portal: Portal = request.state.portal
    return portal


def of_project(request: Request) -> tuple[Portal, str]:
    """Return the portal and the project of a request; answer 404 where there is no such project."""
    name = request.path_params["project"]
    if name not in specs.names():
        raise HTTPException(404, f"no project {name}")
    return portal_of(request), name


async def form(request: Request) -> dict[str, str]:
    """Return the fields of a form without files, stripped."""
    sent = await request.form(max_files=0, max_fields=20)
    return {name: str(value).strip() for name, value in sent.items()}


def origin(request: Request) -> Origin:
    """Return how the browser reached the portal; the gateway's headers say so for requests from other machines."""
    gateway = request.headers.get("x-forwarded-proto") == "https"
    host = request.headers.get("x-forwarded-host", "") if gateway else request.headers.get("host", "")
    name = guard.hostname(host) or "127.0.0.1"
    return Origin(f"[{name}]" if ":" in name else name, gateway)
