"""A cache of slow queries, run concurrently and kept for seconds: a page never waits for a dead service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

Query = Callable[[], Awaitable[Any]]


class Cache:
    """Keeps the last result of each query.

    Args:
        fresh: seconds for which a result is not queried again.
        stale: seconds after which a result is not returned: nobody may have asked for days.
        patience: seconds that a reader waits for fresh results; late ones are there for the next reader.
        first: seconds that it waits where there is no result to return meanwhile.
    """

    def __init__(self, fresh: float = 3.0, stale: float = 30.0, patience: float = 0.15, first: float = 0.6) -> None:
        self.fresh, self.stale, self.patience, self.first = fresh, stale, patience, first
        self._results: dict[str, tuple[float, Any]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def read(self, queries: Mapping[str, Query], patience: float | None = None) -> dict[str, Any]:
        """Return the last result of each query, an exception where it failed, None where there is no recent one.

        Args:
            queries: by name.
            patience: seconds, instead of the usual ones.
        """
        for name, query in queries.items():
            if name not in self._running and self._age(name) > self.fresh:
                self._running[name] = asyncio.create_task(self._run(name, query))
        waiting = [self._running[name] for name in queries if name in self._running]
        if patience is None:
            patience = self.first if any(self._age(name) > self.stale for name in queries) else self.patience
        if waiting:
            await asyncio.wait(waiting, timeout=patience)
        return {name: self._results[name][1] if self._age(name) <= self.stale else None for name in queries}

    def _age(self, name: str) -> float:
        return monotonic() - self._results[name][0] if name in self._results else float("inf")

    async def _run(self, name: str, query: Query) -> None:
        try:
            result = await query()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a service is shown, never raised
            result = error
        self._results[name] = monotonic(), result
        del self._running[name]
