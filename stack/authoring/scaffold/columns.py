"""Describe the columns of a table by their values."""

import keyword
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml

from stack.authoring.scaffold import dates
from stack.declared.instants import UNIX, filled
from stack.specification.fields import TYPES, FieldType
from stack.specification.request import is_reserved

Kind = Literal["number", "integer", "boolean", "string", "datetime", "text", "name", "id", "list", "constant", "empty"]
RESERVED = {
    *("available_at", "row", "label", "id"),
    *("probability", "prediction", "decision", "model_version", "probabilities", "warnings", "features_at"),
    "self",  # `DataFrame.assign` takes no column of this name
}
DERIVED = re.compile(r"(.+)_(?:hour|weekday|month|days|category|past|\d+[dh])")
"""What the names of derived features look like."""
LISTS = (list, dict, np.ndarray)
"""Types of values that hold several, which a table has from JSON or Parquet."""
UNWRITTEN = {*"{}[]!:."}
"""Signs of a name that cannot stand in braces."""
LONG_TEXT, MANY = 60, 1000
"""Characters, and different values, from which on strings are no category."""
FEW = 20
"""Up to so many different values, a category may differ in every row."""
WORDS, READ = 5, 1000
"""Words of a free text on average, of which there are fewer in a name, and rows by which they are counted."""
ENCODED = 50
"""A category of more values is encoded by the target."""
KNOWN = 30
"""Categories up to so many are listed in project.yaml and checks.py."""


@dataclass(frozen=True)
class Column:
    """One column of a file."""

    source: str
    """Name in the file."""
    name: str
    """Name in the project: lower case, an identifier."""
    kind: Kind
    missing: float
    """Share of rows without a value."""
    distinct: int
    present: int = 0
    """Rows with a value."""
    decimal: bool = False
    """Numbers: the file writes them with decimals, be they whole ones."""
    values: list[Any] = field(default_factory=list)
    """The different values of a category or of few numbers, sorted; empty for many."""
    least: float | None = None
    most: float | None = None
    example: Any = None
    unit: str = ""
    """Numbers: what the file writes before or after each of them."""
    zoned: bool = False
    """Datetimes: each of them names its zone."""
    format: str | None = None
    """Datetimes in text: the format by which pandas reads them."""
    unread: float = 0.0
    """Datetimes: share of the values that are no instant, or none that a project holds."""
    parts: dict[str, str] = field(default_factory=dict)
    """Datetimes that are spread over several columns, or the start of an interval in one: as in project.yaml."""

    @property
    def usable(self) -> bool:
        """Return whether a model can learn from it."""
        return self.kind in ("number", "integer", "boolean", "string", "text")

    @property
    def encoded(self) -> bool:
        """Return whether it has too many values for a model to learn from each by itself."""
        return self.kind == "string" and self.distinct > ENCODED

    def instants(self, table: pd.DataFrame, zone: str = "UTC") -> pd.Series:
        """Return the instants (UTC) of a column of datetimes; those without a zone are of `zone`."""
        start = self.parts.get("text")
        values = filled(table[[self.source]], start) if start else table[self.source]
        return dates.read(values, self.format, zone, zoned=self.zoned)

    @property
    def field_type(self) -> FieldType:
        """Return the type of the request field; whole numbers with gaps are read as floats."""
        if self.kind == "integer" or (self.kind == "id" and isinstance(self.example, int)):
            return TYPES["number" if self.missing or self.decimal else "integer"]
        return TYPES[self.kind if self.kind in ("number", "boolean", "text", "datetime") else "string"]


def look(table: pd.DataFrame) -> list[Column]:
    """Describe every column of a table."""
    names = identifiers(table.columns)
    columns = [_column(table[source], str(source), name) for source, name in zip(table.columns, names, strict=True)]
    orders = {dates.day_first(column.format) for column in columns} - {None}
    return [_day_first(column, table[column.source]) for column in columns] if len(orders) > 1 else columns


def _day_first(column: Column, values: pd.Series) -> Column:
    """Return a column with the day first, as another one of the file has it, where its dates allow that."""
    if dates.day_first(column.format) is not False:
        return column
    form = dates.swapped(column.format or "")
    return replace(column, format=form) if dates.fits(form, values.dropna().astype(str)) else column


