"""Values row by row, for a project's ``features.py``: what is missing stays missing."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["each", "first", "is_missing", "local"]

UNDEFINED = (ArithmeticError, ValueError, TypeError)
"""What an operation raises that has no value for these operands."""
INFINITE = (math.inf, -math.inf)


def each(function: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
    """Call a function with the values of each row.

    Args:
        function: gets a value of each column.
        columns: of the same length.

    Returns:
        A value a row; None where a value is missing (unless the function is :func:`first`), or the result is undefined.
    """
    lenient = function is first
    return [_value(function, row, lenient=lenient) for row in zip(*columns, strict=True)]


def first(*values: Any) -> Any:
    """Return the first value that is not missing."""
    return next((value for value in values if not is_missing(value)), None)


def local(at: datetime, zone: str) -> datetime:
    """Return an instant by the clock of a zone; without a zone it is UTC, as Feast's store returns it."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(ZoneInfo(zone))


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN or infinite."""
    return value is None or value != value or value in INFINITE  # noqa: PLR0124  # NaN


def _value(function: Callable[..., Any], row: Sequence[Any], *, lenient: bool) -> Any:
    if not lenient:
        for value in row:
            if is_missing(value):
                return None
    try:
        result = function(*row)
    except UNDEFINED:
        return None
    return None if is_missing(result) or isinstance(result, complex) else result
