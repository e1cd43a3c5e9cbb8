"""Reaches into MLflow's server and database."""

import os
from collections.abc import Mapping
from typing import Any

from stack.core.settings import Settings


def application(stack: Settings) -> Any:
    """Return MLflow's ASGI application, connected to its database, without the child process of `mlflow server`.

    Tool: MLflow
    Reach: mlflow.server.fastapi_app.app, mlflow.server.handlers.initialize_backend_stores, _MLFLOW_SERVER_*
    Why: `mlflow server` starts this application as its child, for 200 MiB and 6 s more; killed, it leaves the child
        behind with the port.
    Upstream: none known
    """
    os.environ.update(environment(stack))
    from mlflow.server import handlers
    from mlflow.server.fastapi_app import app

    handlers.initialize_backend_stores(stack.mlflow_database)
    return app


def environment(stack: Settings) -> Mapping[str, str]:
    """Return what `mlflow server` hands to its child (mlflow/server/__init__.py, ``_run_server``); read at import."""
    return {
        "_MLFLOW_SERVER_FILE_STORE": stack.mlflow_database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": stack.artifacts,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
