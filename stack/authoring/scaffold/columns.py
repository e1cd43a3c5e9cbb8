"""What a table's columns hold, as far as their values tell."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

Kind = Literal["number", "integer", "boolean", "string", "datetime", "text", "id", "constant", "empty"]
RESERVED = {
    *("event_id", "event_timestamp", "label_available_at", "available_at", "asked_at", "prediction_id", "row", "label"),
    *("probability", "prediction", "decision", "model_version", "probabilities", "warnings", "features_at", "id"),
}
LONG_TEXT, MANY = 60, 1000
"""Characters, and different values, from which on strings are no category."""
FEW = 20
"""Up to so many different values, a category may have another one in every row."""
KNOWN = 30
"""Categories up to so many are listed in project.yaml and checks.py."""
DATES = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
FORMATS = [
    f"{date.replace('-', sign)}{year}{clock}"
    for sign in "./-"
    for date in (("%d-%m-",) if sign == "." else ("%m-%d-", "%d-%m-"))
    for year in ("%Y", "%y")
    for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
]
"""What people write besides ISO 8601; the first that fits is taken."""
ZONED = re.compile(r":\d{2}(?:\.\d+)? ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)$")


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
    values: list[Any] = field(default_factory=list)
    """The different values of a category or of few numbers, sorted; empty for many."""
    least: float | None = None
    most: float | None = None
    example: Any = None
    zoned: bool = False
    """Datetimes: every one names its zone."""
    parsing: str = ""
    """Datetimes: arguments of ``pandas.to_datetime``, as Python."""

    @property
    def usable(self) -> bool:
        """Whether a model can learn from it."""
        return self.kind in ("number", "integer", "boolean", "string")


def look(table: pd.DataFrame) -> list[Column]:
    """Describe every column of a table."""
    names = identifiers(table.columns)
    return [_column(table[source], str(source), name) for source, name in zip(table.columns, names, strict=True)]


def identifiers(sources: Iterable[Any]) -> list[str]:
    """Names that Python, Feast and JSON take, each once."""
    made: list[str] = []
    for source in sources:
        latin = unicodedata.normalize("NFKD", str(source).replace("ß", "ss"))
        plain = "".join(sign for sign in latin if not unicodedata.combining(sign))
        name = re.sub(r"[^0-9a-z]+", "_", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", plain).lower()).strip("_")
        name = name or "column"
        if name[0].isdigit():
            name = f"c_{name}"
        if name in RESERVED or keyword.iskeyword(name):
            name = f"{name}_given"
        number, base = 2, name
        while name in made:
            name, number = f"{base}_{number}", number + 1
        made.append(name)
    return made


def _column(values: pd.Series, source: str, name: str) -> Column:
    there = values.dropna()
    facts: dict[str, Any] = {"missing": float(values.isna().mean()), "distinct": int(there.nunique())}
    if there.empty:
        return Column(source, name, "empty", **facts)
    facts["example"] = _plain(there.iloc[len(there) // 2])
    kind = _kind(there, facts["distinct"])
    if kind == "datetime":
        facts |= {"zoned": _zoned(there), "parsing": "".join(f", {k}={v!r}" for k, v in parsing(there).items())}
        facts["parsing"] = facts["parsing"].replace("'", '"')
    elif kind in ("number", "integer"):
        facts |= {"least": float(there.min()), "most": float(there.max())}
    if kind in ("string", "boolean", "integer") and facts["distinct"] <= KNOWN:
        facts["values"] = sorted((_plain(one) for one in there.unique()), key=lambda one: (str(type(one)), one))
    return Column(source, name, kind, **facts)


def _kind(there: pd.Series, distinct: int) -> Kind:
    """What values without gaps are."""
    if distinct == 1:
        return "constant"
    if pd.api.types.is_bool_dtype(there) or set(map(type, there.unique())) == {bool}:
        return "boolean"
    if pd.api.types.is_datetime64_any_dtype(there) or _dates(there):
        return "datetime"
    unique = distinct == len(there) and distinct > FEW
    if pd.api.types.is_numeric_dtype(there):
        whole = bool((there % 1 == 0).all())
        counted = whole and unique and int(there.max() - there.min()) == len(there) - 1
        return "id" if counted else "integer" if whole else "number"
    if distinct > max(FEW, len(there) / 2) or there.astype(str).str.len().mean() > LONG_TEXT:
        return "text" if there.astype(str).str.contains(" ").mean() > 0.5 else "id"
    return "text" if distinct > MANY else "string"


def _dates(there: pd.Series) -> bool:
    """Whether texts are dates or instants."""
    texts = there.astype(str)
    if pd.api.types.is_numeric_dtype(there) or texts.head(50).str.contains(DATES).mean() < 0.99:
        return False
    return bool(instants(texts).notna().mean() > 0.99)


def instants(values: pd.Series, zone: str = "UTC") -> pd.Series:
    """Parse values as instants in UTC; those without a zone are of `zone`; null where they are none."""
    found = pd.to_datetime(values, utc=True, errors="coerce", **parsing(values))
    if zone == "UTC" or _zoned(values.dropna()):
        return found
    local = found.dt.tz_localize(None).dt.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
    return local.dt.tz_convert("UTC")


def parsing(values: pd.Series) -> dict[str, Any]:
    """How pandas reads the texts: ISO 8601, one of the usual formats, or a mixture of them.

    Dates that may have the day or the month first have it first with points between, else the month.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return {}
    texts = values.dropna().astype(str)
    for one in ("ISO8601", *FORMATS):
        if all(_reads(one, some) for some in (texts.head(50), texts)):
            return {"format": one}
    return {"format": "mixed"}


def _reads(one: str, texts: pd.Series) -> bool:
    return bool(pd.to_datetime(texts, utc=True, errors="coerce", format=one).notna().mean() > 0.99)


def _zoned(there: pd.Series) -> bool:
    if isinstance(there.dtype, pd.DatetimeTZDtype):
        return True
    return not pd.api.types.is_datetime64_dtype(there) and bool(there.astype(str).str.contains(ZONED).all())


def _plain(value: Any) -> Any:
    """A value as YAML and Python write it."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if not isinstance(value, bool | int | float | str) else value
