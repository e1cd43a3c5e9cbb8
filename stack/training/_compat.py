"""Where training reaches beneath the public APIs of MLflow, scikit-learn and skl2onnx."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlflow
import numpy as np
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from skl2onnx.operator_converters.random_forest import (
    convert_sklearn_random_forest_classifier,
    convert_sklearn_random_forest_regressor_converter,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

Converter = Callable[[Any, Any, Any], None]


@contextmanager
def tracking_at(url: str) -> Iterator[None]:
    """Point MLflow's module-level functions at a server for the time of the context.

    Tool: MLflow

    Reach: mlflow.set_tracking_uri(None), and the variable MLFLOW_TRACKING_URI that it sets and removes

    Why: `log_model` and `register_model` have no method of `MlflowClient` that takes the server. Without the variable
    MLflow would create a database in the working directory.

    Upstream: https://github.com/mlflow/mlflow/issues/7392
    """
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(url)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def artifact_repository(uri: str, url: str) -> ArtifactRepository:
    """Return what uploads and deletes files below an artifact URI of a server that belongs to no run.

    Tool: MLflow

    Reach: mlflow.store.artifact.artifact_repository_registry.get_artifact_repository

    Why: `mlflow.artifacts` downloads from any URI, but `MlflowClient` uploads to runs only, and deletes nothing.

    Upstream: none known (mlflow/artifacts/__init__.py)
    """
    return get_artifact_repository(uri, tracking_uri=url)


def round_thresholds(model: Any) -> None:
    """Round the thresholds of boosted trees down to float32, in place; of every model that a vote or stack is made of.

    ONNX compares in float32, scikit-learn in float64. For a float32 value, ``x <= threshold`` is the same after
    rounding down; rounding to nearest can send a value that lies next to the threshold to the other side.

    Tool: scikit-learn

    Reach: HistGradientBoosting*._predictors, and the field "num_threshold" of TreePredictor.nodes

    Why: skl2onnx rounds the thresholds of these trees to nearest, and nothing public gives or sets them.

    Upstream: https://github.com/onnx/sklearn-onnx/issues/1192
    """
    for trees in getattr(model, "_predictors", []):
        for tree in trees:
            exact = tree.nodes["num_threshold"]
            rounded = exact.astype(np.float32)
            above = rounded > exact
            rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
            tree.nodes["num_threshold"] = rounded
    for part in getattr(model, "estimators_", []):
        round_thresholds(part)


def boosting_converters() -> dict[type, Converter]:
    """Return converters of boosted trees for skl2onnx that write integer flags.

    Tool: skl2onnx

    Reach: skl2onnx.operator_converters.random_forest, and the add_node of the container that a converter is given

    Why: onnx 1.23 refuses the booleans that skl2onnx 1.20 writes to `nodes_missing_value_tracks_true`.

    Upstream: none known (skl2onnx/common/tree_ensemble.py, add_tree_to_attribute_pairs_hist_gradient_boosting)
    """
    return {
        HistGradientBoostingClassifier: _with_integer_flags(convert_sklearn_random_forest_classifier),
        HistGradientBoostingRegressor: _with_integer_flags(convert_sklearn_random_forest_regressor_converter),
    }


def _with_integer_flags(convert: Converter) -> Converter:
    def converted(scope: Any, operator: Any, container: Any) -> None:
        add_node = container.add_node

        def add_with_integers(*args: Any, **attributes: Any) -> Any:
            flags = attributes.get("nodes_missing_value_tracks_true", [])
            return add_node(*args, **attributes | {"nodes_missing_value_tracks_true": [int(flag) for flag in flags]})

        container.add_node = add_with_integers
        try:
            convert(scope, operator, container)
        finally:
            del container.add_node

    return converted
