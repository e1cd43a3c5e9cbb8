"""The prediction log: its newest predictions and its days on charts, and the way from one back to its raw rows."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.portal import logged_predictions, processes, report_index
from services.portal.formats import quantity
from services.portal.links import outside
from services.portal.logged_predictions import Row
from services.portal.pages import labels
from services.portal.portal import Portal, of_project, origin
from stack.core.errors import StackError
from stack.prediction_log import logged
from stack.prediction_log.logged import LOOKED_AT, Keep, Logged, Place
from stack.project import Project
from stack.registry.registry import Version
from stack.specification import specs
from stack.specification.specs import ProjectSpec

SHOWN = 50
FIELDS = 4
"""Request fields in the list; the page of one prediction has all."""
DAYS = {"91": "last quarter", "366": "last year"}
"""How many days the charts have, as the address has it -> how they are called."""
LAST_DAY = date.max - timedelta(days=1)
"""After which there is another day."""
UNREADABLE = (KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Feature:
    """A feature value that the model saw."""

    name: str
    value: str
    view: str = ""
    """Feature view that it is of; empty where it follows from the request."""
    at: str = ""
    """Event time of the view's row."""
    different: bool = False
    """Whether the row has another value now."""


async def predictions(request: Request) -> Response:
    """List the newest predictions; the address filters them, and says where the page begins."""
    portal, name = of_project(request)
    query = request.query_params
    wanted = query.get("id", "").strip()
    found_one: Logged | None = await asyncio.to_thread(logged.one, portal.settings.state_database, name, wanted)
    if found_one:
        return RedirectResponse(f"/projects/{name}/predictions/{found_one.id}", HTTPStatus.SEE_OTHER)
    try:
        spec = specs.load(name)
        filters = logged_predictions.filters(spec)
        chosen = query.get("only", "") if query.get("only") in filters else ""
        found = await asyncio.to_thread(_page, portal, name, query, filters[chosen][1])
    except StackError as error:
        return portal.page("predictions.html", HTTPStatus.CONFLICT, name=name, error=error)
    rows = [*_rows(spec, found.rows)]
    days = query.get("days", "") if query.get("days") in DAYS else next(iter(DAYS))
    kept = {"day": query.get("day", ""), "only": chosen, "days": days}
    return portal.page(
        "predictions.html",
        name=name,
        spec=spec,
        rows=rows,
        fields=[*spec.request][:FIELDS],
        next=f"?{urlencode(kept | {'before': str(found.last)})}" if found.last else "",
        begun="before" in query,
        filters={key: title for key, (title, _) in filters.items()},
        kept=kept,
        windows=DAYS,
        unknown=wanted,
        looked_at=LOOKED_AT if chosen else 0,
        charts=await _charts(portal, spec, int(days)),
    )


async def prediction(request: Request) -> Response:
    """Show a prediction: what was asked, what the model saw, its answer and reasons, and what was true."""
    portal, name = of_project(request)
    spec, found = await _one(request)
    row = next(_rows(spec, [found]), None)
    if row is None:
        raise HTTPException(HTTPStatus.CONFLICT, f"prediction {found.id} has an answer that cannot be read")
    key = f"version {name} {found.model_version}"
    registered = partial(asyncio.to_thread, _version, portal, name, found.model_version)
    version = (await portal.slow.read({key: registered}))[key]
    return portal.page(
        "prediction.html",
        name=name,
        spec=spec,
        row=row,
        features=_features(found),
        registered=version if isinstance(version, Version) else None,
        card=report_index.card(portal.settings, name, found.model_version),
        mlflow=outside(portal.settings, "mlflow", origin(request)),
        given=await asyncio.to_thread(labels.given, portal, name, found.id) if found.label is not None else None,
    )


async def features(request: Request) -> Response:
    """Show the features of a prediction with the view of each, as a part of its page."""
    portal, name = of_project(request)
    _, found = await _one(request)
    try:
        traced = await processes.read(portal.settings, "stack.lineage", name, found.id)
    except RuntimeError as error:
        return portal.page("prediction_features.html", features=_features(found), problem=error)
    return portal.page("prediction_features.html", features=_features(found, traced["views"]), traced=True)


async def rows(request: Request) -> Response:
    """Show the page of the raw rows of a prediction, which take seconds to read."""
    portal, name = of_project(request)
    _, found = await _one(request)
    return portal.page("prediction_rows.html", name=name, logged=found)


async def raw_rows(request: Request) -> Response:
    """Show the raw rows that the features of a prediction are computed from, as a part of their page."""
    portal, name = of_project(request)
    spec, found = await _one(request)
    try:
        traced = await processes.read(portal.settings, "stack.lineage", name, found.id, "--rows")
    except RuntimeError as error:
        traced = {"problem": error}
    return portal.page("raw_rows.html", spec=spec, **traced)


async def _one(request: Request) -> tuple[ProjectSpec, Logged]:
    """Return the project and the prediction of a request; answer 404 where there is no such prediction."""
    portal, name = of_project(request)
    prediction = str(request.path_params["prediction"])
    found = await asyncio.to_thread(logged.one, portal.settings.state_database, name, prediction)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no prediction {prediction} of {name}")
    try:
        return specs.load(name), found
    except StackError as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None


def _page(portal: Portal, name: str, query: QueryParams, keep: Keep | None) -> logged.Page:
    day = before = None
    with suppress(ValueError):
        day = datetime.combine(min(date.fromisoformat(query.get("day", "")), LAST_DAY), time(), UTC)
    with suppress(ValueError):
        before = Place.read(query.get("before", ""))
    return logged.page(portal.settings.state_database, name, SHOWN, day=day, before=before, keep=keep)


def _rows(spec: ProjectSpec, found: list[Logged]) -> Iterator[Row]:
    for each in found:
        with suppress(*UNREADABLE):
            yield logged_predictions.row(spec, each)


async def _charts(portal: Portal, spec: ProjectSpec, days: int) -> dict[str, Any] | None:
    """Return the charts of the last days; None where they cannot be had in time."""
    output = logged_predictions.output(spec)
    query = partial(asyncio.to_thread, logged.by_day, portal.settings.state_database, spec.name, days, output)
    key = f"days {spec.name} {days}"
    totals = (await portal.slow.read({key: query}))[key]
    return logged_predictions.charts(spec, totals) if isinstance(totals, logged.Days) else None


def _version(portal: Portal, name: str, number: str) -> Version:
    return Project.open(name, portal.settings).registry.numbered(number)


def _features(found: Logged, views: list[dict[str, Any]] | None = None) -> list[Feature]:
    view_of = {name: view for view in views or [] for name in view["features"]}
    return [
        Feature(name, text, view["name"], view["at"], name in view["different"])
        if (view := view_of.get(name))
        else Feature(name, text)
        for name, value in found.features.items()
        for text in [quantity(value) if isinstance(value, int | float) else str(value or "missing")]
    ]


PATH = "/projects/{project}/predictions"
ROUTES = [
    Route(PATH, predictions),
    Route(f"{PATH}/{{prediction:uuid}}", prediction),
    Route(f"{PATH}/{{prediction:uuid}}/features", features),
    Route(f"{PATH}/{{prediction:uuid}}/rows", rows),
    Route(f"{PATH}/{{prediction:uuid}}/rows/read", raw_rows),
]
