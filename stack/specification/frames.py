"""The columns and dtypes of the frames of a project's own modules, checked where a frame enters the stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from stack.core.errors import StackError, nearest

if TYPE_CHECKING:
    from pandas import DataFrame

INSTANT: Final = "datetime64[us, UTC]"
"""The dtype of every instant inside the stack; what enters has any zone and unit."""
LARGEST: Final = 3.4028235e38
"""The largest 32-bit number, as which models take all numbers."""
EVENT: Final = ("event_id", "event_timestamp", "label_available_at")
"""Columns of events besides the request fields and the label: the unique name, and two instants."""


def with_columns(frame: DataFrame, columns: Mapping[str, Any]) -> DataFrame:
    """Return the frame with columns set; ``DataFrame.assign`` takes none that is called ``self``."""
    frame = frame.copy(deep=False)
    for name, values in columns.items():
        frame[name] = values
    return frame


def problems(
    where: str, frame: DataFrame, columns: Iterable[str], instants: Iterable[str] = EVENT[1:]
) -> Iterator[StackError]:
    """Yield an error for each missing column, and for each instant without a zone; `where` names the frame."""
    names = [str(name) for name in frame]
    for column in columns:
        if column not in names:
            found, expected = f"no column {column}{nearest(column, names)}", f"{column} besides {', '.join(names)}"
            yield StackError(where, found=found, expected=expected)
    for column in instants:
        if column in names and not hasattr(dtype := frame[column].dtype, "tz"):
            found = f"{dtype}{' without a zone' if dtype.kind == 'M' else ''}"
            yield StackError(f"{where}, column {column}", found=found, expected="instants with their zone, UTC")
