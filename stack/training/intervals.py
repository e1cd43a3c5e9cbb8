"""The quantile models of prediction intervals: fitted beside the chosen model, measured on the holdout, exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from pandas import DataFrame
from sklearn.pipeline import Pipeline

from stack.core.errors import StackError
from stack.core.profile import step
from stack.serving import intervals
from stack.serving.served import Contract, ServedModel
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.specification.tasks import ENDS
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


def correction(spec: ProjectSpec, split: splits.Split) -> float:
    """Return the correction that the holdout gives; 0 without intervals."""
    if spec.interval is None:
        return 0.0
    return intervals.correction(split.test[spec.label].to_numpy(np.float64), held_out(spec, split), spec.interval)


def measure(spec: ProjectSpec, split: splits.Split, rows: DataFrame) -> tuple[DataFrame, dict[str, float]]:
    """Return the answered test rows of a split with their intervals, and what is measured of these; nothing without.

    ``correction`` is that of all rows, ``width`` the mean with it. ``coverage`` is that of each half of the units
    (days, groups or rows) with the correction of the other half.
    """
    if spec.interval is None:
        return rows, {}
    label, answer = rows[spec.label].to_numpy(np.float64), rows[list(tasks.of(spec).outputs)].to_numpy(np.float64)
    found, half = held_out(spec, split).loc[rows.index].to_numpy(), splits.units(spec, rows) % 2 == 0
    inside = 0.0
    for measured in (half, ~half):
        if measured.any() and not measured.all():
            other = intervals.correction(label[~measured], found[~measured], spec.interval)
            ends = intervals.around(answer[measured], found[measured], other)
            inside += intervals.coverage(label[measured], ends) * measured.mean()
    moved = intervals.correction(label, found, spec.interval)
    ends = intervals.around(answer, found, moved)
    width = float((ends[:, 1] - ends[:, 0]).mean())
    metrics = {"width": width, "correction": moved} | (
        {"coverage": float(inside)} if half.any() and not half.all() else {}
    )
    return rows.assign(**dict(zip(ENDS, ends.T, strict=True))), metrics


@step("fit the intervals on all rows")
def write(spec: ProjectSpec, rows: DataFrame, folder: Path, sample: DataFrame, correction: float) -> ServedModel:
    """Fit both ends on every row, and write them beside a served model.

    Args:
        sample: rows on which served and trained form are compared, as in :func:`.export.export`.
        correction: what the holdout gives.

    Raises:
        StackError: the served ends are not within ``gate.max_served_difference`` of the trained ones.
    """
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
