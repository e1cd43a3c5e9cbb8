"""An answer as receivers get it: flat, the same fields in every kind of sink."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from stack.publishing.outbox import Message
from stack.specification import tasks
from stack.specification.specs import ProjectSpec

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
