"""The BentoML application of one project: ``POST /<project>/predict``, ``/feedback`` and ``/rows``."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import product
from time import perf_counter
from typing import Any

import bentoml
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from services.prediction import _compat, horizon, metrics
from services.prediction.batcher import Batcher
from services.prediction.canary import uuid7
from services.prediction.feedback import FeedbackResult, feedback_model, record_labels
from services.prediction.live_models import LiveModels, ModelError
from services.prediction.openapi import Endpoint, invalid, mistake
from services.prediction.rows import Receiver, Refusal, RowsResult, result, takes_rows
from services.prediction.schema import Answer, Explainable, Reply, Row, new_values, request_model
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.serving.reasons import Reasons, UnexplainableError
from stack.specification.request import MAX_EXPLAINED, MAX_ROWS

TIMEOUT_SECONDS = 30
"""BentoML's limit for a request, and how long active requests may take when their project changes or goes."""

logger = logging.getLogger("stack.prediction")


class ProjectService:
    """A project's live models and its BentoML application; loads the champion when there is one."""

    def __init__(self, project: Project) -> None:
        self.models = LiveModels(project)
        self.models.refresh()
        # No batch, and so no request, is answered by both champion and canary; none waits for the reasons of others.
        self.batchers = {
            (by_canary, explain): Batcher(
                partial(answer, self.models, by_canary, explain=explain), MAX_EXPLAINED if explain else MAX_ROWS
            )
            for by_canary, explain in product((False, True), repeat=2)
        }
        self.endpoints = endpoints(self.models, self.batchers)
        self.inbox: Batcher[dict[str, Any], list[Refusal]] | None = None
        if takes_rows(project.spec):
            receiver = Receiver(project)
            self.inbox = Batcher(receiver.keep, MAX_ROWS)
            self.endpoints["rows"] = rows_endpoint(receiver, self.inbox)
        self.app = _application(project, self.endpoints)
        self.active_requests = 0

    async def start(self) -> None:
        """Let BentoML create its service instance."""
        self.lifespan = _compat.lifespan(self.app)
        await self.lifespan.__aenter__()

    async def stop(self) -> None:
        """Wait for active requests, then let BentoML shut its service instance down."""
        with suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while self.active_requests:
                    await asyncio.sleep(0.05)
        await self.lifespan.__aexit__(None, None, None)
        for batcher in self.batchers.values():
            batcher.close()
        if self.inbox:
            self.inbox.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        self.active_requests += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.active_requests -= 1


def endpoints(models: LiveModels, batchers: Mapping[tuple[bool, bool], Batcher[Row, Reply]]) -> dict[str, Endpoint]:
    """Return the endpoints of a project. Rows of concurrent requests are answered as one batch, in one thread.

    Args:
        batchers: by whether the canary answers, and whether with reasons.
    """
    project, spec = models.project, models.spec

    async def predict(self: Any, rows: list[Any], explain: bool) -> list[Reply] | Response:
        if explain and len(rows) > MAX_EXPLAINED:
            return invalid([mistake(["rows"], f"{len(rows)} rows", f"at most {MAX_EXPLAINED} with their reasons")])
        started, by_canary = perf_counter(), models.routes_to_canary(rows)
        try:
            answers = await batchers[by_canary, explain].answer(rows)
        except ModelError:
            if failed := (models.canary if by_canary else models.champion):
                failed.requests.add(perf_counter() - started, failed=True)
            raise
        except (UnexplainableError, ValueError, ArithmeticError) as error:
            return refusal(spec.name, error)
        if not explain:  # the limits of a rollout are those of plain requests
            models.requests(answers[0]["model_version"]).add(perf_counter() - started)
        return answers

    async def feedback(self: Any, labels: list[Any]) -> FeedbackResult | Response:
        result = await asyncio.to_thread(record_labels, project, labels)
        return result if isinstance(result, FeedbackResult) else invalid(result)

    asked = Endpoint(predict, spec.title, request_model(spec, Explainable), list[models.answer])  # type: ignore[name-defined]
    title = f"True outcomes of predictions: {spec.label}. Sending the same label again changes nothing."
    return {
        "predict": horizon.endpoint(project, predict) if spec.forecast else asked,
        "feedback": Endpoint(feedback, title, feedback_model(spec), FeedbackResult),
    }


