"""A cache of slow queries, run concurrently and kept for seconds: a page never waits for a dead service."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

Query = Callable[[], Awaitable[Any]]


def may_pass(result: Any) -> bool:
    """Return whether a result says that something is wrong for the moment: a service does not answer, or in part."""
    if isinstance(result, list):
        return any(getattr(each, "momentary", False) for each in result)
    return (
        isinstance(result, Exception) or getattr(result, "up", None) is False or bool(getattr(result, "problems", ()))
    )


@dataclass
class Cache:
    """Keeps the last result of each query."""

    fresh: float = 3.0
    """Seconds for which a result is not queried again."""
    stale: float = 30.0
    """Seconds after which a result is not returned: the page may not have been opened for days."""
    passing: float = 8.0
    """Seconds after which bad news that may have passed meanwhile is not returned, as of services that start."""
    patience: float = 0.15
    """Seconds that a reader waits for fresh results; late ones are there for the next reader."""
    first: float = 0.25
    """Seconds that it waits where there is no result to return meanwhile."""
    _results: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def read(self, queries: Mapping[str, Query], patience: float | None = None) -> dict[str, Any]:
        """Return the last result of each query, an exception where it failed, None where there is no recent one.

        Args:
            queries: by name.
            patience: seconds, instead of the usual ones.
        """
        for name, query in queries.items():
            if name not in self._running and self._age(name) > self.fresh:
                self._running[name] = asyncio.create_task(self._run(name, query))
        if patience is None:
            patience = self.first if any(self._known(name) is None for name in queries) else self.patience
        if waiting := [self._running[name] for name in queries if name in self._running]:
            await asyncio.wait(waiting, timeout=patience)
        return {name: self._known(name) for name in queries}

    def _known(self, name: str) -> Any:
        """Return the last result of a query, None where it is too old."""
        if self._age(name) > self.stale:
            return None
        result = self._results[name][1]
        return None if self._age(name) > self.passing and may_pass(result) else result

    def _age(self, name: str) -> float:
        return monotonic() - self._results[name][0] if name in self._results else float("inf")

    async def _run(self, name: str, query: Query) -> None:
        try:
            result = await query()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a service is shown, never raised
            result = error
        self._results[name] = monotonic(), result
        del self._running[name]
