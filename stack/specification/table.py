"""The section ``columns`` of a project's specification: what each column of its one table is.

From it follow the sections that a project with Python files writes itself: ``tables``, ``request`` and ``features``.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from string import Formatter
from typing import Any, Literal

from pydantic import Field, model_validator

from stack.specification import formulas
from stack.specification.fields import TYPES
from stack.specification.request import Example, FieldTypeName
from stack.specification.sections import KINDS, Spec
from stack.specification.sources import Source

ROWS = "rows"
"""The only table of a project with ``columns``."""
ROW = "row"
"""Column with the number of a row's line, where no column identifies a row."""
IDENTIFIER = r"^[a-zA-Z_][a-zA-Z0-9_]*$"


class Column(Spec):
    """A column of the project's table: its type, its role, and what a batch's values must be."""

    type: FieldTypeName = "number"
    """What the column holds: a string is a category, of a text the words are counted; an instant without a zone is of
    `source.zone`."""
    role: Literal["feature", "key", "time", "known", "later", "group", "id"] = "feature"
    """Feature: known when a row is asked about, so that a request has it. Key: so too, and the past of its values can
    be averaged. Time: the instant at which a row is asked about. Known: the instant at which its outcome is known.
    Later: known with the outcome only, so that only its past can be used. Group: rows with the same value, as of one
    patient, are held out together (`training.group`). Id: it names the row."""
    source: str = ""
    """Name in the source, where it is another."""
    parts: dict[Literal["year", "month", "day", "hour", "minute", "date", "clock", "text"], str] = {}
    """Of an instant that is spread over columns of the source: part -> column; `clock` is a time of day like 18:30,
    `date` is written as `format` says. Or `text`, columns in braces, like `2011 {day} {hour}`, which `format` reads."""
    format: str = ""
    """How the source writes an instant, like `%d.%m.%Y %H:%M`; ISO 8601 when left out; `unix`, `unix_ms`, `unix_us` or
    `unix_ns` where it is the number of seconds, or of such parts of one, since 1970."""
    description: str = ""
    """Said in the API, and in errors; the name in the source when left out."""
    unit: str = ""
    """Said with the description; a source may write it before or after the numbers, as in `$1,234.50` or `12 %`, and
    hours (`h`) as `07:30`."""
    example: Example = None
    """A real value, for the example request."""
    missing: float = Field(0.0, ge=0, lt=1)
    """Share of the rows that may lack a value; a batch that lacks more is warned of. 0: a row without one is taken
    out."""
    monotonic: Literal["increasing", "decreasing"] | None = None
    """Of a feature that is a number: see `features.monotonic`."""
    encode: Literal["target"] | None = None
    """Of a string: see `features.encode`."""
    between: tuple[float | None, float | None] | None = None
    """Least and greatest number; rows outside are taken out, a batch with many of them is refused."""
    values: list[str] = []
    """Texts that are known; another one is warned of, in a batch and in an answer."""

    @model_validator(mode="after")
    def _fits_type(self) -> "Column":
        if (self.role in ("time", "known") or self.parts or self.format) and self.type != "datetime":
            raise ValueError("type: an instant is of type datetime")
        if self.monotonic and (self.role != "feature" or TYPES[self.type].feature != "number"):
            raise ValueError("monotonic: of a feature that is a number")
        if self.encode and self.type != "string":
            raise ValueError("encode: of a string alone")
        if self.type == "text" and (self.role != "feature" or self.values):
            raise ValueError(f"type: string, as a text has neither values nor the role {self.role}")
        if self.between and self.type not in ("number", "integer"):
            raise ValueError("between: of numbers alone")
        return self

    def names(self, own: str) -> list[str]:
        """Return the columns of the source that it is read from; `own` is its name in the project."""
        if text := self.parts.get("text"):
            return [name for _, name, _, _ in Formatter().parse(text) if name]
        return [*self.parts.values()] or [self.source or own]

    @property
    def plain(self) -> "Column":
        """The column of rows that have the project's names and instants in ISO 8601."""
        return self.model_copy(update={"source": "", "parts": {}, "format": ""})


Columns = Mapping[str, Column]


def of_role(columns: Columns, role: str) -> list[str]:
    """Return the names of the columns of a role."""
    return [name for name, column in columns.items() if column.role == role]


def time(columns: Columns) -> str | None:
    """Return the column with the instant of a row, if any."""
    return next(iter(of_role(columns, "time")), None)