def refusal(project: str, error: Exception) -> Response:
    """Return the response to a request whose rows cannot be answered, or not with reasons."""
    if isinstance(error, UnexplainableError):
        text = "the version that answers was trained by an early release, and has no reasons"
        return JSONResponse({"error": text, "todo": f"make train PROJECT={project}"}, 409)
    logger.warning("%s: the values of a request cannot be used", project, exc_info=error)
    found = f"values that cannot be used ({error})"
    return invalid([mistake(["rows"], found, "values like those of the example")])


def rows_endpoint(receiver: Receiver, inbox: Batcher[dict[str, Any], list[Refusal]]) -> Endpoint:
    """Return the endpoint that takes rows. Those of concurrent requests are written in one commit."""

    async def rows(self: Any, rows: list[Any]) -> RowsResult:
        return result(await inbox.answer(rows))

    title = "Rows of the project. A row with a known key replaces the earlier one, so that a request may be sent again."
    return Endpoint(rows, title, receiver.body, RowsResult)


def _application(project: Project, endpoints: Mapping[str, Endpoint]) -> Any:
    """Return BentoML's application of the endpoints."""
    members = {
        f"{verb}_{project.name}": _compat.api(f"/{project.name}/{verb}", f"{verb}_{project.name}", *types)(work)
        for verb, (work, *types) in endpoints.items()
    }
    return bentoml.service(
        name=project.name,
        workers=1,
        traffic={"timeout": TIMEOUT_SECONDS},
        # Replaced by ours: BentoML's label requests with any path a caller thinks of, and log each one.
        metrics={"enabled": False},
        logging={"access": {"enabled": False}},
        tracing={"excluded_urls": ".*"},
    )(type("Predictions", (), {"__doc__": project.spec.title, "__module__": __name__} | members)).to_asgi()


def answer(models: LiveModels, by_canary: bool, rows: Sequence[Row], *, explain: bool = False) -> list[Reply]:
    """Answer rows with one version: one read of features, one run of the model (and more to explain), one commit.

    The log holds the answers on disk when this returns, unless the stack is read-only. A row with the id of a logged
    prediction is answered again, and logged once. Rows of a canary that has been withdrawn in the meantime are answered
    by the champion.

    Raises:
        LookupError: the project has no champion.
    """
    project, spec = models.project, models.spec
    model = (models.canary if by_canary else None) or models.champion
    if model is None:
        raise LookupError(f"{spec.name} has no champion")
    now, answered_at = project.clock.now(), datetime.now(UTC)
    requests = [{name: getattr(row, name) for name in spec.request} for row in rows]
    instants = [min(getattr(row, "asked_at", None) or now, now) for row in rows]
    features, outputs = model.predict(requests, instants)
    reasons = model.explain(features.columns, outputs) if explain else [None] * len(rows)
    names, values = list(features.columns), zip(*features.columns.values(), strict=True)
    predictions = [
        Prediction(
            str(row.prediction_id or uuid7(answered_at)),
            asked_at=asked_at,
            answered_at=answered_at,
            request=request,
            features=dict(zip(names, row_features, strict=True)),
            features_at=features_at,
            model_version=model.version,
            answer=project.task.reply(output, model.model.threshold),
            reasons=why and asdict(why),
        )
        for row, asked_at, request, row_features, features_at, output, why in zip(
            rows, instants, requests, values, features.times, outputs, reasons, strict=True
        )
    ]
    warnings = [new + more for new, more in zip(new_values(spec, requests), features.warnings, strict=True)]
    if not project.settings.read_only:
        project.log.write(predictions)
        if models.shadow:
            models.shadow.answer(features.columns, predictions)
    metrics.ROWS.labels(spec.name).observe(len(rows))
    metrics.WARNED.labels(spec.name).inc(sum(map(bool, warnings)))
    return [_reply(models.answer, *of_row) for of_row in zip(predictions, warnings, reasons, strict=True)]


def _reply(kind: type[Answer], prediction: Prediction, warnings: list[str], reasons: Reasons | None) -> Reply:
    """Return a logged prediction as the caller gets it."""
    fields = kind.model_fields
    return {
        **{name: value for name, value in prediction.answer.items() if name in fields},
        "model_version": prediction.model_version,
        "prediction_id": prediction.id,
        "features_at": prediction.features_at,
        "warnings": warnings,
        **({"reasons": reasons} if reasons else {}),
    }
