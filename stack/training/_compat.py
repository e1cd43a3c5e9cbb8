"""Where training reaches beneath the public APIs of MLflow, scikit-learn and skl2onnx.

MLflow is imported only where it is used, which takes a second: a model is exported without it too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from skl2onnx.operator_converters.random_forest import (
    convert_sklearn_random_forest_classifier,
    convert_sklearn_random_forest_regressor_converter,
)
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting import binning
from sklearn.ensemble._hist_gradient_boosting.binning import _find_binning_thresholds
from sklearn.utils.stats import _weighted_percentile

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

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
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(url)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


@contextmanager
def unchecked_requirements() -> Iterator[None]:
    """Let MLflow log models without comparing their requirements with the installed packages.

    Tool: MLflow

    Reach: mlflow.utils.environment.warn_dependency_requirement_mismatches

    Why: the requirements are pins of the installed packages, and MLflow reads the file lists of all packages to compare
    them: a CPU second in each process that trains.

    Upstream: none known (mlflow/utils/requirements_utils.py)
    """
    from mlflow.utils import environment

    warn = environment.warn_dependency_requirement_mismatches
    environment.warn_dependency_requirement_mismatches = lambda _: None
    try:
        yield
    finally:
        environment.warn_dependency_requirement_mismatches = warn


def artifact_repository(uri: str, url: str) -> ArtifactRepository:
    """Return what uploads and deletes files below an artifact URI of a server that belongs to no run.

    Tool: MLflow

    Reach: mlflow.store.artifact.artifact_repository_registry.get_artifact_repository

    Why: `mlflow.artifacts` downloads from any URI, but `MlflowClient` uploads to runs only, and deletes nothing.

    Upstream: none known (mlflow/artifacts/__init__.py)
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri, tracking_uri=url)


def round_thresholds(model: Any) -> None:
    """Round the thresholds of boosted trees down, in place; of every model that a vote or stack is made of.

    Tool: scikit-learn

    Reach: HistGradientBoosting*._predictors, and the field "num_threshold" of TreePredictor.nodes

    Why: skl2onnx rounds the thresholds of these trees to nearest, and nothing public gives or sets them.

    Upstream: https://github.com/onnx/sklearn-onnx/issues/1192
    """
    for trees in getattr(model, "_predictors", []):
        for tree in trees:
            tree.nodes["num_threshold"] = _rounded_down(tree.nodes["num_threshold"])
    for part in getattr(model, "estimators_", []):
        round_thresholds(part)


def hasten_weighted_binning() -> None:
    """Let the boosted trees bin weighted rows with one sort of a column in place of one for each bin.

    Tool: scikit-learn

    Reach: binning._find_binning_thresholds, and sklearn.utils.stats._weighted_percentile of many ranks

    Why: the binning of weighted rows takes nine tenths of a fit. The thresholds are the same to the last bit.

    Upstream: https://github.com/scikit-learn/scikit-learn/pull/34248
    """
    binning._find_binning_thresholds = binning_thresholds


def binning_thresholds(column: np.ndarray, max_bins: int, sample_weight: np.ndarray | None = None) -> np.ndarray:
    """Return the thresholds between the bins of a column, as scikit-learn does."""
    if sample_weight is None:
        return np.asarray(_find_binning_thresholds(column, max_bins))
    counted = ~np.isnan(column) & (sample_weight != 0)
    column, weight = column[counted], sample_weight[counted]
    if len(np.unique(column)) <= max_bins:
        return np.asarray(_find_binning_thresholds(column, max_bins, weight))
    order, ranks = np.argsort(column), np.linspace(0, 100, num=max_bins + 1)[1:-1]
    thresholds = np.unique(_weighted_percentile(column[order], weight[order], ranks, average=True))
    return np.asarray(np.clip(thresholds, None, binning.ALMOST_INF))


