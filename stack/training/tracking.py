"""What trainings keep in MLflow: their runs and models, and rows for a training on another machine."""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version as installed
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import onnx
import pandas as pd
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Param
from mlflow.entities.lifecycle_stage import LifecycleStage
from mlflow.exceptions import MlflowException
from pandas import DataFrame
from sklearn.pipeline import Pipeline

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import Project
from stack.serving import _compat as serving_compat
from stack.training import _compat, packages, trees
from stack.training.evaluation import Scorer
from stack.training.search import TrialResult

KIND, HOST, PARENT = "stack.kind", "stack.host", "mlflow.parentRunId"
REQUIREMENTS = ("mlflow", "numpy", "pandas", "scikit-learn", "skops")
MODEL = "model"
MAX_TRIALS = 50_000
"""The most runs that MLflow returns at once."""
SHARED_ROWS, ROWS_FILE = "mlflow-artifacts:/parcels", "rows.parquet"


class Tracker:
    """Logs a training or sweep of a project.

    Args:
        tags: set on every run and on the registered version.
    """

    def __init__(self, project: Project, tags: Mapping[str, str]) -> None:
        self._url, self._name, self._folder = project.settings.mlflow_url, project.name, project.spec.folder
        self._tags = {**tags, HOST: socket.gethostname()}
        self._client = mlflow.MlflowClient(self._url)
        self._parent = ""
        experiment = self._client.get_experiment_by_name(self._name)
        if experiment and experiment.lifecycle_stage == LifecycleStage.DELETED:
            self._client.restore_experiment(experiment.experiment_id)
        self._experiment = experiment.experiment_id if experiment else self._client.create_experiment(self._name)

    @contextmanager
    def run(self, name: str, kind: str, resume: str | None = None) -> Iterator[str]:
        """Create the run of a training or sweep, or resume it, and yield its id; it ends FINISHED or FAILED.

        Args:
            resume: id of the run, where a sweep was stopped; a deleted run is replaced.
        """
        if kind == "training":  # A project has a single training at a time: what still runs was killed.
            query = f"attributes.status = 'RUNNING' and tags.`{KIND}` = 'training'"
            for run in self._client.search_runs([self._experiment], query):
                self._client.set_terminated(run.info.run_id, "KILLED")
        if resume and self._client.get_run(resume).info.lifecycle_stage != LifecycleStage.DELETED:
            self._parent = resume
            self._client.update_run(resume, status="RUNNING")
        else:
            self._parent = self.open_run(name, kind)
        try:
            yield self._parent
        except BaseException as error:
            self._client.set_tag(self._parent, "stack.error", str(error)[:5000])
            self._client.set_terminated(self._parent, "FAILED")
            raise
        self._client.set_terminated(self._parent)

    def trials(self) -> set[str]:
        """Return the names of the run's trials."""
        query = f"tags.`{PARENT}` = '{self._parent}'"
        runs = self._client.search_runs([self._experiment], query, max_results=MAX_TRIALS)
        return {str(run.info.run_name) for run in runs}

    def trial(self, name: str, result: TrialResult, scorer: Scorer) -> None:
        """Log a finished trial as a child of the run, with its losses in the sign of the project's metric."""
        hosts = ", ".join(sorted({score.host for score in result.scores}))
        run_id = self.open_run(name, "trial", {PARENT: self._parent, "stack.pruned": str(result.pruned), HOST: hosts})
        losses = [scorer.sign * loss for loss in result.losses]
        metrics = {f"fold_{scorer.objective}": losses, scorer.objective: [scorer.sign * result.loss]}
        self._log_batch(run_id, result.choice, metrics)
        self._client.set_terminated(run_id)

    def log(self, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Log to the run in one request; values that are not finite are left out."""
        self._log_batch(self._parent, params, {key: [value] for key, value in metrics.items() if isfinite(value)})

    def artifacts(self, folder: Path) -> None:
        """Upload the files of a folder to the run."""
        self._client.log_artifacts(self._parent, str(folder))

    def register(self, pipeline: Pipeline, example: DataFrame, tags: Mapping[str, str]) -> str:
        """Log a fitted pipeline with skops, register it without an alias, and return the version.

        The ``predict`` of a classifier is its whole ``predict_proba``.

        Args:
            example: rows of its input; MLflow shows the first.
            tags: set on the version, beside the tags of the training.
        """
        requirements = (*REQUIREMENTS, *trees.PACKAGES.get(_compat.package(pipeline[-1]), ()))
        own = packages.pins(self._folder)
        trusted = _compat.trusted_types(pipeline[-1]) + packages.untrusted(self._folder, pipeline)
        method = "predict_proba" if hasattr(pipeline, "predict_proba") else "predict"
        with _compat.tracking_at(self._url), _compat.unchecked_requirements():
            logged = mlflow.sklearn.log_model(
                pipeline,
                name=MODEL,
                run_id=self._parent,
                serialization_format="skops",
                skops_trusted_types=[*dict.fromkeys(serving_compat.trusted_types() + trusted)],
                signature=mlflow.models.infer_signature(example, getattr(pipeline, method)(example)),
                pyfunc_predict_fn=method,
                # What `mlflow models serve` needs; without the list MLflow loads the model again to find out.
                pip_requirements=[f"{name}=={installed(name)}" for name in requirements]
                + [f"{name}=={pin}" for name, pin in own.items()],
            )
            version = mlflow.register_model(logged.model_uri, self._name, tags={**self._tags, **tags})
        return str(version.version)

    def register_onnx(self, path: Path, tags: Mapping[str, str]) -> str:
        """Log an ONNX file that another tool has made, register it without an alias, and return the version."""
        with _compat.tracking_at(self._url), _compat.unchecked_requirements():
            logged = mlflow.onnx.log_model(
                onnx.load(path),
                name=MODEL,
                run_id=self._parent,
                pip_requirements=[f"{name}=={installed(name)}" for name in ("mlflow", "numpy", "onnx", "onnxruntime")],
                save_as_external_data=False,
            )
            version = mlflow.register_model(logged.model_uri, self._name, tags={**self._tags, **tags})
        return str(version.version)

    def open_run(self, name: str, kind: str, tags: Mapping[str, str] | None = None) -> str:
        """Create a run of a kind, with the tags of the training; return its id."""
        tags = {**self._tags, KIND: kind, **(tags or {})}
        return str(self._client.create_run(self._experiment, run_name=name, tags=tags).info.run_id)

    def _log_batch(self, run_id: str, params: Mapping[str, Any], metrics: Mapping[str, Sequence[float]]) -> None:
        """Log parameters and the values of each metric, by step, at the wall clock: the time of a log, not of data."""
        now = time.time_ns() // 1_000_000
        points = [Metric(key, value, now, step) for key, values in metrics.items() for step, value in enumerate(values)]
        self._client.log_batch(run_id, points, [Param(key, str(value)) for key, value in params.items()])


def download_model(settings: Settings, uri: str, folder: Path) -> Path:
    """Download a registered or logged model, like ``models:/churn/3``; return its folder."""
    try:
        with _compat.tracking_at(settings.mlflow_url):
            return Path(download_artifacts(uri, dst_path=str(folder)))
    except MlflowException as error:
        todo = "look for its name and version in MLflow's page of models"
        raise StackError(f"MODEL={uri}", found=str(error), expected="a model of the stack", todo=todo) from None


@contextmanager
def upload_rows(settings: Settings, name: str, rows: DataFrame) -> Iterator[None]:
    """Upload rows under a name for the time of the context; a later upload under the name replaces them.

    Any machine that reaches MLflow by its URL can download them.
    """
    repository = _compat.artifact_repository(f"{SHARED_ROWS}/{name}", settings.mlflow_url)
    with TemporaryDirectory() as folder:
        file = Path(folder, ROWS_FILE)
        rows.to_parquet(file, index=False, compression="zstd")
        repository.log_artifact(str(file))
    try:
        yield
    finally:
        repository.delete_artifacts(ROWS_FILE)


def download_rows(settings: Settings, name: str) -> DataFrame:
    """Return the rows that were uploaded under a name."""
    with TemporaryDirectory() as folder:
        uri = f"{SHARED_ROWS}/{name}/{ROWS_FILE}"
        return pd.read_parquet(download_artifacts(uri, dst_path=folder, tracking_uri=settings.mlflow_url))