def group(columns: Columns) -> str:
    """Return the column whose rows of the same value are held out together; empty when there is none."""
    return next(iter(of_role(columns, "group")), "")


def tables(columns: Columns, source: Source | None) -> dict[str, Any]:
    """Return the section ``tables``: a table without time is a snapshot.

    Known rows may come again, corrected, where the source or a column says since when each is known; a file's do not.
    """
    key = (source.key if source else []) or of_role(columns, "id") or [ROW]
    if not time(columns):
        return {ROWS: {"key": key, "snapshot": True}}
    listed = source is None or source.numbered
    dated = source is not None and source.knows_when or bool(of_role(columns, "known"))
    return {ROWS: {"key": key, "corrected": dated and not listed}}


def request(columns: Columns, label: str) -> dict[str, Any]:
    """Return the section ``request``: the columns that are known when a row is asked about."""
    asked = {name: column for name, column in columns.items() if name != label}
    return {name: field(name, column) for name, column in asked.items() if column.role in ("feature", "key", "time")}


def field(name: str, column: Column) -> dict[str, Any]:
    """Return a column as the field of a request, or of a pushed row."""
    return {
        "type": column.type,
        "description": column.description or column.source or name,
        "example": column.example,
        "nullable": column.missing > 0 and column.role not in ("key", "time"),
        "unit": column.unit,
        "known": column.values,
    }


def features(columns: Columns, project: str, label: str, section: dict[str, Any]) -> dict[str, Any]:
    """Return the section ``features`` with what it leaves out: service, keys with a past, and feature columns.

    These are the formulas of the past, the columns as they are, and the other formulas. A formula that cannot be parsed
    is left out: an error of its section says so.
    """
    written: dict[str, formulas.Formula] = {}
    with suppress(ValueError, TypeError, AttributeError):
        for name, text in (section.get("formulas") or {}).items():
            written[name] = formulas.parse(text)
    plain = [
        (name, TYPES[column.type].feature)
        for name, column in columns.items()
        if column.role == "feature" and name != label and TYPES[column.type].feature
    ]
    past = {name: "number" for name, formula in written.items() if isinstance(formula, formulas.Past)}
    others = {name: formula.kind for name, formula in written.items() if isinstance(formula, formulas.OnRequest)}
    kinds = past | {name: kind for of in KINDS for name, kind in plain if kind == of} | others
    averaged = {formula.key for formula in written.values() if isinstance(formula, formulas.Past)}
    keys = [name for name in of_role(columns, "key") if name in averaged]
    monotonic = {name: column.monotonic for name, column in columns.items() if column.monotonic}
    for option, given in (("monotonic", monotonic), ("encode", encoded(columns))):
        own = section.get(option, {})
        section = section | {option: given | own if isinstance(own, dict) else own}
    return {"service": f"{project}_v1", "entities": keys, "columns": kinds} | section


def encoded(columns: Columns) -> dict[str, str]:
    """Return how the columns are encoded that are not read as they are."""
    return {name: column.encode for name, column in columns.items() if column.encode}


def problems(
    columns: Columns, label: str, source: Source | None, written: Mapping[str, formulas.Formula]
) -> Iterator[str]:
    """Yield what contradicts itself, each beginning with its key."""
    keys, key = of_role(columns, "key"), source.key if source else []
    if source and not (source.numbered or key or of_role(columns, "id")):
        yield f"source.key: the columns that identify a row, as the rows of kind {source.kind} have no number"
    if label not in columns:
        yield f"label: one of the columns: {', '.join(columns)}"
    elif columns[label].type == "text":
        yield f"columns.{label}.type: string, as the outcome is no text"
    for role in ("time", "known", "group"):
        if len(several := of_role(columns, role)) > 1:
            yield f"columns.{several[1]}: one column of role {role} besides {several[0]}"
    if any(name not in columns for name in key):
        yield f"source.key: columns of the project, {', '.join(columns)}"
    if keys and not time(columns):
        yield f"columns.{keys[0]}: a column of role time beside it, as a past is in time"
    yield from _in_formulas(columns, label, written)


def _in_formulas(columns: Columns, label: str, written: Mapping[str, formulas.Formula]) -> Iterator[str]:
    keys, asked = of_role(columns, "key"), {name: columns[name].type for name in request(columns, label)}
    numbers = [name for name, column in columns.items() if TYPES[column.type].feature == "number"]
    for name, formula in written.items():
        problem = "a name that no column has" if name in columns else formula.problem(asked, keys, [*numbers, label])
        if problem:
            yield f"features.formulas.{name}: {problem}"
