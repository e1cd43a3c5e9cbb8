"""Metrics of ours for Evidently: missing cells in percent, age of the features, scores of the rows that have a label.

Evidently's own log-loss, AUC and regression metrics need every row labelled, and it has no Brier score and no
calibration bias. Custom metrics are part of its public API; its UI shows them without importing this module. The names
of the classes and their fields stand in stored snapshots and dashboards.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]
from evidently import Dataset
from evidently.core.container import MetricOrContainer
from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
from evidently.core.report import Context
from evidently.presets import DataDriftPreset
from pandas import DataFrame
from typing_extensions import override

from monitoring import _compat
from stack.training.evaluation import NAMES, labelled, reliability

Metric = TypeVar("Metric", bound=SingleValueMetric)


class DriftTable(DataDriftPreset):  # type: ignore[misc]
    """Evidently's table of drifting columns and their number, each column compared and drawn once."""

    @override
    def generate_metrics(self, context: Context) -> Sequence[MetricOrContainer]:
        count, *drifts = super().generate_metrics(context)
        scores = _compat.drift_table_scores(context, self, count)
        values = [_compat.ValueDrift(**drift.dict(exclude={"type"}), score=scores[drift.column]) for drift in drifts]
        return [count, *values]


def _shown(
    text: str,
    title: Callable[[Any], str],
    values: Callable[[Any, Sequence[DataFrame]], Sequence[float | None]],
    heading: str = "",
) -> Callable[[type[Metric]], type[Metric]]:
    """Let Evidently show a metric as a counter for each frame; the bias has a reliability plot, too.

    Args:
        text: format of the counters.
        title: gives the name of a metric in the UI.
        values: gives the values of a metric in the frames: current, then reference; None or absent where it has none.
        heading: of the counters, where it is not the title.
    """

    def decorate(metric_class: type[Metric]) -> type[Metric]:
        class Calculation(SingleValueCalculation[metric_class]):  # type: ignore[misc]
            @override
            def calculate(
                self, context: Context, current_data: Dataset, reference_data: Dataset | None
            ) -> SingleValue | tuple[SingleValue, SingleValue]:
                metric = self.metric
                frames = [data.as_dataframe() for data in (current_data, reference_data) if data is not None]
                measured = values(metric, frames)
                texts = ["-" if value is None else text.format(value) for value in measured]
                current, *reference = [self.result(value) for value in measured if value is not None]
                current.widget = [_compat.counters(heading or title(metric), texts)]
                if isinstance(metric, LabelledScore) and metric.score == "bias":
                    current.widget.append(_reliability(frames[0], metric.outputs, metric.label))
                return (current, *reference) if reference else current

            @override
            def display_name(self) -> str:
                return title(self.metric)

        return metric_class

    return decorate


@_shown("{:.4g}", lambda metric: metric.title, lambda metric, _: [metric.value])
class MonitoredValue(SingleValueMetric):  # type: ignore[misc]
    """A value of a monitored metric that Evidently does not compute."""

    name: str
    title: str
    value: float


@_shown(
    "{:.2f} %",
    lambda _: "Missing values in the features, %",
    lambda metric, frames: [100 * float(frame[metric.columns].isna().to_numpy().mean()) for frame in frames],
    heading="Missing values",
)
class MissingPercent(SingleValueMetric):  # type: ignore[misc]
    """Percentage of the cells of `columns` that hold no value; percent, as its plots round a share to nothing."""

    columns: list[str]


@_shown("{:.1f}", lambda _: "Age of the features, minutes (95 % are younger)", lambda metric, _: [metric.minutes])
class FeatureAge(SingleValueMetric):  # type: ignore[misc]
    """Minutes that the features of 95 % of the predictions were younger than; a reference has none."""

    minutes: float


@_shown(
    "{:.4f}",
    lambda metric: NAMES.get(metric.score, metric.score),
    lambda metric, frames: [metric.current, metric.reference],
)
class LabelledScore(SingleValueMetric):  # type: ignore[misc]
    """A score that a task has measured on the labelled rows of both frames."""

    score: str
    current: float
    reference: float | None = None
    outputs: list[str]
    label: str


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
