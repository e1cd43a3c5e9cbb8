"""The documents of the stack and of its projects, to read and to search."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.portal import document_search, documents
from services.portal.document_search import Hit
from services.portal.documents import Entry
from services.portal.portal import portal_of
from stack.core.settings import Settings


async def index(request: Request) -> Response:
    """List the documents, or the sections that match a query."""
    portal, query = portal_of(request), request.query_params.get("q", "").strip()
    hits = await asyncio.to_thread(_found, portal.settings, query) if query else []
    listed = [] if query else await asyncio.to_thread(_all, portal.settings)
    return portal.page("help.html", query=query, hits=hits, documents=listed)


async def document(request: Request) -> Response:
    """Show a document."""
    portal = portal_of(request)
    files = await asyncio.to_thread(documents.sources, portal.settings)
    source = next((name for name in files if documents.address(name) == request.url.path), None)
    if source is None:
        raise HTTPException(404, "no such document; /help/ lists them")
    shown = await asyncio.to_thread(documents.read, files, source)
    return portal.page("document.html", document=shown)


async def image(request: Request) -> Response:
    """Return a picture of a document."""
    path = documents.images().get(f"docs/{request.path_params['name']}.png")
    if path is None:
        raise HTTPException(404, "no such picture")
    return FileResponse(path)


def _all(settings: Settings) -> list[Entry]:
    return documents.entries(documents.sources(settings))


def _found(settings: Settings, query: str) -> list[Hit]:
    """Search the documents; only those whose text has all words are rendered."""
    files, words = documents.sources(settings), document_search.words(query)
    texts = {source: documents.text(path).lower() for source, path in files.items()}
    candidates = [source for source, text in texts.items() if all(word in text for word in words)]
    return document_search.search((documents.read(files, source) for source in candidates), query)


ROUTES = [
    Route("/help/", index),
    Route("/help/{name}.png", image),
    Route("/help/{page:path}", document),
]
