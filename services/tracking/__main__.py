"""Run MLflow's tracking server in one process: ``python -m services.tracking``.

`mlflow server` starts this same server as its child, for 200 MiB and 6 s more; killed, it leaves the child behind with
the port.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import uvicorn

from stack.core.settings import Settings, settings


def main() -> None:
    """Listen on the host and port of the settings; the database is there, as ``services.migrations`` has left it."""
    stack = settings()
    os.environ.update(environment(stack))
    from mlflow.server import handlers
    from mlflow.server.fastapi_app import app

    handlers.initialize_backend_stores(stack.mlflow_database)
    uvicorn.run(app, host=stack.bind, port=stack.mlflow_port, access_log=False, server_header=False)


def environment(stack: Settings) -> Mapping[str, str]:
    """What `mlflow server` hands to its child (mlflow/server/__init__.py, ``_run_server``); read at import."""
    return {
        "_MLFLOW_SERVER_FILE_STORE": stack.mlflow_database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": stack.artifacts,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
    }


if __name__ == "__main__":
    main()
