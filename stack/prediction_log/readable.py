"""Rows of a log that can be read: one that cannot be is left out and counted, and costs no other."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from sqlalchemy import RowMapping

UNREADABLE = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)
"""What reading a stored value may raise."""
Read = Callable[[Sequence[RowMapping]], pd.DataFrame]

logger = logging.getLogger("stack.prediction_log")


def frame(rows: Sequence[RowMapping], read: Read, project: str) -> pd.DataFrame:
    """Return the frame of the rows that can be read, with the number of the others in ``attrs["unreadable"]``."""
    try:
        found = read(rows)
    except UNREADABLE as error:
        found = read(_select(rows, read))
        counts = f"{len(rows) - len(found)} of {len(rows)} logged predictions"
        logger.warning("%s: %s cannot be read and are left out: %s", project, counts, error)
    found.attrs["unreadable"] = len(rows) - len(found)
    return found


def require_finite(values: pd.DataFrame) -> None:
    """Raise ValueError where a number is infinite or missing."""
    if not np.isfinite(values.to_numpy("float64", na_value=np.nan)).all():
        raise ValueError("found a feature, an answer or a label that is no finite number")


def _select(rows: Sequence[RowMapping], read: Read) -> list[RowMapping]:
    """Return the rows that can be read: each half that can, and the readable rows of each that cannot."""
    try:
        read(rows)
    except UNREADABLE:
        half = len(rows) // 2
        return [*_select(rows[:half], read), *_select(rows[half:], read)] if half else []
    return [*rows]
