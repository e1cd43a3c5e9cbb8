"""The data sets of a project, and the pipeline between them as a picture: an SVG with a column for each kind."""

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.portal import processes
from services.portal.portal import Portal, of_project

KINDS = ("raw table", "feature view", "training set", "model", "prediction log", "reports")
"""In the order of the pipeline."""
WIDTH, HEIGHT, GAP, ROW = 156, 46, 31, 58
TOP = 26
LETTERS = 16
PATIENCE_SECONDS = 20.0


async def catalog(request: Request) -> Response:
    """List the data sets of a project as a page."""
    portal, name = of_project(request)
    sets = await _data_sets(portal, name)
    if not isinstance(sets, list):
        return portal.page("catalog.html", name=name, problem=str(sets or ""))
    kinds = [(kind, [data_set for data_set in sets if data_set["kind"] == kind]) for kind in KINDS]
    return portal.page("catalog.html", name=name, kinds=kinds, picture=picture(sets))


async def catalog_json(request: Request) -> Response:
    """List the data sets of a project as JSON."""
    portal, name = of_project(request)
    sets = await _data_sets(portal, name, PATIENCE_SECONDS)
    if isinstance(sets, list):
        return JSONResponse(sets)
    raise HTTPException(503, f"the data sets of {name} cannot be listed: {sets or 'it takes long; ask again'}")


async def _data_sets(portal: Portal, name: str, patience: float | None = None) -> Any:
    """Return the data sets, an exception where they cannot be listed, None where that takes longer."""
    query = partial(processes.read, portal.settings, "stack.catalog", name)
    return (await portal.cache.read({f"catalog {name}": query}, patience))[f"catalog {name}"]


def picture(sets: Sequence[Mapping[str, Any]]) -> str:
    """Draw the data sets, a column for each kind; data flows from left to right."""
    every = {kind: [data_set for data_set in sets if data_set["kind"] == kind] for kind in KINDS}
    columns = {kind: column for kind, column in every.items() if column}
    rows = max(map(len, columns.values()), default=0)
    width, height = len(columns) * (WIDTH + GAP) - GAP + 2, TOP + rows * ROW
    parts = [
        f'<svg class="picture" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        'aria-label="the pipeline between the data sets">'
    ]
    before: list[float] = []
    for number, (kind, column) in enumerate(columns.items()):
        x = number * (WIDTH + GAP) + 1
        top = TOP + (rows - len(column)) * ROW / 2  # a short column is centred
        tops = [top + row * ROW for row in range(len(column))]
        parts.append(f'<text class="kind" x="{x}" y="14">{escape(kind)}</text>')
        parts += [_line(x, start, end) for start in before for end in tops]
        parts += [_box(x, y, data_set) for y, data_set in zip(tops, column, strict=True)]
        before = tops
    return "".join([*parts, "</svg>"])


def _line(x: float, start: float, end: float) -> str:
    left, y1, y2 = x - GAP, start + HEIGHT / 2, end + HEIGHT / 2
    bend = GAP / 2
    return f'<path class="edge" d="M{left} {y1} C{left + bend} {y1} {x - bend} {y2} {x} {y2}"/>'


def _box(x: float, y: float, data_set: Mapping[str, Any]) -> str:
    name, rows = str(data_set["name"]), data_set["rows"]
    note = data_set["note"].partition(" · ")[0] if rows is None else f"{rows:,} row{'' if rows == 1 else 's'}"
    return (
        f"<g><title>{escape(name)}: {escape(str(data_set['place']))}</title>"
        f'<rect class="box" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7"/>'
        f'<text class="what" x="{x + 10}" y="{y + 19}">{escape(_short(name, LETTERS))}</text>'
        f'<text class="note" x="{x + 10}" y="{y + 36}">{escape(_short(note, LETTERS + 4))}</text></g>'
    )


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


ROUTES = [Route("/catalog/{project}.json", catalog_json), Route("/catalog/{project}", catalog)]
