"""Run the flows: ``python -m services.worker``, the one Prefect worker of the pool ``stack``.

Every run of the pool lives in a process of this service, which ends with it. So a run that is still "running" in
Prefect when the worker starts ended with the worker before, as in a power cut. It would occupy its flow's only slot for
ever, and each later run would be cancelled: the automation "Mark dead runs as crashed" sees only runs that have sent a
heartbeat.
"""

import threading

from services import flow_worker
from services.worker import online
from stack.core.settings import settings
from stack.ops.runs import Runs

POOL = "stack"
PATIENCE_SECONDS = 120.0
"""After a reboot the containers start in any order."""


def main() -> None:
    """Mark the dead runs, then work; beside it the features of pushed rows are brought online."""
    runs = Runs(settings(), PATIENCE_SECONDS)
    for name in runs.mark_crashed(POOL, "Its process ended with the worker before this one."):
        print(f"marked as crashed: {name}", flush=True)
    threading.Thread(target=online.supervise, name="online", daemon=True).start()
    flow_worker.work(POOL, "worker")


if __name__ == "__main__":
    main()