def _rounded_down(thresholds: Any) -> np.ndarray:
    """Round to the float32 below.

    ONNX compares in float32, these trees in float64. For a float32 value, ``x <= threshold`` is the same after
    rounding down; rounding to nearest can send a value that lies next to the threshold to the other side.
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    rounded = exact.astype(np.float32)
    return np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def boosting_converters() -> dict[type, Converter]:
    """Return converters of boosted trees for skl2onnx that write integer flags.

    Tool: skl2onnx

    Reach: skl2onnx.operator_converters.random_forest, and the add_node of the container that a converter is given

    Why: onnx 1.23 refuses the booleans that skl2onnx 1.20 writes to `nodes_missing_value_tracks_true`.

    Upstream: none known (skl2onnx/common/tree_ensemble.py, add_tree_to_attribute_pairs_hist_gradient_boosting)
    """
    return {
        kind: _adapted(convert, "nodes_missing_value_tracks_true", lambda flags: list(map(int, flags)))
        for kind, convert in (
            (HistGradientBoostingClassifier, convert_sklearn_random_forest_classifier),
            (HistGradientBoostingRegressor, convert_sklearn_random_forest_regressor_converter),
        )
    }


def convert_target_encoder(scope: Any, operator: Any, container: Any) -> None:
    """Convert a TargetEncoder: a table from value to encoding for each of its columns, and each of several classes.

    Tool: skl2onnx

    Reach: the scope, operator and container that a converter is given

    Why: skl2onnx converts no TargetEncoder of several classes.

    Upstream: none known (skl2onnx/operator_converters/target_encoder.py)
    """
    encoder, (given,), parts = operator.raw_operator, operator.inputs, []
    means = np.atleast_1d(encoder.target_mean_).astype(np.float32)
    for at, encodings in enumerate(encoder.encodings_):
        column, (of, among) = scope.get_unique_variable_name("column"), divmod(at, len(means))
        index = scope.get_unique_variable_name("index")
        container.add_initializer(index, TensorProto.INT64, [1], [of])
        container.add_node(
            "ArrayFeatureExtractor", [given.full_name, index], column, op_domain="ai.onnx.ml", name=f"{column}_extract"
        )
        container.add_node(
            "LabelEncoder",
            column,
            f"{column}_encoded",
            op_domain="ai.onnx.ml",
            op_version=2,
            name=f"{column}_encode",
            keys_strings=[value.encode() for value in encoder.categories_[of]],
            values_floats=encodings.astype(np.float32),
            default_float=means[among],
        )
        parts.append(f"{column}_encoded")
    container.add_node("Concat", parts, operator.outputs[0].full_name, name=f"{parts[0]}_concat", op_version=13, axis=1)


def shape_of_target_encoder(operator: Any) -> None:
    """Set the shape of a TargetEncoder's output, by the number of its encodings."""
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = FloatTensorType([rows, len(operator.raw_operator.encodings_)])


def register_converter(model: Any) -> None:
    """Register the converter of a model of LightGBM or XGBoost, and of no other, with skl2onnx.

    Tool: onnxmltools

    Reach: the modules of its converters, and the add_node of the container that a converter is given

    Why: LightGBM's converter rounds thresholds to nearest, as skl2onnx does.

    Upstream: none known (onnxmltools/convert/lightgbm/operator_converters/LightGbm.py, convert_lightgbm)
    """
    convert: Converter
    if package(model) == "lightgbm":
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        convert = _adapted(convert_lightgbm, "nodes_values", lambda values: _rounded_down(values).tolist())
    elif package(model) == "xgboost":
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

        convert = convert_xgboost
    else:
        return
    options, shape = {}, calculate_linear_regressor_output_shapes
    if is_classifier(model):
        options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
        shape = calculate_linear_classifier_output_shapes
    update_registered_converter(type(model), type(model).__name__, shape, convert, options=options)


def trusted_types(model: Any) -> list[str]:
    """Return the types that skops may build for a model of LightGBM or XGBoost, in MLflow: what is served is ONNX.

    Tool: skops

    Reach: names of modules of LightGBM and XGBoost in skops.io.load(trusted=...)

    Why: skops trusts no type of theirs. A Booster is data: text or bytes that their C++ library reads.

    Upstream: none known (skops/io/_trusted_types.py)
    """
    boosters = {"lightgbm": "lightgbm.basic.Booster", "xgboost": "xgboost.core.Booster"}
    own = f"{type(model).__module__}.{type(model).__name__}"
    return [own, boosters[package(model)], "collections.OrderedDict"] if package(model) in boosters else []


def package(model: Any) -> str:
    """Return the top package of a model's class."""
    return type(model).__module__.split(".")[0]


def _adapted(convert: Converter, name: str, change: Callable[[Any], Any]) -> Converter:
    """Return a converter that changes an attribute of the nodes that it adds."""

    def converted(scope: Any, operator: Any, container: Any) -> None:
        add_node = container.add_node

        def add_changed(*args: Any, **attributes: Any) -> Any:
            return add_node(*args, **attributes | {key: change(attributes[key]) for key in attributes if key == name})

        container.add_node = add_changed
        try:
            convert(scope, operator, container)
        finally:
            del container.add_node

    return converted
