"""Logged predictions as pages show them: in words, right or wrong, and by day on charts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.portal import answers, labelling
from services.portal.answers import Shown
from services.portal.formats import instant
from stack.prediction_log.logged import Days, Keep, Logged
from stack.specification import tasks
from stack.specification.fields import Datetime
from stack.specification.specs import ProjectSpec


@dataclass(frozen=True)
class Row:
    """A prediction in a list."""

    logged: Logged
    shown: Shown
    label: str
    wrong: bool
    asked: dict[str, str]
    """The request fields."""


def row(spec: ProjectSpec, logged: Logged) -> Row:
    """Return a prediction as it is listed.

    Raises:
        KeyError, TypeError, ValueError: its answer cannot be read.
    """
    return Row(
        logged,
        answers.shown(spec, logged.request, logged.answer | {"reasons": logged.reasons}),
        label_text(spec, logged.label),
        is_wrong(spec, logged.answer, logged.label),
        asked(spec, logged.request),
    )


def asked(spec: ProjectSpec, request: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a logged request as texts."""
    texts = {name: "not known" if request.get(name) is None else str(request[name]) for name in spec.request}
    instants = {name for name, field in spec.request.items() if isinstance(field.field_type, Datetime)}
    return {name: instant(text) if name in instants else text for name, text in texts.items()}


def label_text(spec: ProjectSpec, label: float | None) -> str:
    """Return an encoded label as people read it; empty where there is none."""
    if label is None:
        return ""
    return answers.value_text(spec, labelling.decoded(spec, label))


def is_wrong(spec: ProjectSpec, answer: Mapping[str, Any], label: float | None) -> bool:
    """Return whether a labelled answer is another class than the label, or its interval does not hold the label."""
    if label is None:
        return False
    if "probabilities" in answer:
        return bool(answer["decision"] != labelling.decoded(spec, label))
    if "probability" in answer:
        return bool(answer["decision"] != (label == 1))
    low, high = answer.get("low"), answer.get("high")
    return low is not None and high is not None and not low <= label <= high


def filters(spec: ProjectSpec) -> dict[str, tuple[str, Keep | None]]:
    """Return what may be listed, as the address has it: the title, and which predictions that are."""
    found: dict[str, tuple[str, Keep | None]] = {
        "": ("all", None),
        "unlabelled": ("without a label", lambda _, label: label is None),
    }
    task = tasks.of(spec)
    if not task.numeric or task.ends:
        title = "label outside the interval" if task.numeric else "wrong"
        found["wrong"] = (title, lambda answer, label: is_wrong(spec, answer, label))
    return found


def output(spec: ProjectSpec) -> str:
    """Return the field of the answers that is a number; empty where the answer is one of several classes."""
    task = tasks.of(spec)
    return "" if len(task.outputs) > 1 else task.outputs[0]


def charts(spec: ProjectSpec, days: Days) -> dict[str, Any]:
    """Return the charts of days in the form of :func:`services.portal.series.charts`."""
    mean = f"Mean answer {answers.unit(spec)}".strip()
    if output(spec) == "probability":
        *_, positive = answers.outcome_texts(spec).values()
        mean = f"Mean probability that {spec.label} is {positive}"
    shares = [labelled / rows for labelled, rows in zip(days.labelled, days.rows, strict=True)]
    listed: list[dict[str, Any]] = [
        {"title": "Predictions a day", "lines": [{"name": "Predictions", "values": days.rows}]},
        {"title": mean, "lines": [{"name": "Mean", "values": days.means}]},
        {"title": "Labelled", "share": True, "lines": [{"name": "Share", "values": shares}]},
    ]
    known = [chart for chart in listed if any(value for value in chart["lines"][0]["values"])]
    return {"times": days.times, "charts": known, "marks": []}
