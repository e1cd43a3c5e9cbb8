"""Requests and answers: pydantic models made from ``request`` of project.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, cast
from uuid import UUID

from bentoml import IODescriptor
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError, to_json

from stack.core.errors import StackError, nearest
from stack.specification import example, tasks
from stack.specification.fields import Datetime
from stack.specification.sections import RequestField
from stack.specification.specs import ProjectSpec

MAX_ROWS = 1000
CHOSEN = {"prediction_id": "a UUID", "asked_at": Datetime.description}


class Row(BaseModel):
    """The request fields of a project. Types are strict: "5" is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    prediction_id: UUID | None = Field(
        None, description="Id of the answer in the prediction log, so that a request sent again is logged once"
    )


class ReplayedRow(Row):
    """A row of a project with a replay clock: it may name the instant of the request."""

    asked_at: AwareDatetime | None = Field(
        None, description="Instant on the project's clock, at most now, at which features are read; default: now"
    )


class Answer(BaseModel):
    """The answer to one row; a project's begins with the reply of its task."""

    model_version: str = Field(description="Version of the registered model that answered")
    prediction_id: str = Field(description="Id of this answer in the prediction log (UUID)")
    features_at: datetime | None = Field(
        description="Event time of the oldest feature row used; null if there was none"
    )
    warnings: list[str] = Field(
        description="Reasons why this answer is less certain: stale or missing features, new values"
    )


def new_values(spec: ProjectSpec, request: Mapping[str, Any]) -> list[str]:
    """Return warnings about values that training never saw."""
    return [
        f"{name}: {request[name]!r} is not among the {len(field.known)} values seen in training"
        for name, field in spec.request.items()
        if field.known and request[name] is not None and request[name] not in field.known
    ]


def answer_model(spec: ProjectSpec) -> type[Answer]:
    """Return the model of the answer to one row: what the project's task replies, then what every answer has."""
    bases: Any = (Answer, _reply_model(spec))
    return cast(type[Answer], create_model(f"{title(spec)}Answer", __base__=bases, __doc__=f"Answer: {spec.title}"))


def _reply_model(spec: ProjectSpec) -> type[BaseModel]:
    """Return the model of what the project's task replies."""
    fields = tasks.of(spec).reply_fields(spec.label)
    described: dict[str, Any] = {name: (kind, Field(**arguments)) for name, (kind, arguments) in fields.items()}
    return create_model("Reply", **described)


class Request(IODescriptor):  # type: ignore[misc]  # BentoML's types are not followed
    """A request body; a wrong one is refused with the field, what was found and what was expected."""

    model_config = ConfigDict(extra="forbid")
    spec: ClassVar[ProjectSpec]

    @classmethod
    async def from_http_request(cls, request: Any, serde: Any) -> Any:
        """Parse the body as JSON, whatever its content type: ``curl -d`` calls it a form."""
        try:
            return cls.model_validate_json(await request.body() or b"{}")
        except ValidationError as error:
            raise explain(cls, error) from None

    @classmethod
    def names(cls) -> list[str]:
        """Return names that a caller may have meant."""
        return [*cls.spec.request, "rows"]

    @classmethod
    def expected(cls, mistake: Any) -> str:
        """Return what a correct request has in the place of a mistake, a pydantic error."""
        return _expected(cls.spec, mistake)


def request_model(spec: ProjectSpec) -> type[Request]:
    """Return the model of a request body: ``{"rows": [...]}`` of 1 to MAX_ROWS rows."""
    row = row_model(spec)
    rows = Field(
        min_length=1,
        max_length=MAX_ROWS,
        description=f"1 to {MAX_ROWS} rows; the answers come in the same order",
        examples=[[example.row(spec)]],
        json_schema_extra={"example": [example.row(spec)]},
    )
    body = create_model(f"{title(spec)}Request", __base__=Request, rows=(list[row], rows))  # type: ignore[valid-type]
    body.spec = spec
    return body


