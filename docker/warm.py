"""Import what the services import, so that Python writes its bytecode: a container cannot, its root is read-only."""

import compileall
import importlib
import sysconfig
from pathlib import Path

# These import their parts when they are used.
LAZY = ["_bentoml_impl", "_bentoml_sdk", "bentoml", "dulwich", "scmrepo"]
MODULES = [
    "feast.cli.cli",
    "feast.feature_server",
    "feast.infra.offline_stores.duckdb",
    "feast.infra.online_stores.redis",
    "feast.infra.registry.sql",
    "feast.ui_server",
    "asyncpg",
    "bentoml",
    "dvc.repo.add",
    "dvc.repo.fetch",
    "evidently.cli",
    "evidently.presets",
    "evidently.ui.service.app",
    "evidently.ui.workspace",
    "great_expectations",
    "jinja2",
    "matplotlib.pyplot",
    "mlflow.server.fastapi_app",
    "mlflow.sklearn",
    "mlflow.store.tracking.sqlalchemy_store",
    "onnxruntime",
    "optuna",
    "prefect.cli",
    "prefect.cli.server",
    "prefect.cli.worker",
    "prefect.deployments.runner",
    "prefect.server.api.server",
    "prefect.workers.process",
    "psutil",
    "psycopg",
    "skl2onnx",
    "sklearn.ensemble",
    "skops.io",
    "sqlalchemy.dialects.postgresql.psycopg",
    "uvicorn.protocols.http.httptools_impl",
]

for name in MODULES:
    importlib.import_module(name)
for name in LAZY:
    compileall.compile_dir(Path(sysconfig.get_path("purelib"), name), quiet=1)
