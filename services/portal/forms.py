"""The form of a project's request: an input for each field, and the row that a filled form stands for."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import floor, isfinite, log10
from typing import Any
from zoneinfo import ZoneInfo

from services.portal.formats import whole
from stack.specification import forecasts
from stack.specification.request import RequestField
from stack.specification.specs import ProjectSpec

STEPS = "steps"
"""Input of a forecast that says how many steps are asked about."""


@dataclass(frozen=True)
class Slider:
    """The range that a number is moved in."""

    least: float
    greatest: float
    step: float


@dataclass(frozen=True)
class Input:
    """An input of the form."""

    name: str
    description: str
    unit: str
    kind: str
    """``select``, ``number`` or ``text``."""
    value: str
    """The example."""
    choices: tuple[str, ...] = ()
    nullable: bool = False
    whole: bool = False
    slider: Slider | None = None


def inputs(spec: ProjectSpec) -> list[Input]:
    """Return the inputs of a project's form, filled with its example; of a forecast, the inputs of one step for all."""
    return [_input(spec, name, spec.request[name]) for name in _asked(spec)]


def row(spec: ProjectSpec, form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a filled form. What is no value of its field stays text: the service says what is wrong."""
    zone = spec.source.zone if spec.source else "UTC"
    values = {name: _value(spec.request[name], str(form.get(name, "")).strip(), zone) for name in _asked(spec)}
    if not spec.forecast or not (known := forecasts.inputs(spec)):
        return values
    count = whole(str(form.get(STEPS, "")), spec.forecast.steps) or spec.forecast.steps
    step = {name: values[name] for name in known}
    return {name: values[name] for name in forecasts.keys(spec)} | {STEPS: [step] * count}


def _asked(spec: ProjectSpec) -> list[str]:
    if not spec.forecast:
        return [*spec.request]
    return [*forecasts.keys(spec), *forecasts.inputs(spec)]


def _input(spec: ProjectSpec, name: str, field: RequestField) -> Input:
    shown = "" if field.example is None else _text(field.example)
    choices = tuple(field.known) or (("true", "false") if field.field_type.python is bool else ())
    number = field.field_type.python in (int, float)
    if choices and shown and shown not in choices:
        choices = (shown, *choices)
    return Input(
        name=name,
        description=field.description,
        unit=field.unit,
        kind="select" if choices else "number" if number else "text",
        value=shown,
        choices=choices,
        nullable=field.nullable,
        whole=field.field_type.python is int,
        slider=_slider(spec, name, field) if number and not choices else None,
    )


def _slider(spec: ProjectSpec, name: str, field: RequestField) -> Slider | None:
    """Return the slider of a number whose bounds are known, by the request or by the checks of its column."""
    column = spec.columns.get(name)
    least, greatest = (column and column.between) or (None, None)
    least, greatest = least if field.ge is None else field.ge, greatest if field.le is None else field.le  # type: ignore[assignment]
    if least is None or greatest is None or least >= greatest:
        return None
    step = 1.0 if field.field_type.python is int else 10.0 ** floor(log10((greatest - least) / 100))
    return Slider(least, greatest, step)


def _value(field: RequestField, text: str, zone: str) -> Any:
    if not text and field.nullable:
        return None
    if field.field_type.python is datetime:
        return _instant(text, zone)
    if field.field_type.python not in (int, float, bool):
        return text
    with suppress(ValueError, OverflowError):
        value = field.field_type.read(text)
        if isinstance(value, bool) or isfinite(value):
            return int(value) if isinstance(value, float) and value.is_integer() else value
    return text


def _instant(text: str, zone: str) -> str:
    """Return a date or an instant with its zone; one that names none is of the project's."""
    with suppress(ValueError):
        at = datetime.fromisoformat(text)
        return text if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone)).isoformat()
    return text


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
