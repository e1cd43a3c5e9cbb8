"""Run the flows: ``python -m services.worker``, the one Prefect worker of the pool ``stack``.

Every run of the pool lives in a process of this service, which ends with it. So a run that is still "running" in
Prefect when the worker starts ended with the worker before, as in a power cut. It would occupy its flow's only slot for
ever, and each later run would be cancelled: the automation "Mark dead runs as crashed" sees only runs that have sent a
heartbeat.
"""

import threading
from contextlib import suppress

from services import flow_worker
from services.worker import online
from stack.core.errors import StackError
from stack.core.settings import Settings, settings
from stack.ops.runs import Runs

POOL, NAME = "stack", "worker"
PATIENCE_SECONDS = 600.0
"""Prefect's server starts at the same time, and may take as long as its health check lets it."""


def main() -> None:
    """Mark the dead runs, then work; beside it the features of pushed rows are brought online."""
    stack = settings()
    runs = Runs(stack, PATIENCE_SECONDS)
    for name in runs.mark_crashed(POOL, "Its process ended with the worker before this one."):
        print(f"marked as crashed: {name}", flush=True)
    threading.Thread(target=online.supervise, name="online", daemon=True).start()
    try:
        flow_worker.work(POOL, NAME)
    finally:
        sign_off(stack)


def sign_off(stack: Settings) -> None:
    """Let Prefect forget this worker: in half a minute's heartbeats of it the next one would pass for healthy."""
    with suppress(StackError):  # Prefect has ended before
        Runs(stack).remove_worker(POOL, NAME)


if __name__ == "__main__":
    main()
