"""Validation of the next batch of a replay, in a process of its own, while the day before it is played.

Great Expectations is pure Python: in a thread it would slow down what it runs beside.
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

from stack.core import profile
from stack.project import Project

if TYPE_CHECKING:
    from stack.validation.validation import BatchResult

log = logging.getLogger(__name__)


class Lookahead:
    """Examines a batch of a project at a time, ahead of its turn."""

    def __init__(self, project: str) -> None:
        self.project = project
        self._pool: ProcessPoolExecutor | None = None
        self._imported: Future[None] | None = None
        self._window: tuple[datetime, datetime] | None = None
        self._result: Future[BatchResult] | None = None

    @property
    def started(self) -> bool:
        """Whether the process has been started."""
        return self._pool is not None

    def begin(self, since: datetime, until: datetime) -> None:
        """Start to examine the batch of (since, until], once the process is up: its imports take seconds."""
        if self._pool is None or self._imported is None:
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), _exit_with_parent)
            self._imported = self._pool.submit(_import_modules)
        elif self._imported.done():
            try:
                self._window, self._result = (since, until), self._pool.submit(_examine, self.project, since, until)
            except BrokenProcessPool:
                self.close()

    def take(self, since: datetime, until: datetime) -> BatchResult | None:
        """Return the result of (since, until]; None where it was not begun, or has failed: examine the batch here."""
        result, self._result = self._result, None
        if result is None or self._window != (since, until):
            return None
        try:
            return result.result()
        except Exception as error:  # noqa: BLE001  # a fault of the batch comes again where it is examined next
            log.warning("the batch is examined once more, as its process failed: %r", error)
            self.close()
            return None

    def close(self) -> None:
        """End the process when its batch is done."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = self._imported = self._result = None


def _examine(project: str, since: datetime, until: datetime) -> BatchResult:
    from stack.validation import batches

    opened = Project.open(project)
    with profile.recording(opened.settings, project, until, "ahead"), profile.step("validate the batch"):
        return batches.examine(opened, since, until)


def _import_modules() -> None:
    """Import what the examination needs."""
    import_module("stack.validation.batches")


def _exit_with_parent() -> None:
    """End this process with its parent; when the parent was killed, it would wait for ever."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()
