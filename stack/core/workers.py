"""Where work that is shared out is done: on the cores of this machine, or on a Dask cluster."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def _here(function: Callable[[], Any]) -> list[Any]:
    return [function()]


@dataclass(frozen=True)
class Workers:
    """Threads of this machine, or the processes of a Dask cluster."""

    executor: Executor
    place: Callable[[list[Any]], list[Any]] = list
    """Copies objects to the workers; what it returns is passed to the executor in their place."""
    on_each: Callable[[Callable[[], Any]], list[Any]] = _here
    """Calls a function in every process that works; returns what each gave."""
    slots: int = 1
    """How many calls run at the same time."""

    def in_order(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the result of each item in order, some items ahead of the one that is yielded."""
        running: deque[Future[Result]] = deque()
        try:
            for item in items:
                running.append(self.executor.submit(function, item))
                if len(running) > 2 * self.slots:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