def identifiers(sources: Iterable[Any]) -> list[str]:
    """Return a unique name for each column that Python, Feast and JSON accept."""
    plain = [_plain_name(source) for source in sources]
    names: list[str] = []
    for name in plain:
        derived = DERIVED.fullmatch(name)
        taken = _is_taken(name) or (derived and any(derived[1].startswith(other) for other in plain))
        name = f"{name}_given" if taken else name
        numbered = (f"{name}_{number}" for number in count(2))
        names.append(next(free for free in chain([name], numbered) if free not in names))
    return names


def _plain_name(source: Any) -> str:
    latin = unicodedata.normalize("NFKD", str(source).replace("ß", "ss"))
    plain = "".join(sign for sign in latin if not unicodedata.combining(sign))
    name = re.sub(r"[^0-9a-z]+", "_", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", plain).lower()).strip("_") or "column"
    return f"c_{name}" if name[0].isdigit() else name


def _is_taken(name: str) -> bool:
    """Return whether Python, YAML, pydantic, Feast or the stack mean something else by a name."""
    word_of_yaml = not isinstance(yaml.safe_load(name), str)
    return word_of_yaml or keyword.iskeyword(name) or is_reserved(name) or name in RESERVED


def _column(values: pd.Series, source: str, name: str) -> Column:
    absent = values.isna()
    present = values[~absent]
    if present.map(type).isin(LISTS).any():
        return Column(source, name, "list", float(absent.mean()), 0, len(present))
    facts: dict[str, Any] = {
        "missing": float(absent.mean()),
        "distinct": int(present.nunique()),
        "present": len(present),
        "decimal": pd.api.types.is_float_dtype(present) and not absent.any(),
    }
    if present.empty:
        return Column(source, name, "empty", **facts)
    if not UNWRITTEN & {*source} and (length := dates.start_of_interval(present)):
        present, facts["parts"] = present.str[:length], {"text": f"{{{source}:.{length}}}"}
    facts["example"] = _plain(present.iloc[len(present) // 2])
    numeric = dates.in_numbers(present, name)
    kind: Kind = "datetime" if numeric and facts["distinct"] > 1 else _kind(present, facts["distinct"])
    if kind == "datetime":
        form = numeric or dates.of(present)
        facts |= {"format": form, "zoned": form in UNIX or (not numeric and dates.zoned(present))}
        facts |= {"unread": dates.unread(present, form)}
    elif kind in ("number", "integer", "constant", "id") and pd.api.types.is_numeric_dtype(present):
        facts |= {"least": float(present.min()), "most": float(present.max())}
    if kind in ("string", "boolean", "integer") and facts["distinct"] <= KNOWN:
        facts["values"] = sorted(map(_plain, present.unique()), key=lambda value: (str(type(value)), value))
    return Column(source, name, kind, **facts)


def _kind(present: pd.Series, distinct: int) -> Kind:
    if distinct == 1:
        return "constant"
    if pd.api.types.is_bool_dtype(present) or (present.dtype == object and {*map(type, present.unique())} == {bool}):
        return "boolean"
    if pd.api.types.is_datetime64_any_dtype(present):
        return "datetime"
    if pd.api.types.is_numeric_dtype(present):
        whole = bool((present % 1 == 0).all())
        unique = distinct == len(present) and distinct > FEW
        counted = whole and unique and int(present.max() - present.min()) == len(present) - 1
        return "id" if counted else "integer" if whole else "number"
    texts = present if pd.api.types.infer_dtype(present) == "string" else present.astype(str)
    if dates.in_text(texts):
        return "datetime"
    # More than MANY of a word each, and seen again, are what a row belongs to.
    many = distinct > max(FEW, len(present) / 2) or distinct > MANY
    some = texts.iloc[:: max(1, len(texts) // READ)]
    if many or some.str.len().mean() > LONG_TEXT:
        if some.str.count(r"\w+").mean() >= WORDS:
            return "text"
        return "name" if some.str.contains(" ").mean() > 0.5 else "id"
    return "string"


def _plain(value: Any) -> Any:
    """Return a value as YAML and Python write it."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, bool | int | float | str) else str(value)
