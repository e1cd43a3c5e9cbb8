"""Two metrics of ours for Evidently: the missing cells in percent, and scores of the rows that have a label.

Evidently's own log-loss and AUC need every row labelled, and it has no Brier score and no calibration bias.
Custom metrics are part of its public API; its UI shows them without importing this module.
"""

from __future__ import annotations

from typing import Literal

import plotly.graph_objects as go  # type: ignore[import-untyped]
from evidently import Dataset
from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
from evidently.core.report import Context
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.legacy.renderers.html_widgets import CounterData, WidgetSize, counter, plotly_figure

from monitoring.performance import measure, reliability

Score = Literal["log_loss", "brier", "auc", "bias"]
NAMES: dict[Score, str] = {
    "log_loss": "Log-loss",
    "brier": "Brier score",
    "auc": "AUC",
    "bias": "Calibration bias (mean probability − observed rate)",
}


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


class LabelledScore(SingleValueMetric):  # type: ignore[misc]
    """A score of `probability` against `label` on the rows that have both; 0 labelled rows are an error."""

    score: Score
    probability: str
    label: str


class LabelledScoreCalculation(SingleValueCalculation[LabelledScore]):  # type: ignore[misc]
    """Scores both frames; the bias comes with a reliability plot."""

    def calculate(
        self, context: Context, current_data: Dataset, reference_data: Dataset | None
    ) -> SingleValue | tuple[SingleValue, SingleValue]:
        """Return the current score, and the reference's where it has labels."""
        found = [self._score(data) for data in (current_data, reference_data) if data is not None]
        if found[0] is None:
            raise ValueError("no labelled row in the current frame")
        current = self.result(found[0])
        shown = ["-" if value is None else f"{value:.4f}" for value in found]
        current.widget = [_counters(self.display_name(), shown)]
        if self.metric.score == "bias":
            current.widget.append(self._plot(current_data))
        if len(found) > 1 and found[1] is not None:
            return current, self.result(found[1])
        return current

    def display_name(self) -> str:
        """Name the score in the UI."""
        return NAMES[self.metric.score]

    def _score(self, data: Dataset) -> float | None:
        frame = data.as_dataframe()
        if not {self.metric.probability, self.metric.label} <= set(frame):
            return None
        performance = measure(frame[self.metric.probability], frame[self.metric.label])
        return getattr(performance, self.metric.score) if performance else None

    def _plot(self, data: Dataset) -> BaseWidgetInfo:
        frame = data.as_dataframe()
        said, seen, rows = zip(*reliability(frame[self.metric.probability], frame[self.metric.label]), strict=True)
        figure = go.Figure()
        figure.add_scatter(x=[0, 1], y=[0, 1], name="as said", line={"dash": "dot", "color": "grey"})
        figure.add_scatter(x=said, y=seen, name="current", mode="lines+markers", customdata=rows)
        figure.update_layout(xaxis_title="mean probability", yaxis_title=f"observed rate of {self.metric.label}")
        return plotly_figure(title="Reliability, in ten bins of equally many rows", figure=figure)


def _counters(title: str, shown: list[str]) -> BaseWidgetInfo:
    labels = ("current", "reference")
    counters = [CounterData(label, value) for label, value in zip(labels, shown, strict=False)]
    return counter(title=title, counters=counters, size=WidgetSize.FULL)
