"""Read the rows of a source that project.yaml names: a module for each kind, with a function ``read``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stack.core.errors import StackError, nearest

if TYPE_CHECKING:
    from pandas import DataFrame

    from stack.specification.sources import Source

AVAILABLE_AT = "_available_at"
"""Column (UTC) of a source that knows itself since when each row is known: when its file was complete, or it came."""


@dataclass(frozen=True)
class Query:
    """What is asked of a source."""

    columns: list[str]
    """Wanted, as the source calls them; none for all there are."""
    time: str | None
    """Column with the instant at which a row is known, or from which that follows; None: all rows are wanted."""
    since: datetime
    until: datetime
    """Rows with since < time <= until are wanted; a source may give others too."""
    most: int | None = None
    """So many rows are enough."""
    once: bool = False
    """Whether the window is not asked for again: a source without all of its rows yet raises an UnavailableError."""


def read(source: Source, folder: Path, query: Query) -> DataFrame:
    """Return rows of a source, the columns as it calls them, and :data:`AVAILABLE_AT` where the source knows it.

    Args:
        folder: of the project, below which relative paths are.

    Raises:
        UnavailableError: the source cannot be reached at the moment.
        StackError: it refuses, cannot be read, or lacks a column; says what to do.
    """
    rows: DataFrame = _module(source).read(source, folder, query)
    return rows


def split(source: Source, folder: Path, query: Query) -> list[datetime]:
    """Return instants that split a long window into batches that memory holds; none of a source that cannot say."""
    module = _module(source)
    return list(module.split(source, folder, query)) if hasattr(module, "split") else []


def ingested(source: Source, folder: Path, query: Query) -> None:
    """Take note that the lake has all rows until the end of a window: a source that keeps rows may delete them."""
    module = _module(source)
    if hasattr(module, "ingested"):
        module.ingested(source, folder, query)


def forget(source: Source) -> None:
    """Free what a source keeps in memory of the rows that it has read."""
    module = _module(source)
    if hasattr(module, "forget"):
        module.forget()


def _module(source: Source) -> Any:
    return import_module(f"stack.sources.{source.kind}")


def key(folder: Path, name: str) -> str:
    """Return the place of a key of the section ``source``, for an error."""
    return f"{folder}/project.yaml, key source{name and '.'}{name}"


def chosen(where: str, query: Query, rows: DataFrame) -> DataFrame:
    """Return the wanted columns of rows, or raise a StackError that names the first that is not there."""
    from pandas import DataFrame

    require(where, query.columns, rows)
    columns = {name: rows[name] for name in query.columns}  # views: rows may be many
    return DataFrame(columns, rows.index, copy=False) if columns else rows


def require(where: str, columns: list[str], found: Iterable[Any]) -> None:
    """Raise a StackError that names the first column that a source lacks."""
    known = [str(name) for name in found]
    for name in columns:
        if name not in known:
            raise StackError(
                f"{where}, column {name}",
                found=f"no such column{nearest(name, known)}; there are {', '.join(known) or 'none'}",
                expected="the columns of project.yaml",
                todo="correct the source, or the name under columns in project.yaml",
            )
