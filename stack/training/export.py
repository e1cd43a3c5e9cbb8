"""From a fitted pipeline to its served form: ONNX, or skops where ONNX would not answer the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pandas as pd
import skops.io
from pandas import DataFrame
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from skl2onnx.operator_converters.random_forest import (
    convert_sklearn_random_forest_classifier,
    convert_sklearn_random_forest_regressor_converter,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, VotingClassifier
from sklearn.pipeline import Pipeline

from stack.core.errors import StackError
from stack.serving.served import Contract, ServedModel
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import candidates

FormName = Literal["onnx", "skops"]

OPSET = 18
UNKNOWN = "unknown to every training set"


def export(pipeline: Pipeline, spec: ProjectSpec, folder: Path, sample: DataFrame) -> ServedModel:
    """Write the served form of a fitted pipeline: ONNX if it answers as the pipeline does, skops otherwise.

    Args:
        pipeline: fitted on :func:`stack.training.candidates.frame`.
        folder: made if it is missing.
        sample: rows with the feature columns; both forms are compared on them, and on copies of them with missing
            numbers and unknown categories.

    Raises:
        StackError: neither form answers within ``gate.max_served_difference`` of the pipeline.
    """
    probes = _probes(spec, sample)
    wanted = tasks.of(spec).predict(pipeline, candidates.frame(spec, probes))
    problems = []
    for form in FORMS:
        with TemporaryDirectory() as made:
            problem = _attempt(form, pipeline, spec, Path(made), probes, wanted)
            if not problem:
                shutil.copytree(made, folder, dirs_exist_ok=True)
                return ServedModel(folder)
            problems.append(f"{form}: {problem}")
    raise StackError(
        f"served form of {spec.name}",
        found="; ".join(problems),
        expected=f"answers within {spec.gate.max_served_difference:.0e} of the trained pipeline",
        todo="use estimators that skl2onnx converts, or types in TRUSTED_TYPES (stack/serving/served.py)",
    )


def _attempt(
    form: FormName,
    pipeline: Pipeline,
    spec: ProjectSpec,
    folder: Path,
    probes: DataFrame,
    wanted: np.ndarray,
) -> str:
    """Write one form and hold it against the pipeline; return what is wrong with it, if anything."""
    try:
        FORMS[form](pipeline, spec, folder / f"model.{form}")
        outputs = tasks.of(spec).outputs
        Contract(form, dict(spec.features.columns), spec.label, spec.threshold, spec.task, outputs).write(folder)
        found = ServedModel(folder).predict({column: probes[column] for column in spec.features.columns})
    except Exception as error:  # noqa: BLE001  # converters raise anything; the next form is tried
        return f"{type(error).__name__} {str(error)[:200]}"
    off = tasks.of(spec).difference(found, wanted)
    return "" if off <= spec.gate.max_served_difference else f"answers differ by {off:.1e}"


def _probes(spec: ProjectSpec, sample: DataFrame) -> DataFrame:
    """The sample as it is, then with a third of its numbers missing, then with unknown categories."""
    numbers, strings = spec.column_types("number"), spec.column_types("category")
    holes = sample.copy()
    for position, column in enumerate(numbers):
        holes.loc[np.arange(len(holes)) % 3 == position % 3, column] = np.nan
    return pd.concat([sample, holes, sample.assign(**dict.fromkeys(strings, UNKNOWN))], ignore_index=True)


def _write_onnx(pipeline: Pipeline, spec: ProjectSpec, path: Path) -> None:
    sizes = {kind: len(spec.column_types(kind)) for kind in ("number", "category")}
    inputs = [("numbers", FloatTensorType([None, sizes["number"]]))] if sizes["number"] else []
    inputs += [("categories", StringTensorType([None, sizes["category"]]))] if sizes["category"] else []
    model = convert_sklearn(
        _convertible(pipeline),
        initial_types=inputs,
        target_opset=OPSET,
        options={"zipmap": False} if tasks.of(spec).classes else None,
        custom_conversion_functions={
            HistGradientBoostingClassifier: _with_integer_flags(convert_sklearn_random_forest_classifier),
            HistGradientBoostingRegressor: _with_integer_flags(convert_sklearn_random_forest_regressor_converter),
        },
    )
    path.write_bytes(model.SerializeToString())


def _write_skops(pipeline: Pipeline, spec: ProjectSpec, path: Path) -> None:
    skops.io.dump(pipeline, path)


FORMS: dict[FormName, Callable[[Pipeline, ProjectSpec, Path], None]] = {
    "onnx": _write_onnx,
    "skops": _write_skops,
}


def _convertible(pipeline: Pipeline) -> Pipeline:
    """Copy a pipeline with the thresholds of its trees rounded down to float32.

    ONNX compares in float32, scikit-learn in float64. For a float32 value, ``x <= threshold`` is the same after
    rounding down; rounding to nearest can send a value that lies next to the threshold to the other side.
    """
    copied = deepcopy(pipeline)
    for tree in _boosted_trees(copied[-1]):
        exact = tree.nodes["num_threshold"]
        rounded = exact.astype(np.float32)
        above = rounded > exact
        rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
        tree.nodes["num_threshold"] = rounded
    if isinstance(copied[-1], VotingClassifier):
        copied[-1].flatten_transform = False  # of its transform(), which nobody calls and skl2onnx cannot convert
    return copied


def _boosted_trees(model: Any) -> Iterator[Any]:
    """The trees of a boosted model, or of the models that a vote or a stack is made of."""
    for trees in getattr(model, "_predictors", []):
        yield from trees
    for part in getattr(model, "estimators_", []):
        yield from _boosted_trees(part)


def _with_integer_flags(convert: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
    """Convert boosted trees with integer flags: onnx 1.23 refuses the booleans that skl2onnx 1.20 gives it."""

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
