"""The fields of a request in ``projects/<name>/project.yaml``: types, examples and bounds."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationInfo, field_validator

from stack.specification import fields, frames
from stack.specification.fields import Datetime, FieldType
from stack.specification.sections import Spec, key_of

MAX_ROWS, MAX_EXPLAINED = 1000, 50
"""Largest number of rows of a request for predictions, and of one that asks for reasons."""
FieldTypeName = Annotated[str, key_of(fields.TYPES)]
Example = Annotated[Any, AfterValidator(lambda value: value.isoformat() if isinstance(value, date) else value)]
"""A real value, as JSON has it: YAML reads an instant without quotes as one, which is a text in requests."""
OF_THE_STACK = frozenset({"prediction_id", "asked_at", "stack_row", *frames.EVENT})
"""What requests and events have besides the project's fields."""


def is_reserved(name: str) -> bool:
    """Return whether a request field cannot have a name: the stack or pydantic, whose model a request is, has it."""
    return name in OF_THE_STACK or name.startswith("_") or hasattr(BaseModel, name)


class RequestField(Spec):
    """A field that a caller sends with each prediction request."""

    type: FieldTypeName
    """What a caller sends; a datetime names its zone."""
    description: str
    """Said in the API, and in errors."""
    example: Example
    """A real value, for the example request."""
    nullable: bool = False
    """The value may be missing: null, or left out."""
    unit: str = ""
    """Said with the description."""
    known: list[str] = []
    """Values seen in training; another value is answered with a warning, never refused."""
    pattern: str = ""
    """Regular expression that a text matches; others are refused."""
    max_length: int | None = Field(None, gt=0)
    """Greatest number of characters; 1,000 of a string and 10,000 of a text when left out."""
    ge: float | int | AwareDatetime | None = None
    """Least value; -2^63 for an integer, -3.4e38 for a number and 1700-01-01 for a datetime when left out."""
    le: float | int | AwareDatetime | None = None
    """Greatest value; 2^63 - 1 for an integer, 3.4e38 for a number and 2200-01-01 for a datetime when left out."""

    @field_validator("ge", "le")
    @classmethod
    def _of_type(cls, bound: Any, info: ValidationInfo) -> Any:
        """Refuse a bound that is not of the field's type."""
        is_instant = info.data.get("type") == Datetime.name
        if bound is not None and isinstance(bound, datetime) != is_instant:
            raise ValueError("an instant, as the field is a datetime" if is_instant else "a number")
        return bound

    @property
    def value(self) -> Any:
        """The example as features are computed from it: an instant is a datetime."""
        return self.field_type.value(self.example)

    @property
    def field_type(self) -> FieldType:
        """What the stack knows of the type."""
        return fields.TYPES[self.type]

    @property
    def limits(self) -> dict[str, Any]:
        """The bounds of a value, as arguments of a pydantic field."""
        kind = self.field_type
        limits = {
            "ge": kind.least if self.ge is None else self.ge,
            "le": kind.greatest if self.le is None else self.le,
            "pattern": self.pattern or None,
            "max_length": (self.max_length or kind.longest) if kind.python is str else None,
        }
        return {name: limit for name, limit in limits.items() if limit is not None}
