"""Metrics of ours for Evidently: missing cells in percent, age of the features, scores of the rows that have a label.

Evidently's own log-loss, AUC and regression metrics need every row labelled, and it has no Brier score and no
calibration bias. Custom metrics are part of its public API; its UI shows them without importing this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]
from evidently import Dataset, metrics
from evidently.core.container import MetricOrContainer
from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
from evidently.core.report import Context
from evidently.legacy.metrics import DataDriftTable
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.legacy.renderers.html_widgets import CounterData, WidgetSize, counter, plotly_figure
from evidently.presets import DataDriftPreset
from pandas import DataFrame

from stack.training.performance import NAMES, known, reliability


class ValueDrift(metrics.ValueDrift):  # type: ignore[misc]
    """A column's drift score, as the table of all columns has it.

    Evidently's own metric of this name, which its UI takes this one for, draws each column as the table does: for
    nobody, and for as long.
    """

    score: float


class ValueDriftCalculation(SingleValueCalculation[ValueDrift]):  # type: ignore[misc]
    """Passes the score on."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        """Return the score."""
        return self.result(self.metric.score)

    def display_name(self) -> str:
        """Name the metric in the UI."""
        return f"Value drift for {self.metric.column}"


class DriftTable(DataDriftPreset):  # type: ignore[misc]
    """Evidently's table of drifting columns, each compared and drawn once."""

    def generate_metrics(self, context: Context) -> Sequence[MetricOrContainer]:
        """Return the share of drifting columns and the score of each, from the table that is drawn."""
        count, *drifts = super().generate_metrics(context)
        wanted = DataDriftTable(
            columns=self.columns,
            num_stattest=self.num_method,
            cat_stattest=self.cat_method,
            stattest_threshold=self.threshold,
        )
        table, _ = context.get_legacy_metric(wanted, None, None)
        scores = {column: found.drift_score for column, found in table.drift_by_columns.items()}
        return [count, *(ValueDrift(**one.dict(exclude={"type"}), score=scores[one.column]) for one in drifts)]


class MissingPercent(SingleValueMetric):  # type: ignore[misc]
    """Percentage of the cells of `columns` that hold no value; percent, as its plots round a share to nothing."""

    columns: list[str]


class MissingPercentCalculation(SingleValueCalculation[MissingPercent]):  # type: ignore[misc]
    """Counts the missing cells of both frames."""

    def calculate(
        self, context: Context, current_data: Dataset, reference_data: Dataset | None
    ) -> SingleValue | tuple[SingleValue, SingleValue]:
        """Return current and reference percentage."""
        found = [
            100 * float(data.as_dataframe()[self.metric.columns].isna().to_numpy().mean())
            for data in (current_data, reference_data)
            if data is not None
        ]
        current = self.result(found[0])
        current.widget = [_counters("Missing values", [f"{percent:.2f} %" for percent in found])]
        return (current, self.result(found[1])) if len(found) > 1 else current

    def display_name(self) -> str:
        """Name the metric in the UI."""
        return "Missing values in the features, %"


class FeatureAge(SingleValueMetric):  # type: ignore[misc]
    """Minutes that the features of 95 % of the answers were younger than; measured before, as a reference has none."""

    minutes: float


class FeatureAgeCalculation(SingleValueCalculation[FeatureAge]):  # type: ignore[misc]
    """Shows the age."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        """Return the age in the current frame."""
        current = self.result(self.metric.minutes)
        current.widget = [_counters(self.display_name(), [f"{self.metric.minutes:.1f}"])]
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
    """Shows the score of both frames."""

    def calculate(
        self, context: Context, current_data: Dataset, reference_data: Dataset | None
    ) -> SingleValue | tuple[SingleValue, SingleValue]:
        """Return the current score, and the reference's where it has labels."""
        metric = self.metric
        current = self.result(metric.current)
        shown = ["-" if value is None else f"{value:.4f}" for value in (metric.current, metric.reference)]
        current.widget = [_counters(self.display_name(), shown)]
        if metric.score == "bias":
            current.widget.append(_reliability(current_data.as_dataframe(), metric.outputs, metric.label))
        if reference_data is not None and metric.reference is not None:
            return current, self.result(metric.reference)
        return current

    def display_name(self) -> str:
        """Name the score in the UI."""
        return str(NAMES.get(self.metric.score, self.metric.score))


def _reliability(frame: DataFrame, outputs: list[str], label: str) -> BaseWidgetInfo:
    """What was said against what was seen; of several classes, how sure and how often right."""
    rows = known(frame, outputs, label)
    answer: np.ndarray[Any, Any] = rows[outputs].to_numpy("float64")
    outcome = rows[label].to_numpy("float64")
    if len(outputs) > 1:
        answer, outcome = answer.max(axis=1), (answer.argmax(axis=1) == outcome).astype("float64")
    said, seen, count = zip(*reliability(answer.reshape(-1), outcome), strict=True)
    ends = [min(*said, *seen), max(*said, *seen)]
    figure = go.Figure()
    figure.add_scatter(x=ends, y=ends, name="as said", line={"dash": "dot", "color": "grey"})
    figure.add_scatter(x=said, y=seen, name="current", mode="lines+markers", customdata=count)
    named = ("probability of the class answered", "share of right answers")
    x, y = named if len(outputs) > 1 else (f"mean {outputs[0]}", f"mean of {label}")
    figure.update_layout(xaxis_title=x, yaxis_title=y)
    return plotly_figure(title="Reliability, in ten bins of equally many rows", figure=figure)


def _counters(title: str, shown: list[str]) -> BaseWidgetInfo:
    labels = ("current", "reference")
    counters = [CounterData(label, value) for label, value in zip(labels, shown, strict=False)]
    return counter(title=title, counters=counters, size=WidgetSize.FULL)
