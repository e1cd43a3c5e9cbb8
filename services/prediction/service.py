"""The BentoML service of one project: ``POST /<project>/predict`` and ``/feedback``, typed by its project.yaml."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Annotated, Any

import bentoml
from bentoml.exceptions import BentoMLException
from bentoml.validators import ContentType
from pydantic import ValidationError

from services.prediction.answers import answer
from services.prediction.batches import Batches
from services.prediction.champions import ModelError, Seat
from services.prediction.feedback import Noted, feedback_model, note
from services.prediction.schema import MAX_ROWS, Answer, Row, request_model
from stack.core.settings import Settings
from stack.project import Project
from stack.specification.specs import ProjectSpec


def service(settings: Settings, seat: Seat) -> bentoml.Service[Any]:
    """Make the service of a project."""
    spec = seat.spec
    # One for the champion, one for the canary: no batch, and so no request, is answered by both.
    lanes = tuple(Batches(partial(answer, settings, seat, by_canary), most=MAX_ROWS) for by_canary in (False, True))

    def end(self: Any) -> None:
        for lane in lanes:
            lane.close()

    members = {
        "__doc__": spec.title,
        "__module__": __name__,
        "end": bentoml.on_shutdown(end),
        f"predict_{spec.name}": _predict(seat, lanes),
        f"feedback_{spec.name}": _feedback(Project(settings, spec)),
    }
    return bentoml.service(
        name=spec.name,
        workers=1,
        traffic={"timeout": 30},
        # Replaced by ours: BentoML's label requests with any path a caller thinks of, and log each one.
        metrics={"enabled": False},
        logging={"access": {"enabled": False}},
        tracing={"excluded_urls": ".*"},
    )(type("Predictions", (), members))


def _predict(seat: Seat, lanes: Sequence[Batches[Row, Answer]]) -> Any:
    """Make the route of predictions. Rows of concurrent requests are answered as one batch, in one thread."""
    spec = seat.spec

    async def predict(self: Any, rows: list[Any]) -> list[Answer]:
        began, by_canary = perf_counter(), seat.is_canarys(rows)
        try:
            answers = await lanes[by_canary].answer(rows)
        except ModelError:
            if failed := (seat.canary if by_canary else seat.current):
                failed.requests.add(perf_counter() - began, failed=True)
            raise
        seat.requests(answers[0].model_version).add(perf_counter() - began)
        return answers

    return _route(spec, "predict", predict, request_model(spec), list[seat.answer], spec.title)  # type: ignore[name-defined]


def _feedback(project: Project) -> Any:
    """Make the route of what was true."""

    async def feedback(self: Any, labels: list[Any]) -> Noted:
        return await asyncio.to_thread(note, project, labels)

    title = f"What was true of predictions: {project.spec.label}. The same label again changes nothing."
    return _route(project.spec, "feedback", feedback, feedback_model(project.spec), Noted, title)


def _route(spec: ProjectSpec, verb: str, work: Any, asked: Any, answered: Any, title: str) -> Any:
    """Make ``POST /<project>/<verb>``."""
    work.__name__, work.__doc__ = f"{verb}_{spec.name}", title
    # Without a content type BentoML derives it from the answer's JSON schema at each request: 1.4 ms.
    work.__annotations__["return"] = Annotated[answered, ContentType("application/json")]
    return bentoml.api(route=f"/{spec.name}/{verb}", input_spec=asked)(work)


def is_ours(record: logging.LogRecord) -> bool:
    """Leave the caller's mistakes out of the log: BentoML writes a traceback for each."""
    error = record.exc_info[1] if record.exc_info else None
    refused = isinstance(error, BentoMLException) and error.error_code.value < 500
    return not (refused or isinstance(error, ValidationError))
