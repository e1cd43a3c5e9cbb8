"""Recognise how a file writes numbers: decimal commas, thousands separators, missing-value marks, leading zeros."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?")
POINT = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?([eE][+-]?\d+)?")
COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)?(,\d+)?([eE][+-]?\d+)?")
CODE = re.compile(r"0\d+")
WITH_UNIT = re.compile(rf"[€$£¥]\s?({NUMBER.pattern})|({NUMBER.pattern})\s?([%‰€$£¥]|[a-zA-Zµ°][a-zA-Z²³/]{{0,7}})")
MARKS, SHARE = 3, 0.8
"""A column of numbers has at most so many marks for a missing value; with words, numbers in this share of its rows."""


def options(texts: pd.DataFrame, separator: str) -> dict[str, Any]:
    """Return the arguments of ``pandas.read_csv``.

    Args:
        texts: the file, or its first rows, as text.
        separator: of the columns; beside another one than a comma, 1,234 is a little more than one.
    """
    columns = {str(name): values for name in texts if len(values := texts[name].dropna())}
    marks = {name: signs for name, values in columns.items() if (signs := _marks(values))}
    columns = {name: values[~values.isin(marks.get(name, []))].str.strip() for name, values in columns.items()}
    by_comma = [name for name, values in columns.items() if _all(COMMA, values)]
    by_point = [name for name, values in columns.items() if _all(POINT, values)]
    chosen = _style(columns, by_comma, by_point, separator)
    numbers = by_comma if "decimal" in chosen else by_point
    kept = [name for name, values in columns.items() if values.str.fullmatch(CODE).any() and _all(NUMBER, values)]
    if "thousands" in chosen:  # pandas would take the signs out of dates and lists as well
        kept += [name for name, values in columns.items() if name not in numbers and values.str.contains(r"\d").any()]
    missing = sorted({mark for signs in marks.values() for mark in signs})
    chosen |= {"na_values": missing} if missing else {}
    return chosen | ({"dtype": dict.fromkeys(kept, "str")} if kept else {})


def has_unit(values: pd.Series) -> bool:
    """Return whether texts are numbers with a sign of currency, a percent sign or a unit."""
    texts = values.dropna().astype(str).str.strip().head(1000)
    return len(texts) > 0 and bool(texts.str.fullmatch(WITH_UNIT).mean() > 0.95)


def _style(columns: dict[str, pd.Series], by_comma: list[str], by_point: list[str], separator: str) -> dict[str, Any]:
    """Return the decimal and thousands signs; none where the columns of the file disagree."""
    commas = [name for name in by_comma if columns[name].str.contains(",", regex=False).any()]
    only = [name for name in commas if name not in by_point]
    if (only or (commas and separator != ",")) and not set(by_point) - set(by_comma):
        points = any(columns[name].str.contains(".", regex=False).any() for name in by_comma)
        return {"decimal": ","} | ({"thousands": "."} if points else {})
    thousands = any(columns[name].str.contains(",", regex=False).any() for name in by_point)
    return {"thousands": ","} if thousands and not only else {}


def _marks(values: pd.Series) -> list[str]:
    """Return what stands for a missing value in a column of numbers."""
    numbers = values.str.strip().str.fullmatch(NUMBER)
    marks = [str(text) for text in values[~numbers].unique()] if numbers.any() else []
    words = numbers.mean() < SHARE and any(re.search(r"\w", mark) for mark in marks)
    refused = len(marks) > MARKS or words or any(re.search(r"\d", mark) for mark in marks)
    return [] if refused else marks


def _all(pattern: re.Pattern[str], values: pd.Series) -> bool:
    return len(values) > 0 and bool(values.str.fullmatch(pattern).all())
