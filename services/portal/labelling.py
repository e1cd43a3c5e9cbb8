"""Labels that people give: the queue of predictions without one, and files of outcomes."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from io import StringIO
from math import inf, isfinite
from typing import Any
from uuid import UUID

from services.portal import answers
from stack.core.errors import StackError
from stack.prediction_log.unlabelled import Unlabelled
from stack.specification import forecasts, tasks
from stack.specification.specs import ProjectSpec

ID, LABEL = "prediction_id", "label"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes a text for that begins so."""


def queue(spec: ProjectSpec, found: Iterable[Unlabelled], now: datetime) -> list[Unlabelled]:
    """Return predictions, the least certain first, and of equal ones in their order; no forecast of what is to come."""
    time = forecasts.time_of(spec) if spec.forecast else ""
    passed = [row for row in found if not time or datetime.fromisoformat(row.request[time]) <= now]
    return sorted(passed, key=lambda row: certainty(spec, row.answer))


def certainty(spec: ProjectSpec, answer: Mapping[str, Any]) -> float:
    """Return how certain an answer is, on a scale of its kind: distance from the threshold, lead, -width."""
    if "probabilities" in answer:
        first, second = sorted(answer["probabilities"].values(), reverse=True)[:2]
        return float(first - second)
    if "probability" in answer:
        return abs(float(answer["probability"]) - spec.threshold)
    return float(answer["low"] - answer["high"]) if answer.get("low") is not None else inf


def outcome(spec: ProjectSpec, text: str) -> Any:
    """Return the outcome that a text stands for.

    Raises:
        ValueError: it is none; the message says what it should be.
    """
    task, written = tasks.of(spec), text.strip()
    if task.numeric:
        try:
            value = float(written)
        except ValueError:
            value = inf
        if not isfinite(value):
            raise ValueError(f"found {written!r}, expected {task.outcomes}")
        return value
    texts = {str(name): name for name in task.classes}
    if spec.task == "binary" and not spec.classes:
        texts |= {"no": 0, "yes": 1, "false": 0, "true": 1}
    folded = {name.casefold(): value for name, value in texts.items()}
    if written in texts or written.casefold() in folded:
        return texts.get(written, folded.get(written.casefold()))
    raise ValueError(f"found {written!r}, expected {task.outcomes}")


def encoded(spec: ProjectSpec, value: Any) -> float:
    """Return an outcome as the prediction log has it."""
    task = tasks.of(spec)
    return float(value) if task.numeric else float(task.classes.index(value))


def decoded(spec: ProjectSpec, label: float | None) -> Any:
    """Return a label of the prediction log as the outcome that it stands for; None where there is none."""
    task = tasks.of(spec)
    return label if task.numeric or label is None else task.classes[int(label)]


def read(spec: ProjectSpec, content: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return the outcomes in a CSV file by prediction id, and why each other line is refused.

    A line without a label is passed over; of two for the same prediction the last counts.

    Raises:
        StackError: the file is no CSV with the two columns.
    """
    rows = _lines(content)
    header = [name.strip() for name in next(rows, [])]
    label = LABEL if LABEL in header else spec.label
    if ID not in header or label not in header:
        expected = f"a line with the names of the columns, among them {ID} and {LABEL}"
        raise StackError("the file", found=f"columns {', '.join(header) or 'of no name'}", expected=expected)
    found: dict[str, Any] = {}
    refused: list[str] = []
    for number, row in enumerate(rows, start=2):
        values = dict(zip(header, row, strict=False))
        if not values.get(label, "").strip():
            continue
        try:
            prediction = _id(values.get(ID, ""))
            found[prediction] = outcome(spec, values[label])
        except ValueError as error:
            refused.append(f"line {number}: {error}")
    return found, refused


def write(spec: ProjectSpec, rows: Iterable[Unlabelled]) -> str:
    """Return predictions as a CSV file whose column `label` is empty, to be filled in."""
    file = StringIO()
    writer = csv.writer(file)
    writer.writerow([ID, *spec.request, "answer", LABEL])
    for row in rows:
        values = [row.request.get(name) for name in spec.request]
        writer.writerow([row.id, *map(_cell, values), _cell(answers.in_words(spec, row.answer)), ""])
    return file.getvalue()


def _lines(content: bytes) -> Iterator[list[str]]:
    try:
        text = content.decode("utf-8-sig")
        first = text.partition("\n")[0]
        yield from csv.reader(StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    except (UnicodeDecodeError, csv.Error) as error:
        raise StackError("the file", found=str(error), expected="CSV in UTF-8") from None


def _id(text: str) -> str:
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise ValueError(f"found {text.strip()!r}, expected the id of a prediction") from None


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
