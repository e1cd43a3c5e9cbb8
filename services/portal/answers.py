"""Answers of the prediction service as people read them: in words, as bars, with the reasons as a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import exp
from typing import Any

from services.portal.formats import quantity
from stack.specification import forecasts, tasks
from stack.specification.specs import ProjectSpec

MOST_BARS, MOST_REASONS = 12, 10
POSITIVE, NEGATIVE = "yes", "no"


@dataclass(frozen=True)
class Bar:
    """A share of the whole width."""

    label: str
    text: str
    end: float
    """In percent of the width."""
    start: float = 0.0
    raises: bool = True
    """Of a reason: whether it raises the score."""


@dataclass(frozen=True)
class Reasons:
    """What the features contribute to an answer, the largest first."""

    base: str
    """The answer without them."""
    unit: str
    bars: Sequence[Bar]
    others: str
    """The sum of those that are not shown; empty when all are."""


@dataclass(frozen=True)
class Shown:
    """The answer to one row, or one step of a forecast."""

    text: str
    note: str = ""
    bars: Sequence[Bar] = field(default_factory=list)
    reasons: Reasons | None = None


def shown(spec: ProjectSpec, row: Mapping[str, Any], answer: Mapping[str, Any]) -> Shown:
    """Return the answer to a row as it is shown."""
    text, note, bars = _answer(spec, answer)
    return Shown(text, note, bars, reasons(spec, row, answer.get("reasons")))


def outcome_texts(spec: ProjectSpec) -> dict[str, str]:
    """Return the classes of a classification as forms send them -> as people read them."""
    classes = tasks.of(spec).classes
    if spec.task == "binary" and not spec.classes:
        return {"0": NEGATIVE, "1": POSITIVE}
    return {str(name): str(name) for name in classes}


def value_text(spec: ProjectSpec, value: Any) -> str:
    """Return an outcome as people read it."""
    return _number(spec, value) if tasks.of(spec).numeric else outcome_texts(spec).get(str(value), str(value))


def in_words(spec: ProjectSpec, answer: Mapping[str, Any]) -> str:
    """Return an answer as one line."""
    text, note, _ = _answer(spec, answer)
    return f"{text}, {note}" if note else text


def chart(spec: ProjectSpec, forecast: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the steps of a forecast as columns for the browser: ``times`` (seconds since 1970) and values."""
    time = forecasts.time_of(spec)
    values = {name: [step.get(name) for step in forecast] for name in ("prediction", *tasks.ENDS)}
    known = {name: column for name, column in values.items() if None not in column}
    return {"times": [datetime.fromisoformat(step[time]).timestamp() for step in forecast], "unit": unit(spec), **known}


def steps(spec: ProjectSpec, forecast: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps of a forecast for a table: ``at``, ``answer``, ``mainly`` (the largest reason) and ``id``."""
    time = forecasts.time_of(spec)
    return [
        {
            "at": step[time],
            "answer": in_words(spec, step),
            "mainly": next(iter((step.get("reasons") or {}).get("contributions", {})), ""),
            "id": step["prediction_id"],
        }
        for step in forecast
    ]


def reasons(spec: ProjectSpec, row: Mapping[str, Any], found: Mapping[str, Any] | None) -> Reasons | None:
    """Return the reasons of an answer; None when it came without."""
    if not found or not found["contributions"]:
        return None
    contributions: dict[str, float] = found["contributions"]
    largest = max(map(abs, contributions.values())) or 1.0
    listed = [*contributions.items()]
    bars = [
        Bar(
            f"{name} = {row[name]}" if name in row else name,
            f"{'+' if value > 0 else ''}{quantity(float(f'{value:.3g}'))}",
            end=max(50.0, 50 + 50 * value / largest),
            start=min(50.0, 50 + 50 * value / largest),
            raises=value > 0,
        )
        for name, value in listed[:MOST_REASONS]
    ]
    rest = listed[MOST_REASONS:]
    return Reasons(
        base=_percent(1 / (1 + exp(-found["base"]))) if found["unit"] == "log-odds" else _number(spec, found["base"]),
        unit="log-odds" if found["unit"] == "log-odds" else unit(spec),
        bars=bars,
        others=f"{len(rest)} others: {quantity(sum(value for _, value in rest))}" if rest else "",
    )


def unit(spec: ProjectSpec) -> str:
    """Return the unit of a number that is predicted; empty when it has none."""
    column = spec.columns.get(spec.label)
    return column.unit if column else ""


def _answer(spec: ProjectSpec, answer: Mapping[str, Any]) -> tuple[str, str, list[Bar]]:
    """Return the text, the note and the bars of an answer."""
    if "probabilities" in answer:
        ranked = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
        bars = [Bar(name, _percent(value), 100 * value) for name, value in ranked[:MOST_BARS]]
        note = f"probability {_percent(ranked[0][1])}"
        if tasks.SET in answer:
            note += f"; with {spec.interval:.0%} one of {', '.join(answer[tasks.SET])}"
        return str(answer["decision"]), note, bars
    if "probability" in answer:
        negative, positive = outcome_texts(spec).values()
        share = answer["probability"]
        bar = Bar(f"{spec.label} is {positive}", _percent(share), 100 * share)
        return positive if answer["decision"] else negative, f"probability of {positive}: {_percent(share)}", [bar]
    value, low, high = answer["prediction"], answer.get("low"), answer.get("high")
    if low is None or high is None:
        return _number(spec, value), "", []
    note = f"with {spec.interval:.0%} between {quantity(low)} and {quantity(high)}"
    return _number(spec, value), note, _interval(spec, value, low, high)


def _interval(spec: ProjectSpec, value: float, low: float, high: float) -> list[Bar]:
    """Return the interval as a bar, on the range of the outcome where that is known."""
    column = spec.columns.get(spec.label)
    first, last = (column and column.between) or (None, None)
    least = min(low - (high - low) / 2 if first is None else first, low)
    width = max(high + (high - low) / 2 if last is None else last, high) - least or 1.0
    start, end = (100 * (end - least) / width for end in (low, high))
    return [Bar(f"{quantity(low)} to {quantity(high)}", f"{spec.interval:.0%} interval", end, start)]


def _number(spec: ProjectSpec, value: float) -> str:
    return f"{quantity(value)} {unit(spec)}".strip()


def _percent(share: float) -> str:
    return f"{share:.1%}"
