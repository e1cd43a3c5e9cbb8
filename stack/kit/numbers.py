"""Read numbers that a source writes with their unit, as ``$1,234.50`` or ``12 %``, for a project's ``source.py``."""

from __future__ import annotations

import re
from datetime import time
from typing import Any

import pandas as pd
from pandas import Series

from stack.kit.instants import CLOCK, time_of_day

__all__ = ["without_unit"]

WRITTEN = {
    ".": re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?([eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)?(,\d+)?([eE][+-]?\d+)?"),
}
"""Decimal sign -> numbers that are written with it, and the other sign between thousands."""


HOURS = "h"
"""Unit of times of day, too: 07:30 is 7.5 hours."""


def without_unit(values: Series[Any], unit: str, decimal: str = ".") -> Series[Any]:
    """Return numbers (float64) of texts that begin or end with a unit; numbers, and what is missing, stay as they are.

    Times of day, as 07:30, are so many hours where that is the unit, durations so many seconds.
    Where some of the texts are no such number, these stay as they are too, and the rest are numbers.
    """
    if pd.api.types.is_numeric_dtype(values):
        return values
    if pd.api.types.is_timedelta64_dtype(values):
        seconds: Series[Any] = values.dt.total_seconds()
        return seconds
    texts = values.astype(object)
    is_text = texts.map(lambda value: isinstance(value, str | time))
    bare = texts[is_text].astype(str).str.strip()
    if unit == HOURS:
        clock = bare[bare.str.fullmatch(CLOCK) & bare.str.contains(":", regex=False)]
        texts.loc[clock.index] = (time_of_day(clock).dt.total_seconds() / 3600).astype(object)
    bare = bare.str.replace(rf"^([+-]?){re.escape(unit)}\s*|\s*{re.escape(unit)}$", r"\1", regex=True)
    bare = bare[bare.str.fullmatch(WRITTEN[decimal]) & (bare != "")]
    plain = bare.str.replace("." if decimal == "," else ",", "").str.replace(decimal, ".")
    texts.loc[bare.index] = pd.to_numeric(plain).astype("float64").astype(object)
    still = texts.map(lambda value: isinstance(value, str)).any()
    return texts if still else texts.astype("float64")
