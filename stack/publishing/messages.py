"""An answer as receivers get it: flat, the same fields in every kind of sink; a forecast whole, or by its steps."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from stack.publishing.outbox import Message
from stack.specification import forecasts, tasks
from stack.specification.specs import ProjectSpec

FORECAST = "forecast"
"""Field of a message with all steps of a forecast."""
PYTHON = {"float64": float, "bool": bool}


def columns(spec: ProjectSpec) -> dict[str, type]:
    """Return the fields of a message, in order, and the type of each; the request's are as project.yaml has them."""
    answers = {name: PYTHON.get(dtype, str) for name, dtype in tasks.of(spec).answer_dtypes.items()}
    request = {name: field.field_type.python for name, field in spec.request.items()}
    own = {"prediction_id": str, "asked_at": datetime, "answered_at": datetime, "model_version": str}
    return own | answers | {name: kind for name, kind in request.items() if name not in own | answers}


def messages(spec: ProjectSpec, rows: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Return logged predictions, rows of the table, as messages."""
    names, task = [*columns(spec)], tasks.of(spec)
    values = ({**row["request"], **task.columns(row["answer"]), **row, "prediction_id": row["id"]} for row in rows)
    return [{name: value[name] for name in names} for value in values]


def whole(spec: ProjectSpec, steps: Sequence[Message]) -> list[Message]:
    """Return the messages of steps as one for each forecast: that of its first step, with all of them in `FORECAST`.

    A step has its instant, its answer and its id; the messages of other tasks stay as they are.
    """
    if not spec.forecast:
        return [*steps]
    time, series = forecasts.time_of(spec), ["asked_at", "model_version", *forecasts.keys(spec)]
    of_step = [time, *tasks.of(spec).answer_dtypes, "prediction_id"]
    grouped: dict[tuple[Any, ...], list[Message]] = {}
    for message in sorted(steps, key=lambda step: step[time]):
        grouped.setdefault(tuple(message[name] for name in series), []).append(message)
    return [
        first | {FORECAST: [{name: step[name] for name in of_step} for step in (first, *others)]}
        for first, *others in grouped.values()
    ]
