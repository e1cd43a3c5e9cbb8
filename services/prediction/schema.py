"""Requests and answers: pydantic models made from ``request`` of project.yaml."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, cast
from uuid import UUID

from bentoml import IODescriptor
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError, to_json

from stack.core.errors import StackError, nearest
from stack.serving.reasons import Reasons
from stack.specification import example, tasks
from stack.specification.fields import Datetime
from stack.specification.request import MAX_EXPLAINED, MAX_ROWS, RequestField
from stack.specification.specs import ProjectSpec

Instant = Annotated[AwareDatetime, Field(ge=Datetime.least, le=Datetime.greatest)]
Reply = dict[str, Any]
"""The fields of an :class:`Answer`; their types are known, so that none is made of them."""
IN_ORDER = "; the answers come in the same order"
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""Types are strict: "5" is no number."""
LIMITS = {
    "greater_than_equal": ("ge", "of at least {}"),
    "less_than_equal": ("le", "of at most {}"),
    "string_too_long": ("max_length", "of at most {} characters"),
}
"""Type of a pydantic error -> the limit in its context, and how it is said."""


class Row(BaseModel):
    """The request fields of a project."""

    model_config = STRICT

    prediction_id: UUID | None = Field(
        None, description="Id of the answer in the prediction log, so that a request sent again is logged once"
    )


class Answer(BaseModel):
    """The answer to one row; a project's begins with the reply of its task."""

    model_version: str = Field(description="Version of the registered model that answered")
    prediction_id: str = Field(description="Id of this answer in the prediction log (UUID)")
    features_at: datetime | None = Field(
        description="Event time of the oldest feature row used (the same time on other days aside); null if none"
    )
    warnings: list[str] = Field(
        description="Reasons why this answer is less certain: stale or missing features, new values, "
        "numbers outside the range of training"
    )
    reasons: Reasons | None = Field(
        None, exclude_if=lambda reasons: reasons is None, description="Contribution of each feature, where asked for"
    )


