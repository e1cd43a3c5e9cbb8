"""Rows sent from one machine to another: a file among MLflow's artifacts, which any machine reaches by its URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from mlflow.artifacts import download_artifacts

from stack.core.settings import Settings
from stack.training import _compat

FOLDER = "mlflow-artifacts:/parcels"
FILE = "rows.parquet"


@contextmanager
def upload_rows(settings: Settings, name: str, rows: pd.DataFrame) -> Iterator[None]:
    """Upload rows under a name for the time of the context; a later upload under the name replaces them."""
    repository = _compat.artifact_repository(f"{FOLDER}/{name}", settings.mlflow_url)
    with TemporaryDirectory() as folder:
        file = Path(folder, FILE)
        rows.to_parquet(file, index=False, compression="zstd")
        repository.log_artifact(str(file))
    try:
        yield
    finally:
        repository.delete_artifacts(FILE)


def download_rows(settings: Settings, name: str) -> pd.DataFrame:
    """Return the rows that were uploaded under a name."""
    with TemporaryDirectory() as folder:
        uri = f"{FOLDER}/{name}/{FILE}"
        return pd.read_parquet(download_artifacts(uri, dst_path=folder, tracking_uri=settings.mlflow_url))
