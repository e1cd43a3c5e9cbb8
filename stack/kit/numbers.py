"""Read numbers that a source writes with their unit, as ``$1,234.50`` or ``12 %``, for a project's ``source.py``."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from pandas import Series

__all__ = ["without_unit"]

WRITTEN = {
    ".": re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?([eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)?(,\d+)?([eE][+-]?\d+)?"),
}
"""Decimal sign -> numbers that are written with it, and the other sign between thousands."""


def without_unit(values: Series[Any], unit: str, decimal: str = ".") -> Series[Any]:
    """Return numbers (float64) of texts that begin or end with a unit; numbers, and what is missing, stay as they are.

    Where some of the texts are no such number, these stay as they are too, and the rest are numbers.
    """
    if pd.api.types.is_numeric_dtype(values):
        return values
    texts = values.astype(object)
    is_text = texts.map(lambda value: isinstance(value, str))
    bare = texts[is_text].astype(str).str.strip()
    bare = bare.str.replace(rf"^([+-]?){re.escape(unit)}\s*|\s*{re.escape(unit)}$", r"\1", regex=True)
    bare = bare[bare.str.fullmatch(WRITTEN[decimal]) & (bare != "")]
    plain = bare.str.replace("." if decimal == "," else ",", "").str.replace(decimal, ".")
    texts.loc[bare.index] = pd.to_numeric(plain).astype("float64").astype(object)
    still = texts.map(lambda value: isinstance(value, str)).any()
    return texts if still else texts.astype("float64")
