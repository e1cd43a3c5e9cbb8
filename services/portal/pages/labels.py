"""Say what was true: a queue of predictions without a label, the least certain first, and files of outcomes.

Labels go to the prediction service as feedback. The audit keeps what a label was before, and undo restores it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import access, answers, labelling, predictions
from services.portal.access import Done
from services.portal.formats import whole
from services.portal.portal import Portal, of_project
from stack.access import actions
from stack.access.actions import Action
from stack.core.errors import StackError
from stack.prediction_log import unlabelled
from stack.prediction_log.unlabelled import Unlabelled
from stack.project import Project
from stack.specification import specs
from stack.specification.request import MAX_ROWS
from stack.specification.specs import ProjectSpec

QUEUED, SHOWN, AUDITED = 500, 20, 10
LABEL, UNDO, UPLOAD = "label", "undo label", "upload labels"
"""Actions of the audit."""
SEARCHED = 200
"""The last actions among which the former label is found."""
MAX_BYTES = 2_000_000
REASONS = 20
"""Refused lines that the page shows."""


@dataclass(frozen=True)
class Question:
    """A prediction whose outcome is asked for."""

    row: Unlabelled
    answer: str


async def labels(request: Request) -> Response:
    """Show a page of the queue, and the last labels that were given."""
    portal, name = of_project(request)
    first = (max(whole(request.query_params.get("page", ""), QUEUED), 1) - 1) * SHOWN
    try:
        project = Project.open(name, portal.settings)
        rows = await asyncio.to_thread(_queue, project)
        latest = await asyncio.to_thread(_latest, portal, name)
    except StackError as error:
        return portal.page("labels.html", HTTPStatus.CONFLICT, name=name, error=error)
    spec = project.spec
    questions = [Question(row, answers.in_words(spec, row.answer)) for row in rows[first : first + SHOWN]]
    return portal.page(
        "labels.html",
        name=name,
        spec=spec,
        questions=questions,
        outcomes={} if project.task.numeric else answers.outcome_texts(spec),
        count=len(rows),
        first=first,
        shown=SHOWN,
        full=len(rows) == QUEUED,
        given=latest,
        unit=answers.unit(spec),
    )


async def download(request: Request) -> Response:
    """Return the queue as a CSV file to fill in."""
    portal, name = of_project(request)
    try:
        project = Project.open(name, portal.settings)
    except StackError as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
    content = labelling.write(project.spec, await asyncio.to_thread(_queue, project))
    headers = {"Content-Disposition": f'attachment; filename="{name}-labels.csv"'}
    return Response(content, media_type="text/csv", headers=headers)


@access.action(LABEL)
async def give(request: Request) -> Done:
    """Record the outcome of a prediction."""
    portal, name = of_project(request)
    spec, prediction = specs.load(name), str(request.path_params["prediction"])
    text = str((await request.form()).get("label", ""))
    try:
        value = labelling.outcome(spec, text)
    except ValueError as error:
        raise StackError(f"the outcome of {prediction}", found=repr(text), expected=str(error)) from None
    former = await _former(portal, spec, [prediction])
    if prediction not in former:
        raise _unknown(prediction)
    await _send(portal, name, {prediction: value})
    was = former[prediction]
    return Done(
        _sentence(spec, prediction, value) + (f", no longer {_text(spec, was)}" if was not in (None, value) else ""),
        parameters={"prediction_id": prediction, "label": value, "former": was},
    )


@access.action(UNDO)
async def undo(request: Request) -> Done:
    """Give a prediction the label back that it had before the last one; or none."""
    portal, name = of_project(request)
    spec, prediction = specs.load(name), str(request.path_params["prediction"])
    last = await asyncio.to_thread(given, portal, name, prediction)
    if last is None:
        raise StackError(f"the outcome of {prediction}", found="nothing to undo", expected="a label given just before")
    former, value = last.parameters["former"], last.parameters["label"]
    if former is not None:
        await _send(portal, name, {prediction: former})
    else:
        label = labelling.encoded(spec, value)
        database = portal.settings.state_database
        if not await asyncio.to_thread(unlabelled.remove_label, database, name, prediction, label):
            raise StackError(
                f"the outcome of {prediction}", found="another label, which came since", expected=_text(spec, value)
            )
    outcome = "has no label again" if former is None else f"is {_text(spec, former)} again"
    return Done(f"{prediction} {outcome}", parameters={"prediction_id": prediction, "label": former, "former": value})


@access.action(UPLOAD)
async def upload(request: Request) -> Done:
    """Record the outcomes in a CSV file."""
    portal, name = of_project(request)
    spec, length = specs.load(name), request.headers.get("content-length", "")
    if not length or whole(length, MAX_BYTES + 1) > MAX_BYTES:
        found = f"{length or 'an unknown number of'} bytes"
        raise StackError("the file", found=found, expected=f"at most {MAX_BYTES:,}")
    file = (await request.form()).get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise StackError("the file", found="none", expected="a CSV file", todo="choose one")
    outcomes, refused = labelling.read(spec, await file.read())
    former = await _former(portal, spec, [*outcomes])
    refused += [f"{key} is not in the prediction log of {name}" for key in outcomes if key not in former]
    known = {key: value for key, value in outcomes.items() if key in former}
    await _send(portal, name, known)
    replaced = {key: was for key, was in former.items() if was not in (None, known[key])}
    return Done(
        f"{file.filename}: {len(known):,} labels recorded, {len(replaced):,} of them in place of another; "
        f"{len(refused):,} lines refused",
        parameters={"file": file.filename, "labels": len(known), "refused": len(refused), "replaced": replaced},
        details=refused[:REASONS],
    )


def _queue(project: Project) -> list[Unlabelled]:
    found = unlabelled.newest(project.settings.state_database, project.name, QUEUED)
    return labelling.queue(project.spec, found, project.clock.now())


def _latest(portal: Portal, name: str) -> list[Action]:
    """Return the last labels that were given in the browser, newest first."""
    entries = actions.entries(portal.settings.state_database, name, SEARCHED)
    return [entry for entry in entries if entry.action in (LABEL, UNDO, UPLOAD)][: -AUDITED - 1 : -1]


def given(portal: Portal, name: str, prediction: str) -> Action | None:
    """Return the action of a person that gave a prediction its label; None where none of the last ones did."""
    entries = actions.entries(portal.settings.state_database, name, SEARCHED)[::-1]
    last = next((entry for entry in entries if entry.parameters.get("prediction_id") == prediction), None)
    return last if last and last.action == LABEL else None


async def _former(portal: Portal, spec: ProjectSpec, ids: list[str]) -> dict[str, Any]:
    """Return the outcomes that logged predictions have, None without a label."""
    database, known = portal.settings.state_database, dict[str, float | None]()
    for start in range(0, len(ids), MAX_ROWS):
        part = ids[start : start + MAX_ROWS]
        known |= await asyncio.to_thread(unlabelled.labels, database, spec.name, part)
    return {prediction: labelling.decoded(spec, label) for prediction, label in known.items()}


async def _send(portal: Portal, name: str, outcomes: Mapping[str, Any]) -> None:
    """Send outcomes to the prediction service; sent again they change nothing."""
    listed = [{"prediction_id": prediction, "label": value} for prediction, value in outcomes.items()]
    for start in range(0, len(listed), MAX_ROWS):
        response = await predictions.send(portal, name, "feedback", {"labels": listed[start : start + MAX_ROWS]})
        if not response.is_success:
            problem = predictions.problem(response)
            mistakes = "; ".join(mistake["msg"] for mistake in (problem.get("detail") or [])[:3])
            raise StackError(
                f"prediction service, /{name}/feedback",
                found=f"{problem.get('error')} {mistakes}".strip(),
                expected=f"{len(listed)} labels recorded",
                todo=problem.get("todo", ""),
            )
        if unknown := response.json()["unknown"]:
            raise _unknown(unknown[0])


def _unknown(prediction: str) -> StackError:
    return StackError(f"the outcome of {prediction}", found="no such prediction", expected="one of the prediction log")


def _sentence(spec: ProjectSpec, prediction: str, value: Any) -> str:
    return f"{spec.label} of {prediction} is {_text(spec, value)}"


def _text(spec: ProjectSpec, value: Any) -> str:
    return answers.outcome_texts(spec).get(str(value), str(value))


PATH = "/projects/{project}/labels"
ROUTES = [
    Route(f"{PATH}.csv", download),
    Route(PATH, labels),
    Route(PATH, upload, methods=["POST"]),
    Route(f"{PATH}/{{prediction:uuid}}", give, methods=["POST"]),
    Route(f"{PATH}/{{prediction:uuid}}/undo", undo, methods=["POST"]),
]
