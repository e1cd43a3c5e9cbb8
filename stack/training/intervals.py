"""Prediction intervals, and sets of classes: fitted beside the chosen model, measured on the holdout, exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame
from sklearn.pipeline import Pipeline

from stack.core.errors import StackError
from stack.core.profile import step
from stack.serving import intervals
from stack.serving.served import Contract, ServedModel
from stack.specification import class_sets, tasks
from stack.specification.specs import ProjectSpec
from stack.specification.tasks import CORRECTION, ENDS
from stack.training import candidates, export, splits, trees

CANDIDATE = "gradient_boosting"


def fit(spec: ProjectSpec, rows: DataFrame) -> list[Pipeline]:
    """Fit the models of both ends on labelled rows: boosted trees that minimise the pinball loss."""
    initial = trees.candidates(numeric=True, rows=len(rows))[CANDIDATE].initial_params
    outside = (1 - (spec.interval or 0)) / 2
    levels = ({"loss": "quantile", "quantile": level} for level in (outside, 1 - outside))
    return [candidates.fit(spec, CANDIDATE, {**initial, **level}, rows) for level in levels]


def quantiles(spec: ProjectSpec, fitted: list[Pipeline], rows: DataFrame) -> np.ndarray:
    """Return the quantiles of rows with the feature columns, (n, 2)."""
    task, features = tasks.of(spec), candidates.frame(spec, rows)
    return np.hstack([task.predict(pipeline, features) for pipeline in fitted])


@step("measure the intervals on the holdout")
def held_out(spec: ProjectSpec, split: splits.Split) -> DataFrame:
    """Return the quantiles of the test rows of a split, by models that have not seen them: columns `ENDS`."""
    parts = [
        DataFrame(quantiles(spec, fit(spec, part.fit), part.test), part.test.index, ENDS)
        for part in splits.backtests(spec, split)
    ]
    return pd.concat(parts).loc[split.test.index]


def correction(spec: ProjectSpec, split: splits.Split, name: str, params: dict[str, Any]) -> float:
    """Return the correction that the holdout gives; 0 without intervals.

    Args:
        name: of the candidate, whose answers decide on the sets of several classes.
        params: of the candidate.
    """
    if spec.interval is None:
        return 0.0
    label, task = split.test[spec.label].to_numpy(np.float64), tasks.of(spec)
    if not task.numeric:
        pipeline = candidates.fit(spec, name, params, split.fit)
        return class_sets.correction(label, task.predict(pipeline, candidates.frame(spec, split.test)), spec.interval)
    return intervals.correction(label, held_out(spec, split), spec.interval)


def measure(spec: ProjectSpec, split: splits.Split, rows: DataFrame) -> tuple[DataFrame, dict[str, float]]:
    """Return the answered test rows of a split with their intervals, and what is measured of these; nothing without.

    ``correction`` is that of all rows, ``width`` the mean with it, or of sets of classes ``set_size``. ``coverage`` is
    that of each half of the units (days, groups or rows) with the correction of the other half.
    """
    if spec.interval is None:
        return rows, {}
    task, level, label = tasks.of(spec), spec.interval, rows[spec.label].to_numpy(np.float64)
    answer = rows[list(task.outputs)].to_numpy(np.float64)
    if not task.numeric:
        moved = class_sets.correction(label, answer, level)

        def covered(half: np.ndarray) -> float:
            other = class_sets.correction(label[~half], answer[~half], level)
            return class_sets.coverage(label[half], answer[half], other)

        sizes = class_sets.members(answer, moved).sum(axis=1)
        metrics = {"set_size": float(sizes.mean()), "correction": moved}
        return rows.assign(**{CORRECTION: moved}), metrics | _coverage(spec, rows, covered)
    found = held_out(spec, split).loc[rows.index].to_numpy()
    moved = intervals.correction(label, found, level)

    def inside(half: np.ndarray) -> float:
        other = intervals.correction(label[~half], found[~half], level)
        return intervals.coverage(label[half], intervals.around(answer[half], found[half], other))

    ends = intervals.around(answer, found, moved)
    metrics = {"width": float((ends[:, 1] - ends[:, 0]).mean()), "correction": moved}
    return rows.assign(**dict(zip(ENDS, ends.T, strict=True))), metrics | _coverage(spec, rows, inside)


def _coverage(spec: ProjectSpec, rows: DataFrame, covered: Callable[[np.ndarray], float]) -> dict[str, float]:
    """Return ``coverage`` of both halves of the units, each as `covered` finds it; nothing of a single unit."""
    half = splits.units(spec, rows) % 2 == 0
    if half.all() or not half.any():
        return {}
    return {"coverage": float(sum(covered(part) * part.mean() for part in (half, ~half)))}


@step("fit the intervals on all rows")
def write(spec: ProjectSpec, rows: DataFrame, folder: Path, sample: DataFrame, correction: float) -> ServedModel:
    """Fit both ends on every row, and write them beside a served model; of sets of classes the correction alone.

    Args:
        sample: rows on which served and trained form are compared, as in :func:`.export.export`.
        correction: what the holdout gives.

    Raises:
        StackError: the served ends are not within ``gate.max_served_difference`` of the trained ones.
    """
    if not tasks.of(spec).numeric:
        replace(Contract.read(folder), interval=spec.interval, correction=correction).write(folder)
        return ServedModel(folder)
    fitted, probes = fit(spec, rows), export.probes(spec, sample)
    for pipeline, end in zip(fitted, ENDS, strict=True):
        export.write_onnx(pipeline, spec, folder / f"{end}.onnx")
    replace(Contract.read(folder), interval=spec.interval, correction=correction).write(folder)
    model = ServedModel(folder)
    answer = model.answer({column: probes[column] for column in spec.features.columns})
    wanted = intervals.around(answer[:, :1], quantiles(spec, fitted, probes), correction)
    difference = tasks.of(spec).difference(answer[:, 1:3], wanted)
    if difference > spec.gate.max_served_difference:
        raise StackError(
            f"served intervals of {spec.name}",
            found=f"ends that differ by {difference:.1e}",
            expected=f"those of the trained quantiles within {spec.gate.max_served_difference:.0e}",
        )
    return model
