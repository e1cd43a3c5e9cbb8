"""Metrics of ours for Evidently: missing cells in percent, age of the features, scores of the rows that have a label.

Evidently's own log-loss, AUC and regression metrics need every row labelled, and it has no Brier score and no
calibration bias. Custom metrics are part of its public API; its UI shows them without importing this module. The names
of the classes stand in stored snapshots and dashboards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]
from evidently import Dataset
from evidently.core.container import MetricOrContainer
from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
from evidently.core.report import Context
from evidently.presets import DataDriftPreset
from pandas import DataFrame

from monitoring import _compat
from stack.training.performance import NAMES, labelled, reliability


class DriftTable(DataDriftPreset):  # type: ignore[misc]
    """Evidently's table of drifting columns, each compared and drawn once."""

    def generate_metrics(self, context: Context) -> Sequence[MetricOrContainer]:
        """Return the share of drifting columns and the score of each, from the table that is drawn."""
        count, *drifts = super().generate_metrics(context)
        scores = _compat.drift_table_scores(context, self)
        values = [_compat.ValueDrift(**drift.dict(exclude={"type"}), score=scores[drift.column]) for drift in drifts]
        return [count, *values]


class MonitoredValue(SingleValueMetric):  # type: ignore[misc]
    """A value of a monitored metric that Evidently does not compute."""

    name: str
    title: str
    value: float


class MonitoredValueCalculation(SingleValueCalculation[MonitoredValue]):  # type: ignore[misc]
    """Show the value."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        """Return the value of the current frame."""
        current = self.result(self.metric.value)
        current.widget = [_compat.counters(self.metric.title, [f"{self.metric.value:.4g}"])]
        return current

    def display_name(self) -> str:
        """Name the metric in the UI."""
        return str(self.metric.title)


class MissingPercent(SingleValueMetric):  # type: ignore[misc]
    """Percentage of the cells of `columns` that hold no value; percent, as its plots round a share to nothing."""

    columns: list[str]


class MissingPercentCalculation(SingleValueCalculation[MissingPercent]):  # type: ignore[misc]
    """Count the missing cells of both frames."""

    def calculate(
        self, context: Context, current_data: Dataset, reference_data: Dataset | None
    ) -> SingleValue | tuple[SingleValue, SingleValue]:
        """Return current and reference percentage."""
        percents = [
            100 * float(data.as_dataframe()[self.metric.columns].isna().to_numpy().mean())
            for data in (current_data, reference_data)
            if data is not None
        ]
        current = self.result(percents[0])
        current.widget = [_compat.counters("Missing values", [f"{percent:.2f} %" for percent in percents])]
        return (current, self.result(percents[1])) if len(percents) > 1 else current

    def display_name(self) -> str:
        """Name the metric in the UI."""
        return "Missing values in the features, %"


class FeatureAge(SingleValueMetric):  # type: ignore[misc]
    """Minutes that the features of 95 % of the predictions were younger than; given, as a reference has none."""

    minutes: float


class FeatureAgeCalculation(SingleValueCalculation[FeatureAge]):  # type: ignore[misc]
    """Show the age."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        """Return the age in the current frame."""
        current = self.result(self.metric.minutes)
        current.widget = [_compat.counters(self.display_name(), [f"{self.metric.minutes:.1f}"])]
        return current

    def display_name(self) -> str:
        """Name the metric in the UI."""
        return "Age of the features, minutes (95 % are younger)"


class LabelledScore(SingleValueMetric):  # type: ignore[misc]
    """A score that was measured on the labelled rows; the bias comes with a reliability plot.

    The values are given, as a task measures them and Evidently would not; only the plot looks at the rows.
    """

    score: str
    current: float
    reference: float | None = None
    outputs: list[str]
    label: str


class LabelledScoreCalculation(SingleValueCalculation[LabelledScore]):  # type: ignore[misc]
    """Show the score of both frames."""

    def calculate(
        self, context: Context, current_data: Dataset, reference_data: Dataset | None
    ) -> SingleValue | tuple[SingleValue, SingleValue]:
        """Return the current score, and the reference's where it has labels."""
        metric = self.metric
        current = self.result(metric.current)
        shown = ["-" if value is None else f"{value:.4f}" for value in (metric.current, metric.reference)]
        current.widget = [_compat.counters(self.display_name(), shown)]
        if metric.score == "bias":
            current.widget.append(_reliability(current_data.as_dataframe(), metric.outputs, metric.label))
        if reference_data is not None and metric.reference is not None:
            return current, self.result(metric.reference)
        return current

    def display_name(self) -> str:
        """Name the score in the UI."""
        return str(NAMES.get(self.metric.score, self.metric.score))


def _reliability(frame: DataFrame, outputs: list[str], label: str) -> Any:
    """Plot predictions against outcomes; of several classes, the probability of the predicted one."""
    rows = labelled(frame, outputs, label)
    prediction: np.ndarray[Any, Any] = rows[outputs].to_numpy("float64")
    outcome = rows[label].to_numpy("float64")
    if len(outputs) > 1:
        prediction, outcome = prediction.max(axis=1), (prediction.argmax(axis=1) == outcome).astype("float64")
    predicted, observed, count = zip(*reliability(prediction.reshape(-1), outcome), strict=True)
    ends = [min(*predicted, *observed), max(*predicted, *observed)]
    figure = go.Figure()
    figure.add_scatter(x=ends, y=ends, name="perfectly calibrated", line={"dash": "dot", "color": "grey"})
    figure.add_scatter(x=predicted, y=observed, name="current", mode="lines+markers", customdata=count)
    titles = ("probability of the predicted class", "share of right predictions")
    x, y = titles if len(outputs) > 1 else (f"mean {outputs[0]}", f"mean of {label}")
    figure.update_layout(xaxis_title=x, yaxis_title=y)
    return _compat.figure("Reliability, in ten bins of equally many rows", figure)
