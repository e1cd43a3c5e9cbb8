"""Numbers that are written otherwise: with a sign of currency or a unit, as times of day, as durations."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import pandas as pd

from stack.authoring.scaffold import headers
from stack.authoring.scaffold.columns import Column, look
from stack.kit.instants import CLOCK
from stack.kit.numbers import HOURS, without_unit
from stack.specification import frames

NUMBER = headers.NUMBER
CODE = re.compile(r"0\d+")
WITH_UNIT = re.compile(
    rf"[+-]?(?P<before>[€$£¥])\s?{NUMBER.pattern}|{NUMBER.pattern}\s?(?P<after>[%‰€$£¥]|[a-zA-Zµ°][a-zA-Z²³/]{{0,7}})"
)


def without(table: pd.DataFrame, decimal: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return a table with such numbers as numbers, and the units of their columns; durations are in seconds.

    Args:
        decimal: sign of numbers in text.
    """
    exact = {str(name): table[name].astype("float64") for name in table if _is(table[name], "decimal")}
    found = of(table) | {str(name): "s" for name in table if pd.api.types.is_timedelta64_dtype(table[name])}
    read = {name: without_unit(table[name], unit, decimal) for name, unit in found.items()}
    read = {name: values for name, values in read.items() if values.dtype == "float64"}
    return frames.with_columns(table, exact | read), {name: found[name] for name in read}


def in_hours(
    table: pd.DataFrame, columns: Sequence[Column], used: Collection[str]
) -> tuple[pd.DataFrame, list[Column]]:
    """Return a table with times of day, such as 07:30, as hours, and its columns, but for those in `used`."""
    clocks = {column.source for column in columns if column.source not in used and _is_clock(table[column.source])}
    table = frames.with_columns(table, {name: without_unit(table[name], HOURS) for name in clocks})
    described = {name: look(table[[name]])[0] for name in clocks}
    return table, [
        replace(described[column.source], name=column.name, unit=HOURS) if column.source in clocks else column
        for column in columns
    ]


def _is(values: pd.Series, kind: str) -> bool:
    return values.dtype == object and pd.api.types.infer_dtype(values) == kind


def _is_clock(values: pd.Series) -> bool:
    if pd.api.types.infer_dtype(values) not in ("string", "time"):
        return False
    texts = values.dropna().astype(str).str.strip()
    return len(texts) > 0 and bool((texts.str.fullmatch(CLOCK) & texts.str.contains(":", regex=False)).all())


def of(table: pd.DataFrame) -> dict[str, str]:
    """Return the columns of texts that are numbers with a sign of currency, a percent sign or a unit, and which."""
    texts = (name for name in table if pd.api.types.infer_dtype(table[name]) == "string")
    return {str(name): unit for name in texts if (unit := shared(table[name].dropna()))}


def has_unit(values: pd.Series) -> bool:
    """Return whether texts are numbers with units, be they different ones."""
    texts = values.dropna().head(1000).astype(str).str.strip()
    return len(texts) > 0 and bool(texts.str.fullmatch(WITH_UNIT).mean() > 0.95)


def shared(values: pd.Series) -> str:
    """Return the unit that all texts have in common; empty when there is none, or a leading zero makes them codes."""
    first = values.head(50).str.strip()  # of nearly all columns these are enough
    if first.empty or not first.str.fullmatch(WITH_UNIT).all():
        return ""
    texts = values.str.strip()
    if texts.str.match(CODE).any():
        return ""
    found = texts.str.extract(rf"^(?:{WITH_UNIT.pattern})$")
    of = found["before"].fillna(found["after"]).unique()
    return str(of[0]) if len(of) == 1 and isinstance(of[0], str) else ""
