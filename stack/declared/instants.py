"""Read instants: of one column of text, or spread over several columns."""

from __future__ import annotations

import re
from typing import Any, Literal

import pandas as pd
from pandas import DataFrame, Series

from stack.core.errors import StackError
from stack.kit.instants import in_utc, time_of_day
from stack.specification.table import Column

ZONED = r":\d{2}(?:\.\d+)? ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)$"
"""How an instant in text ends that names its zone."""
UNIX: dict[str, Literal["s", "ms", "us", "ns"]] = {"unix": "s", "unix_ms": "ms", "unix_us": "us", "unix_ns": "ns"}
"""Format of an instant that is a number since 1970 -> its unit."""
UNITS = {"hour": pd.Timedelta("1h"), "minute": pd.Timedelta("1min")}
DATE = ("year", "month", "day")


def read(raw: DataFrame, name: str, column: Column, zone: str) -> Series[Any]:
    """Return the instants (datetime64[us, UTC]) of a column of a project; null where there are none.

    Args:
        raw: rows with the columns as the source calls them.
        zone: of instants that name none; of an hour that comes twice see :func:`stack.kit.instants.in_utc`.

    Raises:
        StackError: a value is no instant.
    """
    written = column.format or None
    try:
        if text := column.parts.get("text"):
            values = filled(raw[column.names(name)], text)
        else:
            values = joined(raw, column.parts, written) if column.parts else raw[column.source or name]
        return in_utc(parse(values, written), zone)
    except (ValueError, TypeError) as error:
        raise StackError(
            f"column {', '.join(column.names(name))} of the source",
            found=" ".join(str(error).split())[:200],
            expected=f"instants, written as {column.format}" if column.format else "instants in ISO 8601",
            todo=f"set columns.{name}.format in project.yaml, like %d.%m.%Y %H:%M, or correct the rows",
        ) from None


def parse(values: Series[Any], written: str | None) -> Series[Any]:
    """Return texts or numbers as instants, with a zone where they name one; instants stay as they are."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values
    if written in UNIX:
        return pd.to_datetime(pd.to_numeric(values), unit=UNIX[written], utc=True)
    form = written or "ISO8601"
    texts = values if pd.api.types.infer_dtype(values) == "string" else values.astype("string").astype(object)
    zoned = names_zones(texts.dropna())
    return pd.to_datetime(texts.where(values.notna(), None), format=form, utc=zoned)


def names_zones(texts: Series[str]) -> bool:
    """Return whether each of the texts ends with a zone, and there is one."""
    # Nearly always the first text answers for all.
    return len(texts) > 0 and bool(re.search(ZONED, texts.iloc[0])) and bool(texts.str.contains(ZONED).all())


def filled(rows: DataFrame, text: str) -> Series[Any]:
    """Return a text for each row, with its values in place of the names in braces."""
    return pd.Series(map(text.format_map, rows.to_dict("records")), rows.index, dtype=object)


def joined(raw: DataFrame, parts: dict[Any, str], written: str | None) -> Series[Any]:
    """Return the instants that columns hold in parts: a date or year, month and day, with an hour, minute or clock.

    Args:
        written: how a date is written; ISO 8601 when None.

    Raises:
        ValueError: a part is none.
    """
    if "date" in parts:
        at = parse(raw[parts["date"]], written)
    else:
        dates = raw[[parts[part] for part in DATE]].set_axis(list(DATE), axis="columns")
        at = pd.to_datetime(dates)
    for unit in (unit for unit in UNITS if unit in parts):
        at = at + raw[parts[unit]].astype("float64") * UNITS[unit]
    if "clock" in parts:
        at = at + time_of_day(raw[parts["clock"]])
    return at
