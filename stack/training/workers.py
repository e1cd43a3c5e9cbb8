"""Where the folds of a search are fitted: here, one after the other, or on workers that an executor stands for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stack.specification.specs import ProjectSpec

if TYPE_CHECKING:
    from stack.training.search import Fold


@dataclass(frozen=True)
class Workers:
    """Threads of this machine, or the processes of a Dask cluster."""

    executor: Executor
    place: Callable[[list[Fold]], list[Any]] = list
    """Brings the folds near the workers; what it gives is passed to the executor in their stead."""


@dataclass(frozen=True)
class Measured:
    """What a candidate reached on a fold."""

    loss: float
    host: str
    """Name of the machine or container that fitted it."""


def measured(spec: ProjectSpec, fold: Fold, name: str, params: dict[str, Any]) -> Measured:
    """Fit a candidate on the feature columns of a specification, and measure it on a fold."""
    columns = [*spec.column_types("number"), *spec.column_types("category")]
    narrowed = replace(fold, fit=fold.fit[columns], test=fold.test[columns])
    return Measured(float(narrowed.loss(spec, name, params)), socket.gethostname())


def on_each(
    workers: Workers | None, spec: ProjectSpec, folds: list[Any], name: str, params: dict[str, Any]
) -> Generator[Measured, None, None]:
    """Measure a candidate on each fold, in their order; workers begin all at once, with the last: it is the longest.

    Args:
        workers: None fits a fold here when it is asked for.
        folds: as the workers have placed them.
    """
    if workers is None:
        yield from (measured(spec, fold, name, params) for fold in folds)
        return
    begun = [workers.executor.submit(measured, spec, fold, name, params) for fold in reversed(folds)]
    try:
        for one in reversed(begun):
            yield one.result()
    finally:
        for one in begun:  # of a candidate that is given up
            one.cancel()
