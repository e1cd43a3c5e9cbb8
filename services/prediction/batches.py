"""Requests that wait at the same time are answered together, and nobody waits for company.

BentoML's own batching holds a lone request back for as long as those of an earlier burst waited (19 ms instead of 3),
may divide a request between two models, and answers a third fewer of eight clients' requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

HOPS = 5
"""Turns of the event loop before a batch starts: what has arrived meanwhile comes along."""


class Batches(Generic[Asked, Answered]):
    """Gathers the rows of concurrent requests while the batch before them is worked on, in one thread.

    A request is never divided, so one model answers all of it.

    Args:
        work: answers rows, in their order.
        most: rows in a batch; a request that alone has more is a batch of its own.
    """

    def __init__(self, work: Callable[[list[Asked]], list[Answered]], most: int) -> None:
        self.work, self.most = work, most
        self._waiting: deque[tuple[list[Asked], asyncio.Future[list[Answered]]]] = deque()
        self._busy = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")

    async def answer(self, rows: list[Asked]) -> list[Answered]:
        """Answer the rows of one request.

        Raises:
            Exception: what `work` raised for the batch.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[list[Answered]] = loop.create_future()
        self._waiting.append((rows, answered))
        if not self._busy:
            self._busy = True
            self._start(loop, HOPS)
        return await answered

    def close(self) -> None:
        """Give the thread back; no request may come any more."""
        self._thread.shutdown(wait=False)

    def _start(self, loop: asyncio.AbstractEventLoop, hops: int) -> None:
        if hops:
            loop.call_soon(self._start, loop, hops - 1)
            return
        batch = self._take()
        rows = [row for asked, _ in batch for row in asked]
        working = loop.run_in_executor(self._thread, self.work, rows)
        working.add_done_callback(lambda done: self._finish(loop, batch, done))

    def _take(self) -> list[tuple[list[Asked], asyncio.Future[list[Answered]]]]:
        """The requests of the next batch: the longest waiting first, at least one."""
        batch = [self._waiting.popleft()]
        rows = len(batch[0][0])
        while self._waiting and rows + len(self._waiting[0][0]) <= self.most:
            batch.append(self._waiting.popleft())
            rows += len(batch[-1][0])
        return batch

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[tuple[list[Asked], asyncio.Future[list[Answered]]]],
        done: asyncio.Future[list[Answered]],
    ) -> None:
        """Hand out the answers, and start the next batch."""
        error, at = done.exception(), 0
        for rows, answered in batch:
            first, at = at, at + len(rows)
            if answered.done():  # the caller has gone
                continue
            if error:
                answered.set_exception(error)
            else:
                answered.set_result(done.result()[first:at])
        self._busy = bool(self._waiting)
        if self._busy:
            self._start(loop, HOPS)
