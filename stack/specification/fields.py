"""The types of request fields, as objects.

A packaged model holds this module, which needs the standard library alone; pandas and pydantic come with a caller that
has columns or models.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

from stack.core.errors import StackError
from stack.specification.frames import INSTANT, LARGEST

if TYPE_CHECKING:
    from pandas import Series

ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"


class FieldType:
    """A text, and the base of the other types."""

    name: ClassVar[str] = "string"
    description: ClassVar[str] = "a text"
    python: ClassVar[type] = str
    """The type of a value inside a process."""
    accepted: ClassVar[tuple[type, ...]] = (str,)
    """Types of an example in project.yaml."""
    frame_dtype: ClassVar[Any] = None
    """The dtype of a column of events; None leaves it as it is."""
    file_dtype: ClassVar[Any] = str
    """The dtype that a column of a CSV file is read with."""
    kinds: ClassVar[str] = "OTUS"
    """Kinds of dtypes (:attr:`numpy.dtype.kind`) that a column of events may have."""
    feature: ClassVar[str] = "category"
    """How a model reads it as a feature, see `features.columns`; empty where it is none."""
    longest: ClassVar[int] = 1000
    """Characters of a request's text, at most, where project.yaml names no number."""
    feast: ClassVar[str] = "String"
    """The name in :mod:`feast.types`."""
    entity: ClassVar[str] = "STRING"
    """The name in :class:`feast.ValueType`, as a join key."""
    sample: ClassVar[Any] = "a"
    """A value for Feast, which tries definitions out."""
    least: ClassVar[Any] = None
    """Least value of a request where project.yaml names none; None for any."""
    greatest: ClassVar[Any] = None
    """Greatest value of a request where project.yaml names none; None for any."""

    def annotation(self) -> Any:
        """Return the type of the field in a pydantic model of strict types."""
        return self.python

    def read(self, value: Any) -> Any:
        """Return a value of JSON or a CSV file as features take it; TypeError or ValueError for another type."""
        return self.python(value)

    def value(self, example: Any) -> Any:
        """Return the example of project.yaml as features are computed from it."""
        return example

    def example_problem(self, example: Any) -> str:
        """Return what an example should be; empty when it is that."""
        boolean = isinstance(example, bool) and bool not in self.accepted
        return f"a value of type {self.name}" if boolean or not isinstance(example, self.accepted) else ""

    def column_problem(self, values: Series) -> str:
        """Return what a column of events should be; empty when it is that."""
        fits = getattr(values.dtype, "kind", "O") in self.kinds
        return "" if fits else f"type {self.name}, as request in project.yaml says"

    def dtype_of_file(self, *, nullable: bool) -> Any:
        """Return the dtype that a column of a CSV file is read with."""
        return self.file_dtype

    def from_file(self, values: Series, where: str) -> Series:
        """Return a column with :meth:`dtype_of_file` as events have it; `where` names it in a StackError."""
        return values

    def from_log(self, values: Series) -> Series:
        """Return a column of the prediction log, where values are JSON, as events have it."""
        return values


class Text(FieldType):
    """A text of several words, which a model counts."""

    name, description, feature, longest = "text", "a text of several words", "text", 10_000


class Integer(FieldType):
    """A whole number."""

    feature = "number"
    name, description, python, accepted = "integer", "a whole number", int, (int,)
    frame_dtype, file_dtype, kinds = "Int64", "int64", "biuf"  # pandas reads integers with gaps as floats
    feast, entity, sample = "Int64", "INT64", 1
    least, greatest = -(2**63), 2**63 - 1

    def read(self, value: Any) -> int:
        """Return a whole number; pandas writes 3.0 where others of the column are missing."""
        text = str(value)
        whole = int(text) if text.lstrip("+-").isdigit() else int(float(text))
        if whole != float(text):
            raise ValueError(value)
        return whole

    def dtype_of_file(self, *, nullable: bool) -> Any:
        """Return the dtype that a column of a CSV file is read with: floats where values may be missing."""
        return "float64" if nullable else self.file_dtype


class Number(FieldType):
    """A number."""

    feature = "number"
    name, description, python, accepted = "number", "a number", float, (int, float)
    frame_dtype, file_dtype, kinds = "float64", "float64", "iuf"
    feast, sample = "Float64", 1.0
    least, greatest = -LARGEST, LARGEST


class Boolean(FieldType):
    """True or false."""

    feature = "number"
    name, description, python, accepted = "boolean", "true or false", bool, (bool,)
    frame_dtype, file_dtype, kinds = "boolean", "bool", "bO"
    feast, sample = "Bool", True

    def read(self, value: Any) -> bool:
        """Return true or false, written so or as 1 and 0."""
        text = str(value).lower()
        if text not in ("true", "false", "1", "0"):
            raise ValueError(value)
        return text in ("true", "1")


class Datetime(FieldType):
    """An instant."""

    feature = ""
    name, description, python = "datetime", "ISO 8601 date and time with its zone", datetime
    feast, sample = "UnixTimestamp", datetime(2024, 1, 1, tzinfo=UTC)
    least, greatest = datetime(1700, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

    def annotation(self) -> Any:
        """Return the type of an instant that names its zone."""
        from pydantic import AwareDatetime

        return AwareDatetime

    def read(self, value: Any) -> datetime:
        """Return an instant in UTC, in whole seconds."""
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if at.tzinfo is None:
            raise ValueError(value)
        return at.astimezone(UTC).replace(microsecond=0)

    def value(self, example: Any) -> Any:
        """Return the instant that a text names."""
        return datetime.fromisoformat(str(example)) if example else example

    def example_problem(self, example: Any) -> str:
        """Return what an example should be; empty when it is an instant with a zone."""
        try:
            self.read(example)
        except ValueError:
            return "ISO 8601 with a zone, like 2013-03-01T00:00:00Z"
        return ""

    def column_problem(self, values: Series) -> str:
        """Return what a column of events should be; empty when it holds instants with a zone."""
        return "" if hasattr(values.dtype, "tz") else "instants with their zone, UTC"

    def from_file(self, values: Series, where: str) -> Series:
        """Return instants (datetime64[us, UTC]); a value without a zone is an error."""
        import pandas as pd

        if isinstance(values.dtype, pd.DatetimeTZDtype):
            return cast("Series", values.dt.tz_convert("UTC").dt.as_unit("us"))
        text = values.astype(str)
        wrong = text[~text.str.contains(ZONE)]
        if len(wrong):
            found = f"{len(wrong)} of {len(text)} values without a zone, like {wrong.iloc[0]!r}"
            expected = "instants with a zone, like 2013-03-01T08:00:00-05:00"
            raise StackError(where, found=found, expected=expected, todo="add the zone")
        return cast("Series", pd.to_datetime(text, utc=True, format="ISO8601").dt.as_unit("us"))

    def from_log(self, values: Series) -> Series:
        """Return instants (datetime64[us, UTC])."""
        import pandas as pd

        return pd.to_datetime(values, utc=True, format="ISO8601").astype(INSTANT)


TYPES: dict[str, FieldType] = {
    kind.name: kind for kind in (FieldType(), Text(), Integer(), Number(), Boolean(), Datetime())
}
"""Name in project.yaml -> the type."""
