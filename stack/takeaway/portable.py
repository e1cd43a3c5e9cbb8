"""Predict without the stack: rows of request fields and stored feature values in, answers out.

Part of every package of a model (:mod:`stack.takeaway.packages`): it needs numpy and the served form, nothing else.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stack.core.errors import StackError, nearest
from stack.serving.served import Contract, ServedModel
from stack.specification import tasks
from stack.specification.fields import TYPES

REQUEST = "request.json"
Columns = Mapping[str, list[Any]]
Row = Mapping[str, Any]


class PortableModel:
    """A model with the features that follow from a request.

    Args:
        folder: the served form, and ``request.json``: the fields, each with its type and whether it may be missing,
            and the names of the stored features.
        on_request: derives feature columns from the request's; None where all features are stored ones.
    """

    def __init__(self, folder: Path, on_request: Callable[[Columns], Columns] | None) -> None:
        self._model, self._on_request = ServedModel(folder), on_request
        self._request = json.loads((folder / REQUEST).read_text())
        self.fields: list[str] = list(self._request["fields"])
        self.stored: list[str] = self._request["stored"]
        """Features that a stack would read from its online store: a caller may give them, else they are missing."""

    def predict(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Answer each row: request fields by name, and those of the stored features that are known.

        Returns:
            The endpoint's replies: ``probability`` and ``decision``, or ``probabilities`` and ``decision``, or
            ``prediction``. Where the model has intervals, with ``low`` and ``high``, or the set of ``classes``, and the
            ``correction`` in them.

        Raises:
            StackError: a field is missing, unknown or of another type; names the row and the field.
        """
        if not rows:
            return []
        requests = [checked(self._request, number, row) for number, row in enumerate(rows)]
        columns = {}
        for name in self.stored:
            field = {"type": "number" if self._model.columns[name] == "number" else "string", "nullable": True}
            columns[name] = [_value(number, name, field, row) for number, row in enumerate(rows)]
        if self._on_request:
            columns |= self._on_request({name: [request[name] for request in requests] for name in self.fields})
        answers = self._model.answer({name: columns[name] for name in self._model.columns})
        return [reply(self._model.contract, answer) for answer in answers.tolist()]


def reply(contract: Contract, answer: Sequence[float]) -> dict[str, Any]:
    """Return an answer (outputs,) as the endpoint does."""
    return tasks.answering(contract.task, contract.outputs).reply(answer, contract.threshold)


def checked(request: Row, number: int, row: Row) -> dict[str, Any]:
    """Return the request fields of a row, each as its type; refuse fields that are unknown, missing or of another."""
    fields, stored = request["fields"], request["stored"]
    known = [*fields, *stored]
    for name in row:
        if name not in known:
            raise StackError(
                f"row {number}, field {name}",
                found=f"an unknown field{nearest(name, known)}",
                expected=f"of the request: {', '.join(fields)}; stored features: {', '.join(stored) or 'none'}",
            )
    return {name: _value(number, name, field, row) for name, field in fields.items()}


def _value(number: int, name: str, field: Row, row: Row) -> Any:
    """Return a field's value as the endpoint would pass it on: instants in UTC, in whole seconds."""
    value, where = row.get(name), f"row {number}, field {name}"
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124  # only NaN differs from itself
        if field["nullable"]:
            return None
        raise StackError(where, found="nothing", expected=field["type"])
    field_type = TYPES[field["type"]]
    try:
        return field_type.read(value)
    except (TypeError, ValueError):
        raise StackError(where, found=repr(value), expected=field_type.description) from None
