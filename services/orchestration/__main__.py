"""Run Prefect's server: ``python -m services.orchestration``, the command line of `prefect server start`.

Prefect on SQLite can stand still for a minute, answering nobody. A statement that has failed ("database is locked")
leaves a cursor that only the garbage collector frees. Freeing it waits for the cursor's connection, where a thread may
be waiting for the database's write lock. Collected on the event loop, this stops the loop, and with it the coroutine
that is to give the lock back: nothing moves until SQLite gives up, after 60 s. So garbage is collected in a thread of
its own, which may wait.
"""

from __future__ import annotations

import gc
import sys
import time
from itertools import count
from threading import Thread

from services.orchestration import _compat

PAUSE_SECONDS = 1.0
YOUNG, ALL = 1, 2
"""Generations of Python's collector."""
EVERY = 60
"""Collections of the young generations to one of all: the server then stands still for some 0.2 s."""


def main() -> None:
    """Move garbage collection off the event loop, then run `prefect server start` with this command's arguments."""
    Thread(target=collect, name="garbage", daemon=True).start()
    _compat.start_server(sys.argv[1:])


def collect() -> None:
    """Collect garbage for as long as the process lives."""
    for turn in count(1):
        time.sleep(PAUSE_SECONDS)
        gc.collect(YOUNG if turn % EVERY else ALL)


if __name__ == "__main__":
    main()
