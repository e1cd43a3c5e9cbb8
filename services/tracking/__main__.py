"""Run MLflow's tracking server in one process: ``python -m services.tracking``."""

from __future__ import annotations

import uvicorn

from services.tracking import _compat
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings; ``services.migrations`` has migrated the database before."""
    stack = settings()
    app = _compat.application(stack)
    uvicorn.run(app, host=stack.bind, port=stack.mlflow_port, access_log=False, server_header=False)


if __name__ == "__main__":
    main()
