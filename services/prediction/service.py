"""The BentoML service of one project: ``POST /<project>/predict`` and ``/feedback``, typed by its project.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

import bentoml

from services.prediction import _compat
from services.prediction.answers import answer
from services.prediction.batcher import Batcher
from services.prediction.feedback import FeedbackResult, feedback_model, record_labels
from services.prediction.live_models import LiveModels, ModelError
from services.prediction.schema import MAX_ROWS, Answer, Row, request_model
from stack.project import Project
from stack.specification.specs import ProjectSpec


def service(models: LiveModels) -> bentoml.Service[Any]:
    """Return the service of a project."""
    spec = models.spec
    # One for the champion, one for the canary: no batch, and so no request, is answered by both.
    batchers = tuple(Batcher(partial(answer, models, by_canary), max_rows=MAX_ROWS) for by_canary in (False, True))

    def close(self: Any) -> None:
        for batcher in batchers:
            batcher.close()

    members = {
        "__doc__": spec.title,
        "__module__": __name__,
        "close": bentoml.on_shutdown(close),
        f"predict_{spec.name}": _predict(models, batchers),
        f"feedback_{spec.name}": _feedback(models.project),
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


def _predict(models: LiveModels, batchers: Sequence[Batcher[Row, Answer]]) -> Any:
    """Return the endpoint of predictions. Rows of concurrent requests are answered as one batch, in one thread."""
    spec = models.spec

    async def predict(self: Any, rows: list[Any]) -> list[Answer]:
        started, by_canary = perf_counter(), models.routes_to_canary(rows)
        try:
            answers = await batchers[by_canary].answer(rows)
        except ModelError:
            if failed := (models.canary if by_canary else models.champion):
                failed.requests.add(perf_counter() - started, failed=True)
            raise
        models.requests(answers[0].model_version).add(perf_counter() - started)
        return answers

    return _endpoint(spec, "predict", spec.title, request_model(spec), list[models.answer])(predict)  # type: ignore[name-defined]


def _feedback(project: Project) -> Any:
    """Return the endpoint of labels."""

    async def feedback(self: Any, labels: list[Any]) -> FeedbackResult:
        return await asyncio.to_thread(record_labels, project, labels)

    title = f"True outcomes of predictions: {project.spec.label}. Sending the same label again changes nothing."
    return _endpoint(project.spec, "feedback", title, feedback_model(project.spec), FeedbackResult)(feedback)


def _endpoint(spec: ProjectSpec, verb: str, title: str, request: type[Any], response: Any) -> Any:
    return _compat.api(f"/{spec.name}/{verb}", f"{verb}_{spec.name}", title, request, response)
