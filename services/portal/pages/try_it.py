"""Try a project's model: a form of its request, the answer with interval and reasons, and the same as a command."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import access, answers, forms, predictions, report_index
from services.portal.links import outside
from services.portal.portal import Portal, of_project, origin
from stack.core.errors import StackError
from stack.specification import example, forecasts, specs
from stack.specification.request import MAX_EXPLAINED
from stack.specification.specs import ProjectSpec


async def form(request: Request) -> Response:
    """Show the form, filled with the example."""
    portal, name = of_project(request)
    try:
        spec = specs.load(name)
    except StackError as error:
        return portal.page("try_it.html", HTTPStatus.CONFLICT, name=name, error=error)
    steps = spec.forecast.steps if spec.forecast and forecasts.inputs(spec) else 0
    return portal.page(
        "try_it.html",
        name=name,
        spec=spec,
        inputs=forms.inputs(spec),
        steps=steps,
        **_commands(portal, request, spec, example.row(spec)),
    )


async def ask(request: Request) -> Response:
    """Ask the champion what the form says. The id of an earlier answer asks what if: it is not logged again."""
    portal, name = of_project(request)
    if not (portal.settings.read_only or access.may_act(portal, request)):
        return portal.page("acted.html", HTTPStatus.UNAUTHORIZED, sign_in=True)
    filled = await request.form()
    try:
        spec = specs.load(name)
        row = forms.row(spec, filled)
        asked = row | {"prediction_id": _id(str(filled.get("prediction_id", "")))}
        response = await predictions.send(portal, name, "predict", _body(spec, asked))
        if response.status_code == HTTPStatus.CONFLICT:  # a version of an early release has no reasons
            response = await predictions.send(portal, name, "predict", {"rows": [asked]})
    except StackError as error:
        return portal.page("acted.html", HTTPStatus.BAD_GATEWAY, error=error)
    names = [field.name for field in forms.inputs(spec)]
    if not response.is_success:
        problem = predictions.problem(response)
        about = _by_field(names, problem) | {"problem": problem, "asked": asked["prediction_id"]}
        return portal.page("refused.html", response.status_code, **about)
    (answer,) = response.json()
    return portal.page(
        "answer.html",
        name=name,
        spec=spec,
        answer=answer,
        asked=asked["prediction_id"],
        card=report_index.card(portal.settings, name, answer["model_version"]),
        names=names,
        **_view(spec, row, answer),
        **_commands(portal, request, spec, row),
    )


def _body(spec: ProjectSpec, row: Mapping[str, Any]) -> dict[str, Any]:
    steps = len(row.get(forms.STEPS, ())) or spec.forecast.steps if spec.forecast else 1
    return {"rows": [row], "explain": steps <= MAX_EXPLAINED}


def _id(sent: str) -> str:
    try:
        return str(UUID(sent))
    except ValueError:
        return str(uuid4())


def _view(spec: ProjectSpec, row: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows of an answer: of a forecast the chart, the table and the reasons of a step."""
    if not spec.forecast:
        return {"shown": answers.shown(spec, row, answer)}
    steps = answer["forecast"]
    inputs = row.get(forms.STEPS, [{}])[0]
    return {
        "shown": answers.shown(spec, {**row, **inputs}, steps[0]),
        "steps": answers.steps(spec, steps),
        "chart": answers.chart(spec, steps),
    }


def _by_field(names: list[str], problem: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the service says of each field, and of the whole."""
    fields: dict[str, str] = {}
    general: list[str] = []
    for mistake in problem.get("detail") or []:
        place = [part for part in mistake["loc"] if part in names]
        if place:
            fields.setdefault(place[-1], mistake["msg"])
        else:
            general.append(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}")
    return {"names": names, "fields": fields, "general": general}


def _commands(portal: Portal, request: Request, spec: ProjectSpec, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request as commands to copy."""
    url, body = outside(portal.settings, "prediction", origin(request)), json.dumps({"rows": [row], "explain": True})
    if not _body(spec, row)["explain"]:
        body = json.dumps({"rows": [row]})
    return {"curl": example.curl(url, spec.name, body), "python": example.python(url, spec.name, body)}


ROUTES = [Route("/projects/{project}/try", form), Route("/projects/{project}/try", ask, methods=["POST"])]
