"""Requests and answers of a forecast: one row asks for all steps of a series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, cast
from uuid import uuid5

from pydantic import Field, create_model
from starlette.responses import Response

from services.prediction import schema
from services.prediction.openapi import Endpoint, Mistake, invalid, mistake
from services.prediction.schema import Answer, Instant, Reply, Row
from stack.project import Project
from stack.specification import example, forecasts, tasks
from stack.specification.fields import Datetime
from stack.specification.request import MAX_ROWS
from stack.specification.specs import ProjectSpec

ASKED = "Instant that the forecast is asked for, at most now; default: now"


def endpoint(project: Project, predict: Any) -> Endpoint:
    """Return the endpoint of a forecast; `predict` answers rows of one step each."""
    horizon = Horizon(project.spec)

    async def forecast(self: Any, rows: list[Any], explain: bool) -> list[Reply] | Response:
        steps = horizon.steps(rows, project.clock.now())
        if mistakes := horizon.too_many(steps):
            return invalid(mistakes)
        answers = await predict(self, [step for row in steps for step in row], explain)
        if isinstance(answers, Response):
            return answers
        each = iter(answers)
        return [horizon.forecast(row, list(islice(each, len(row)))) for row in steps]

    return Endpoint(forecast, project.spec.title, horizon.request, list[horizon.answer])  # type: ignore[name-defined]


class Horizon:
    """The request and answer models of a forecast, and what is between them and rows of one step each."""

    def __init__(self, spec: ProjectSpec) -> None:
        self.spec, self.time = spec, forecasts.time_of(spec)
        self._row = schema.row_model(spec)
        self._keys, self._inputs = forecasts.keys(spec), forecasts.inputs(spec)
        self._reply = tasks.of(spec).reply_fields(spec.label)
        self.request = self._request()
        self.answer = self._answer()

    def steps(self, rows: Sequence[Any], now: datetime) -> list[list[Row]]:
        """Return the steps that each row asks for, as rows of one step."""
        return [[*self._steps(row, now)] for row in rows]

    def too_many(self, steps: Sequence[Sequence[Row]]) -> list[Mistake]:
        """Return what is wrong with a request for more answers than one may ask for."""
        count = sum(map(len, steps))
        found = f"{len(steps):,} rows with {count:,} steps in all"
        return [mistake(["rows"], found, f"at most {MAX_ROWS:,} steps")] if count > MAX_ROWS else []

    def forecast(self, rows: Sequence[Row], answers: Sequence[Reply]) -> Reply:
        """Return the answers to the steps of a row as one answer."""
        names = (*self._reply, "prediction_id", "reasons")
        known = [answer["features_at"] for answer in answers if answer["features_at"]]
        return {
            "forecast": [
                {self.time: getattr(row, self.time)} | {name: answer[name] for name in names if name in answer}
                for row, answer in zip(rows, answers, strict=True)
            ],
            "asked_at": getattr(rows[0], "asked_at"),  # noqa: B009  # a field of the project's own model
            "model_version": answers[0]["model_version"],
            "features_at": min(known, default=None),
            "warnings": list(dict.fromkeys(warning for answer in answers for warning in answer["warnings"])),
        }

    def _steps(self, row: Any, now: datetime) -> Iterator[Row]:
        asked_at = min(row.asked_at or now, now)
        targets = forecasts.targets(self.spec, asked_at)
        given = row.steps or [None] * len(targets)
        keys = {name: getattr(row, name) for name in self._keys}
        for step, target in zip(given, targets, strict=False):
            at = getattr(step, self.time, None) or target
            own = row.prediction_id and uuid5(row.prediction_id, at.isoformat())
            values: dict[str, Any] = {name: getattr(step, name, None) for name in self._inputs}
            values |= keys | {self.time: at, "prediction_id": getattr(step, "prediction_id", None) or own}
            yield self._row.model_construct(None, **values, asked_at=asked_at)

    def _request(self) -> type[schema.Body]:
        spec, count = self.spec, forecasts.of(self.spec).steps
        fields = {name: schema.pydantic_field(field) for name, field in spec.request.items()}
        note = "Instant of the value; one after the other from the next one on when left out"
        step = create_model(
            f"{schema.title(spec)}Step",
            __base__=Row,
            **cast(Any, {self.time: (Instant | None, Field(None, description=note))}),
            **{name: fields[name] for name in self._inputs},
        )
        required = any(not spec.request[name].nullable for name in self._inputs)
        text = f"The steps that are asked about, up to {count}: what is known ahead of each, in the order of time"
        listed: Any = Annotated[list[step], Field(min_length=1, max_length=count)]
        steps: Any = (listed if required else listed | None, Field(... if required else None, description=text))
        row = create_model(
            f"{schema.title(spec)}Row",
            __base__=Row,
            __doc__=spec.title,
            asked_at=(Annotated[Instant | None, Field(description=ASKED)], None),
            **cast(Any, {name: fields[name] for name in self._keys}),
            steps=steps,
        )
        expected = {name: schema.describe(spec.request[name]) for name in (*self._keys, *self._inputs)}
        expected |= {"prediction_id": "a UUID", "asked_at": Datetime.description, self.time: "an instant"}
        expected["steps"] = f"a list of 1 to {count} objects with {', '.join((*self._inputs, self.time))}"
        return schema.body_model(
            spec, "Request", row, {"rows": [example.row(spec)]}, expected, schema.IN_ORDER, schema.Explainable
        )

    def _step_model(self) -> Any:
        described: Any = {name: (kind, Field(**arguments)) for name, (kind, arguments) in self._reply.items()}
        return create_model(
            f"{schema.title(self.spec)}StepAnswer",
            **cast(Any, {self.time: (datetime, Field(description="Instant that is forecast"))}),
            **described,
            **cast(Any, {name: _of_answer(name) for name in ("prediction_id", "reasons")}),
        )

    def _answer(self) -> Any:
        steps: Any = list[self._step_model()]  # type: ignore[misc]
        return create_model(
            f"{schema.title(self.spec)}Forecast",
            __doc__=f"Answer: {self.spec.title}",
            forecast=(steps, Field(description="The steps, in the order of time")),
            asked_at=(datetime, Field(description="Instant that the forecast was asked for")),
            **cast(Any, {name: _of_answer(name) for name in ("model_version", "features_at", "warnings")}),
        )


def _of_answer(name: str) -> Any:
    field = Answer.model_fields[name]
    return field.annotation, field
