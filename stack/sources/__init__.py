"""Read the rows of a source that project.yaml names: a module for each kind, with a function ``read``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

    from stack.specification.sources import Source


@dataclass(frozen=True)
class Query:
    """What is asked of a source."""

    columns: list[str]
    """Wanted, as the source calls them."""
    time: str | None
    """Column with the instant at which a row is known, or from which that follows; None: all rows are wanted."""
    since: datetime
    until: datetime
    """Rows with since < time <= until are wanted; a source may give others too."""


def read(source: Source, folder: Path, query: Query) -> DataFrame:
    """Return rows of a source, the columns as it calls them.

    Args:
        folder: of the project, below which relative paths are.

    Raises:
        StackError: the source cannot be reached or read, or lacks a column; says what to do.
    """
    rows: DataFrame = _module(source).read(source, folder, query)
    return rows


def split(source: Source, folder: Path, query: Query) -> list[datetime]:
    """Return instants that split a long window into batches that memory holds; none of a source that cannot say."""
    module = _module(source)
    return list(module.split(source, folder, query)) if hasattr(module, "split") else []


def _module(source: Source) -> Any:
    return import_module(f"stack.sources.{source.kind}")