def new_values(spec: ProjectSpec, requests: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return for each request the warnings about values that training never saw."""
    warnings: list[list[str]] = [[] for _ in requests]
    for name, field in spec.request.items():
        new = {request[name] for request in requests}.difference(field.known, [None]) if field.known else ()
        for row, request in enumerate(requests if new else ()):
            if request[name] in new:
                text = f"{name}: {request[name]!r} is not among the {len(field.known)} values seen in training"
                warnings[row].append(text)
    return warnings


def answer_model(spec: ProjectSpec) -> type[Answer]:
    """Return the model of the answer to one row: what the project's task replies, then what every answer has."""
    fields = tasks.of(spec).reply_fields(spec.label)
    described: dict[str, Any] = {name: (kind, Field(**arguments)) for name, (kind, arguments) in fields.items()}
    bases: Any = (Answer, create_model("Reply", **described))
    return cast(type[Answer], create_model(f"{title(spec)}Answer", __base__=bases, __doc__=f"Answer: {spec.title}"))


class Body(IODescriptor):  # type: ignore[misc]  # BentoML's types are not followed
    """A request body, a list under one key; a wrong body is refused with the field, what was found and expected."""

    model_config = ConfigDict(extra="forbid")
    project: ClassVar[str]
    key: ClassVar[str]
    items: ClassVar[str] = "[...]"
    """The list, as errors show it."""
    names: ClassVar[list[str]]
    """Fields that every item has."""
    expected: ClassVar[Mapping[str, str]]
    """Field of an item -> description of a correct value."""

    @classmethod
    async def from_http_request(cls, request: Any, serde: Any) -> Any:
        """Parse the body as JSON, whatever its content type: ``curl -d`` calls it a form."""
        try:
            return cls.model_validate_json(await request.body() or b"{}")
        except ValidationError as error:
            raise explain(cls, error) from None


class Explainable(Body):
    """A request for predictions, and for their reasons."""

    explain: bool = Field(
        False,
        strict=True,
        description=f"Whether each answer has its reasons, which are logged with it; for at most {MAX_EXPLAINED} rows",
    )


def body_model(
    spec: ProjectSpec,
    name: str,
    item: Any,
    body: Mapping[str, Any],
    expected: Mapping[str, str],
    note: str,
    base: type[Body] = Body,
) -> type[Body]:
    """Return the model of a body of 1 to MAX_ROWS items; `body` is an example with one, `base` has other fields."""
    ((key, items),) = body.items()
    field = Field(min_length=1, max_length=MAX_ROWS, description=f"1 to {MAX_ROWS} {key}{note}", examples=[items])
    model = create_model(f"{title(spec)}{name}", __base__=base, **{key: (list[item], field)})  # type: ignore[call-overload]
    model.project, model.key, model.names, model.expected = spec.name, key, list(items[0]), expected
    return cast(type[Body], model)


def request_model(spec: ProjectSpec, base: type[Body] = Body) -> type[Body]:
    """Return the model of a request for predictions: ``{"rows": [...]}``, and the fields of `base`."""
    row = row_model(spec)
    expected = {name: describe(field) for name, field in spec.request.items()} | {"prediction_id": "a UUID"}
    if "asked_at" in row.model_fields:
        expected["asked_at"] = Datetime.description
    body = {"rows": [example.fields(spec)]}
    return body_model(spec, "Request", row, body, expected, IN_ORDER, base)


def row_model(spec: ProjectSpec) -> type[Row]:
    """Return the model of one row from the project's request fields."""
    base: type[Row] = Row
    if spec.clock.kind == "replay" or spec.forecast:
        note = "Instant on the project's clock, at most now, at which features are read; default: now"
        base = create_model("RowOfInstant", __base__=Row, asked_at=(Instant | None, Field(None, description=note)))
    if reserved := set(base.model_fields) & set(spec.request):
        raise StackError(
            f"projects/{spec.name}/project.yaml, key request.{min(reserved)}",
            found="a name that every request has",
            expected=f"request fields other than {', '.join(base.model_fields)}",
            todo="rename the field",
        )
    fields: dict[str, Any] = {name: pydantic_field(field) for name, field in spec.request.items()}
    return create_model(f"{title(spec)}Row", __base__=base, __doc__=spec.title, **fields)


def parsed_example(spec: ProjectSpec) -> dict[str, Any]:
    """Return the example row of project.yaml as a parsed request: instants are datetimes."""
    return row_model(spec).model_validate_json(to_json(example.fields(spec))).model_dump(include=set(spec.request))


def explain(body: type[Body], error: ValidationError) -> ValidationError:
    """Return the error with what was found and what was expected in each place, in the terms of project.yaml."""
    mistakes = []
    for mistake, found, expected in list(findings(body, error))[:20]:
        context = {"found": found, "expected": expected}
        custom = PydanticCustomError(mistake["type"], "found {found}, expected {expected}", context)
        mistakes.append(InitErrorDetails(type=custom, loc=mistake["loc"], input=mistake["input"]))
    return ValidationError.from_exception_data(f"the request to {body.project}", mistakes)


def findings(
    body: type[Body], error: ValidationError, place: tuple[str | int, ...] = ()
) -> Iterator[tuple[Any, str, str]]:
    """Yield each mistake in a part of a body, whose place is given, what was found and what was expected."""
    for mistake in error.errors(include_url=False):
        placed = {**mistake, "loc": (*place, *mistake["loc"])}
        yield placed, _found_value(body, placed), _expected_value(body, placed)


def _found_value(body: type[Body], mistake: Any) -> str:
    """Describe what the caller sent."""
    match mistake["type"]:
        case "missing":
            return "nothing"
        case "extra_forbidden":
            return f"an unknown field{nearest(str(mistake['loc'][-1]), [*body.expected, *body.model_fields])}"
        case "json_invalid":
            return str(mistake["msg"])
        case "too_long":
            return f"more than {MAX_ROWS} {mistake['loc'][-1]}"
    text = repr(mistake["input"])
    return text if len(text) <= 80 else f"{text[:77]}..."


def _expected_value(body: type[Body], mistake: Any) -> str:
    """Describe what a correct body has in this place."""
    loc = mistake["loc"]
    if mistake["type"] == "extra_forbidden":
        return f"only {', '.join(body.expected)}" if len(loc) > 1 else f'only {{"{body.key}": {body.items}}}'
    if named := [part for part in loc[2:] if part in body.expected]:
        expected, limit = body.expected[named[-1]], _limit(mistake)
        return expected if limit in expected else f"{expected}, {limit}"
    if loc == ("explain",):
        return "true or false"
    if len(loc) == 2:
        return f"an object with {', '.join(body.names)}"
    return f'{{"{body.key}": {body.items}}} with 1 to {MAX_ROWS} {body.key}'


def _limit(mistake: Any) -> str:
    """Describe the limit that a value exceeds; empty when it exceeds none."""
    name, text = LIMITS.get(mistake["type"], ("", ""))
    return text.format(_text(mistake["ctx"][name])) if name else ""


def _text(bound: Any) -> str:
    return f"{bound:g}" if isinstance(bound, float) else to_json(bound).decode().strip('"')


def describe(field: RequestField) -> str:
    """Describe a request field: its type, limits, example and meaning."""
    parts = [
        field.field_type.description,
        f"matching {field.pattern}" if field.pattern else "",
        f"of at least {_text(field.ge)}" if field.ge is not None else "",
        f"of at most {_text(field.le)}" if field.le is not None else "",
        f"in {field.unit}" if field.unit else "",
        "or null" if field.nullable else "",
    ]
    return f"{' '.join(filter(None, parts))}, like {field.example!r} ({field.description})"


def pydantic_field(field: RequestField, alias: str | None = None) -> Any:
    """Return a request field's type and description for pydantic; a nullable field may also be left out."""
    annotation, unit = field.field_type.annotation(), f" [{field.unit}]" if field.unit else ""
    bounds = {"ge": "formatMinimum", "le": "formatMaximum"} if field.field_type.python is datetime else {}
    return (
        annotation | None if field.nullable else annotation,
        Field(
            None if field.nullable else ...,
            alias=alias,
            description=f"{field.description}{unit}",
            examples=[field.example],
            # Of instants, pydantic writes no bounds into a JSON schema.
            json_schema_extra={name: _text(field.limits[limit]) for limit, name in bounds.items()},
            **field.limits,
        ),
    )


def title(spec: ProjectSpec) -> str:
    """Return the prefix of the names of a project's models."""
    return "".join(part.title() for part in spec.name.split("_"))
