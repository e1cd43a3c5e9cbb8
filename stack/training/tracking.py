"""The runs of a training in MLflow: created, logged in batches, and always terminated."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Param
from mlflow.entities.lifecycle_stage import LifecycleStage
from pandas import DataFrame
from sklearn.pipeline import Pipeline

from stack.project import Project
from stack.serving import _compat as serving_compat
from stack.training import _compat

KIND, HOST, PARENT = "stack.kind", "stack.host", "mlflow.parentRunId"
REQUIREMENTS = ("mlflow", "numpy", "pandas", "scikit-learn", "skops")
MODEL = "model"


class Tracker:
    """Logs one training of a project.

    Args:
        tags: set on every run of the training and on the registered version.
    """

    def __init__(self, project: Project, tags: Mapping[str, str]) -> None:
        self._url, self._name = project.settings.mlflow_url, project.name
        self._tags = {**tags, HOST: socket.gethostname()}
        self._client = mlflow.MlflowClient(self._url)
        self._experiment = self._experiment_id()
        self._parent: str | None = None

    @contextmanager
    def training(self, name: str) -> Iterator[str]:
        """Create the training's run; it ends FINISHED, or FAILED with an exception.

        Yields:
            The run's id.
        """
        self._end_interrupted()
        with self._ended(self.open_run(name, "training")) as run_id:
            yield run_id

    @contextmanager
    def sweep(self, name: str, run_id: str | None) -> Iterator[str]:
        """Create the run of a sweep, or resume the one it had when it was stopped; it ends as a training's does.

        Yields:
            The run's id.
        """
        if run_id and self._client.get_run(run_id).info.lifecycle_stage != LifecycleStage.DELETED:
            self._client.update_run(run_id, status="RUNNING")
        else:
            run_id = self.open_run(name, "sweep")
        with self._ended(run_id):
            yield run_id

    def trials(self) -> set[str]:
        """Return the names of the run's trials."""
        query, names, page = f"tags.`{PARENT}` = '{self._parent}'", set[str](), None
        while True:
            runs = self._client.search_runs([self._experiment], query, max_results=1000, page_token=page)
            names |= {str(run.info.run_name) for run in runs}
            page = runs.token
            if not page:
                return names

    @contextmanager
    def _ended(self, run_id: str) -> Iterator[str]:
        """Make a run the parent of what is logged, and terminate it whatever happens."""
        self._parent = run_id
        try:
            yield run_id
        except BaseException as error:
            self._client.set_tag(run_id, "stack.error", str(error)[:5000])
            self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id)

    def trial(
        self,
        name: str,
        *,
        params: Mapping[str, Any],
        metrics: Mapping[str, list[float]],
        pruned: bool,
        hosts: Iterable[str],
    ) -> None:
        """Log a finished trial as a child of the training's run.

        Args:
            metrics: the values of each metric, by step.
            hosts: the machines or containers that fitted it.
        """
        tags = {"stack.pruned": str(pruned), HOST: ", ".join(sorted(set(hosts)))}
        run_id = self.open_run(name, "trial", {PARENT: str(self._parent)} | tags)
        now = _milliseconds()
        points = [Metric(key, value, now, step) for key, values in metrics.items() for step, value in enumerate(values)]
        self._client.log_batch(run_id, metrics=points, params=_params(params))
        self._client.set_terminated(run_id)

    def log(self, *, params: Mapping[str, Any] | None = None, metrics: Mapping[str, float] | None = None) -> None:
        """Log to the training's run in one request; values that are not finite are left out."""
        now = _milliseconds()
        points = [Metric(key, value, now, 0) for key, value in (metrics or {}).items() if isfinite(value)]
        self._client.log_batch(str(self._parent), metrics=points, params=_params(params or {}))

    def artifacts(self, folder: Path) -> None:
        """Upload the files of a folder to the training's run."""
        self._client.log_artifacts(str(self._parent), str(folder))

    def register(self, pipeline: Pipeline, example: DataFrame, tags: Mapping[str, str]) -> str:
        """Log a fitted pipeline with skops and register it; no alias points at it yet.

        The ``predict`` of a classifier is its whole ``predict_proba``.

        Args:
            example: rows of its input; MLflow shows the first.
            tags: set on the version, beside the tags of the training.

        Returns:
            The version.
        """
        method = "predict_proba" if hasattr(pipeline, "predict_proba") else "predict"
        with _compat.tracking_at(self._url):
            logged = mlflow.sklearn.log_model(
                pipeline,
                name=MODEL,
                run_id=self._parent,
                serialization_format="skops",
                skops_trusted_types=serving_compat.trusted_types(),
                signature=mlflow.models.infer_signature(example, getattr(pipeline, method)(example)),
                pyfunc_predict_fn=method,
                pip_requirements=_requirements(),
            )
            version = mlflow.register_model(logged.model_uri, self._name, tags={**self._tags, **tags})
        return str(version.version)

    def open_run(self, name: str, kind: str, tags: Mapping[str, str] | None = None) -> str:
        """Create a run of a kind, with the tags of the training; return its id."""
        given = {**self._tags, KIND: kind, **(tags or {})}
        return str(self._client.create_run(self._experiment, run_name=name, tags=given).info.run_id)

    def _experiment_id(self) -> str:
        """Return the project's experiment, created or restored where needed."""
        experiment = self._client.get_experiment_by_name(self._name)
        if experiment is None:
            return str(self._client.create_experiment(self._name))
        if experiment.lifecycle_stage == LifecycleStage.DELETED:
            self._client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def _end_interrupted(self) -> None:
        """Mark runs that a killed training left running; a project has one training at a time."""
        query = f"attributes.status = 'RUNNING' and tags.`{KIND}` = 'training'"
        for run in self._client.search_runs([self._experiment], query):
            self._client.set_terminated(run.info.run_id, "KILLED")


def _requirements() -> list[str]:
    """Return what `mlflow models serve` needs; without it MLflow loads the model again to find out."""
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in REQUIREMENTS]


def _params(params: Mapping[str, Any]) -> list[Param]:
    return [Param(key, str(value)) for key, value in params.items()]


def _milliseconds() -> int:
    """Return the wall clock: the time of a log line, not of the data."""
    return time.time_ns() // 1_000_000
