"""Rows sent from one machine to another: a file among MLflow's artifacts, which any machine reaches by its URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from stack.core.settings import Settings

PLACE = "mlflow-artifacts:/parcels"
FILE = "rows.parquet"


@contextmanager
def upload_rows(settings: Settings, name: str, rows: pd.DataFrame) -> Iterator[None]:
    """Upload rows under a name for the time of the context; a later upload under the name replaces them."""
    there = get_artifact_repository(f"{PLACE}/{name}", tracking_uri=settings.mlflow_url)
    with TemporaryDirectory() as folder:
        file = Path(folder, FILE)
        rows.to_parquet(file, index=False, compression="zstd")
        there.log_artifact(str(file))
    try:
        yield
    finally:
        there.delete_artifacts(FILE)


def download_rows(settings: Settings, name: str) -> pd.DataFrame:
    """Return the rows that were uploaded under a name."""
    there = get_artifact_repository(f"{PLACE}/{name}", tracking_uri=settings.mlflow_url)
    with TemporaryDirectory() as folder:
        return pd.read_parquet(there.download_artifacts(FILE, folder))