def row_model(spec: ProjectSpec) -> type[Row]:
    """Return the model of one row from the project's request fields."""
    base = ReplayedRow if spec.clock.kind == "replay" else Row
    reserved = set(base.model_fields) & set(spec.request)
    if reserved:
        raise StackError(
            f"projects/{spec.name}/project.yaml, key request.{min(reserved)}",
            found="a name that every request has",
            expected=f"request fields other than {', '.join(base.model_fields)}",
            todo="rename the field",
        )
    fields: dict[str, Any] = {name: (_annotation(field), _field(field)) for name, field in spec.request.items()}
    return create_model(f"{title(spec)}Row", __base__=base, __doc__=spec.title, **fields)


def parsed_example(spec: ProjectSpec) -> dict[str, Any]:
    """Return the example row of project.yaml as a parsed request: instants are datetimes."""
    return row_model(spec).model_validate_json(to_json(example.row(spec))).model_dump(include=set(spec.request))


def explain(body: type[Request], error: ValidationError) -> ValidationError:
    """Return the error with what was found and what was expected in each place, in the terms of project.yaml."""
    mistakes = [
        InitErrorDetails(
            type=PydanticCustomError(
                mistake["type"],
                "found {found}, expected {expected}",
                {"found": _found(body, mistake), "expected": body.expected(mistake)},
            ),
            loc=mistake["loc"],
            input=mistake["input"],
        )
        for mistake in error.errors(include_url=False)[:20]
    ]
    return ValidationError.from_exception_data(f"the request to {body.spec.name}", mistakes)


def _found(body: type[Request], mistake: Any) -> str:
    """Describe what the caller sent."""
    match mistake["type"]:
        case "missing":
            return "nothing"
        case "extra_forbidden":
            return f"an unknown field{nearest(str(mistake['loc'][-1]), body.names())}"
        case "json_invalid":
            return str(mistake["msg"])
        case "too_long":
            return f"more than {MAX_ROWS} {mistake['loc'][-1]}"
    text = repr(mistake["input"])
    return text if len(text) <= 80 else f"{text[:77]}..."


def _expected(spec: ProjectSpec, mistake: Any) -> str:
    """Describe what a correct request has in this place."""
    loc = mistake["loc"]
    if mistake["type"] == "extra_forbidden":
        return f"only {', '.join(spec.request)}" if len(loc) > 1 else "only rows"
    field = spec.request.get(str(loc[-1])) if len(loc) == 3 else None
    if field:
        return f"{_kind(field)}, like {field.example!r} ({field.description})"
    if loc and loc[-1] in CHOSEN:
        return CHOSEN[loc[-1]]
    if len(loc) == 2:
        return f"an object with {', '.join(spec.request)}"
    return f'{{"rows": [...]}} with 1 to {MAX_ROWS} rows'


def _kind(field: RequestField) -> str:
    """Describe a field's type and limits."""
    or_null = ["or null"] if field.nullable else []
    limits = [
        *([f"matching {field.pattern}"] if field.pattern else []),
        *([f"of at least {field.ge:g}"] if field.ge is not None else []),
        *([f"of at most {field.le:g}"] if field.le is not None else []),
        *([f"in {field.unit}"] if field.unit else []),
    ]
    return " ".join([field.field_type.description, *limits, *or_null])


def _annotation(field: RequestField) -> Any:
    annotation = field.field_type.annotation()
    return annotation | None if field.nullable else annotation


def _field(field: RequestField) -> Any:
    """Return a request field for pydantic and OpenAPI; one that may be null may also be left out."""
    unit = f" [{field.unit}]" if field.unit else ""
    return Field(
        None if field.nullable else ...,
        description=f"{field.description}{unit}",
        examples=[field.example],
        # OpenAPI 3.0, which BentoML writes, knows the singular only.
        json_schema_extra={"example": field.example},
        pattern=field.pattern or None,
        ge=field.ge,
        le=field.le,
    )


def title(spec: ProjectSpec) -> str:
    """Return the prefix of the names of a project's models."""
    return "".join(part.title() for part in spec.name.split("_"))
