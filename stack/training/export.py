"""From a fitted pipeline to its served form: ONNX, or skops where ONNX would give other predictions."""

import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pandas as pd
from pandas import DataFrame
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import TargetEncoder

from stack.core.errors import StackError
from stack.serving.served import Contract, ServedModel
from stack.specification import frames, tasks
from stack.specification.specs import ProjectSpec
from stack.training import _compat, candidates

FormName = Literal["onnx", "skops"]

OPSET = {"": 18, "ai.onnx.ml": 3}
UNKNOWN = "unknown to every training set"
STRANGE = (
    "",
    None,
    "\N{GRINNING FACE}",
    "Ünïcode \N{LATIN SMALL LIGATURE FI} 20€\0\n#1",
    "你好 мир",
    "a " * 500,
    "a" * 1000,
)
"""Texts that a caller may send."""


def export(pipeline: Pipeline, spec: ProjectSpec, folder: Path, sample: DataFrame) -> ServedModel:
    """Write the served form of a fitted pipeline: ONNX if its predictions are the pipeline's, skops otherwise.

    Args:
        pipeline: fitted on :func:`stack.training.candidates.frame`.
        folder: created if it is missing.
        sample: rows with the feature columns; both forms are compared on them, and on copies of them with missing
            numbers, and with unknown categories and strange texts.

    Raises:
        StackError: neither form predicts within ``gate.max_served_difference`` of the pipeline.
    """
    rows, problems = probes(spec, sample), []
    for form in FORMS:
        with TemporaryDirectory() as written:
            problem = _attempt(form, pipeline, spec, Path(written), rows)
            if not problem:
                shutil.copytree(written, folder, dirs_exist_ok=True)
                return ServedModel(folder)
            problems.append(f"{form}: {problem}")
    raise StackError(
        f"served form of {spec.name}",
        found="; ".join(problems),
        expected=f"predictions within {spec.gate.max_served_difference:.0e} of the trained pipeline",
        todo="use estimators that skl2onnx converts; for another one, register a converter in model.py "
        "(skl2onnx.update_registered_converter)",
    )


def _attempt(form: FormName, pipeline: Pipeline, spec: ProjectSpec, folder: Path, rows: DataFrame) -> str:
    """Write a form and compare it with the pipeline; return its problem, empty when there is none."""
    task = tasks.of(spec)
    expected = task.predict(pipeline, candidates.frame(spec, rows))
    try:
        FORMS[form](pipeline, spec, folder / f"model.{form}")
        contract = Contract(form, dict(spec.features.columns), spec.label, spec.threshold, spec.task, task.outputs)
        replace(contract, offset=task.offset, calibration=task.calibration).write(folder)
        predicted = ServedModel(folder).predict({column: rows[column] for column in spec.features.columns})
    except Exception as error:  # noqa: BLE001  # converters raise anything; the next form is tried
        return f"{type(error).__name__} {str(error)[:200]}"
    difference = task.difference(predicted, expected)
    return "" if difference <= spec.gate.max_served_difference else f"predictions differ by {difference:.1e}"


def probes(spec: ProjectSpec, sample: DataFrame) -> DataFrame:
    """Return the sample as it is, with a third of its numbers missing, and with strange categories and texts."""
    numbers = spec.column_types("number")
    strings = dict.fromkeys(spec.column_types("category"), UNKNOWN)
    texts = dict.fromkeys(spec.column_types("text"), np.resize(np.array(STRANGE, object), len(sample)))
    holes = sample.copy()
    for position, column in enumerate(numbers):
        holes.loc[np.arange(len(holes)) % 3 == position % 3, column] = np.nan
    return pd.concat([sample, holes, frames.with_columns(sample, strings | texts)], ignore_index=True)


def write_onnx(pipeline: Pipeline, spec: ProjectSpec, path: Path) -> None:
    """Write a fitted pipeline as ONNX."""
    numbers, strings = len(spec.column_types("number")), len(spec.column_types("category", "text"))
    _compat.register_converter(pipeline[-1])
    tensors = [("numbers", FloatTensorType, numbers), ("categories", StringTensorType, strings)]
    model = convert_sklearn(
        _convertible(pipeline),
        initial_types=[(name, kind([None, size])) for name, kind, size in tensors if size],
        target_opset=OPSET,
        options={"zipmap": False} if tasks.of(spec).classes else None,
        custom_conversion_functions=_compat.boosting_converters() | {TargetEncoder: _compat.convert_target_encoder},
        custom_shape_calculators={TargetEncoder: _compat.shape_of_target_encoder},
    )
    path.write_bytes(model.SerializeToString())


def write_skops(pipeline: Pipeline, _: ProjectSpec, path: Path) -> None:
    """Write the pipeline itself."""
    import skops.io  # takes a second, as it imports all of scikit-learn, and pytest

    skops.io.dump(pipeline, path)


FORMS: dict[FormName, Callable[[Pipeline, ProjectSpec, Path], None]] = {
    "onnx": write_onnx,
    "skops": write_skops,
}


def _convertible(pipeline: Pipeline) -> Pipeline:
    """Copy a pipeline into one whose conversion answers as the original does."""
    copied = deepcopy(pipeline)
    _compat.round_thresholds(copied[-1])
    if isinstance(copied[-1], VotingClassifier):
        copied[-1].flatten_transform = False  # of its transform(), which is not called and skl2onnx cannot convert
    return copied
