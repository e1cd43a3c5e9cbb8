"""The next batch of a replay, examined by a process of its own while the day before it is played.

Great Expectations is Python through and through: in a thread it would hold up what it is to run beside.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from importlib import import_module
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stack.validation.validation import BatchResult

log = logging.getLogger(__name__)


class Lookahead:
    """Examines one batch of a project at a time, ahead of its turn."""

    def __init__(self, project: str) -> None:
        self.project = project
        self._pool: ProcessPoolExecutor | None = None
        self._up: Future[None] | None = None
        self._window: tuple[datetime, datetime] | None = None
        self._begun: Future[BatchResult] | None = None

    @property
    def started(self) -> bool:
        """Whether the process has been started."""
        return self._pool is not None

    def begin(self, since: datetime, until: datetime) -> None:
        """Begin to examine the batch of (since, until], once the process is up: its imports take seconds."""
        if self._pool is None or self._up is None:
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), _leave_with_parent)
            self._up = self._pool.submit(_get_ready)
        elif self._up.done():
            try:
                self._window, self._begun = (since, until), self._pool.submit(_examined, self.project, since, until)
            except BrokenProcessPool:
                self.close()

    def take(self, since: datetime, until: datetime) -> BatchResult | None:
        """The verdict on the batch of (since, until]; None where it was not begun, or has failed: examine it here."""
        begun, self._begun = self._begun, None
        if begun is None or self._window != (since, until):
            return None
        try:
            return begun.result()
        except Exception as error:  # noqa: BLE001  # whatever it was, it comes again where it is examined next
            log.warning("the batch is examined once more, as its process failed: %r", error)
            self.close()
            return None

    def close(self) -> None:
        """End the process, when it has done what it has begun."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = self._up = self._begun = None


def _examined(project: str, since: datetime, until: datetime) -> BatchResult:
    from flows import ingest

    return ingest.examined(project, since, until)


def _get_ready() -> None:
    """Import what examining needs."""
    for module in ("flows.ingest", "stack.validation.validation"):
        import_module(module)


def _leave_with_parent() -> None:
    """End this process with the one that began it: after a kill it would wait for ever."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()
