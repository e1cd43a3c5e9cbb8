"""Run the flows: ``python -m services.worker``, the one Prefect worker of the pool ``stack``.

Every run of the pool lives in a process of this service, which ends with it. So a run that Prefect holds for alive when
the worker starts died with the one before, as in a power cut. It would hold its flow's only place for ever, and each
later run would be cancelled: the automation "Mark dead runs as crashed" sees only those that have sent a heartbeat.
"""

from __future__ import annotations

import os

from stack.core.settings import settings
from stack.ops.runs import Runs

POOL = "stack"
WORKER = ("prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", "worker")
PATIENCE_SECONDS = 120.0
"""After a reboot the containers start in any order."""


def main() -> None:
    """Mark the dead runs, then become the worker."""
    for name in Runs(settings(), PATIENCE_SECONDS).mark_crashed(
        POOL, "Its process ended with the worker before this one."
    ):
        print(f"marked as crashed: {name}", flush=True)
    os.execvp(WORKER[0], WORKER)  # noqa: S606  # it replaces this process


if __name__ == "__main__":
    main()
