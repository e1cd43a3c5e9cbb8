"""Partial dependence: the mean prediction when a feature of all rows has one value (Friedman 2001)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame
from sklearn.pipeline import Pipeline

from stack.specification import frames, tasks
from stack.specification.specs import ProjectSpec

COLUMNS, VALUES, ROWS = 9, 12, 200
"""Features that are shown, values of each, and rows that are predicted with each value."""
ACROSS = 3


def write(
    pipeline: Pipeline, spec: ProjectSpec, features: DataFrame, importances: DataFrame, folder: Path
) -> dict[str, Any]:
    """Write ``dependence.json`` and ``plots/dependence.png`` of the most important features but texts.

    Of texts alone there is no plot.

    Returns:
        Feature -> its ``values``, and for each output of the task the mean predictions at these.
    """
    shown = importances["column"][~importances["column"].isin(spec.column_types("text"))]
    curves = partial_dependence(pipeline, spec, features, shown.head(COLUMNS).tolist()) if len(shown) else {}
    (folder / "dependence.json").write_text(json.dumps(curves, indent=2) + "\n")
    if not curves:
        return curves
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    _draw(curves, folder / "plots" / "dependence.png")
    return curves


def partial_dependence(
    pipeline: Pipeline, spec: ProjectSpec, features: DataFrame, columns: Sequence[str]
) -> dict[str, Any]:
    """Return the mean predictions by value of each column: quantiles of a number, a category's most frequent values."""
    task, sample = tasks.of(spec), features.sample(min(ROWS, len(features)), random_state=spec.training.seed)
    grids = {column: _grid(features[column]) for column in columns}
    copies = [frames.with_columns(sample, {column: value}) for column, grid in grids.items() for value in grid]
    # All copies are predicted at once, as for a few rows a pipeline's overhead is most of the time.
    answers = iter(np.split(task.predict(pipeline, pd.concat(copies)), len(copies)))
    curves = {}
    for column, grid in grids.items():
        means = np.array([next(answers).mean(axis=0) for _ in grid])
        curves[column] = {"values": [None if pd.isna(value) else value for value in grid.tolist()]} | dict(
            zip(task.outputs, means.T.tolist(), strict=True)
        )
    return curves


def _grid(values: Any) -> np.ndarray:
    """Return values of a column in its dtype, at least one."""
    if values.dtype == np.float32:
        finite = values[np.isfinite(values)]
        grid = finite.quantile(np.linspace(0.02, 0.98, VALUES)) if len(finite) else values.head(1)
        return np.unique(grid.to_numpy(np.float32))
    return np.asarray(values.value_counts().head(VALUES).index, dtype=object)


def _draw(curves: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    down = -(-len(curves) // ACROSS)
    figure = Figure(figsize=(4 * ACROSS, 2.6 * down), layout="constrained")
    panels = figure.subplots(down, ACROSS, squeeze=False, sharey=True).flat
    for axes, (column, curve) in zip(panels, curves.items(), strict=False):
        values = curve["values"]
        is_number = not isinstance(values[0], str)
        for output in [name for name in curve if name != "values"]:
            axes.plot(values if is_number else range(len(values)), curve[output], "o-", markersize=3, label=output)
        if not is_number:
            axes.set_xticks(range(len(values)), values, rotation=60)
        axes.set_xlabel(column)
    for axes in list(figure.axes)[len(curves) :]:
        axes.remove()
    figure.axes[0].legend(fontsize="small")
    figure.savefig(path, dpi=80)
