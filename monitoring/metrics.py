"""The table of monitored metrics, and those of features and predictions.

To add one: a class here, in `METRICS`, and its limit in ``stack/specification/sections.py`` (class ``Monitoring``).
Report, summary, portal, dashboard and verdict follow.
"""

from __future__ import annotations

from evidently.core.container import MetricOrContainer
from evidently.metrics import MeanValue, RowCount, ValueDrift
from evidently.sdk.models import PanelMetric
from evidently.sdk.panels import bar_plot_panel, counter_panel, line_plot_panel

from monitoring import evidently_metrics, frames
from monitoring.comparison import CATEGORY_METHODS, WindowComparison
from monitoring.model_metrics import Bias, ChampionAge, Loss, Performance
from monitoring.monitored import MonitoredMetric, Panels
from monitoring.rules import History
from stack.kit.drift import Reason
from stack.specification import tasks
from stack.specification.specs import ProjectSpec


class FeatureDrift(MonitoredMetric):
    """Share of the feature columns that drift."""

    name, title = "drift", "Features drifting"

    def measure(self, window: WindowComparison) -> float | None:
        """Return the share of the compared columns; None where there are too few rows."""
        return len(window.drifted) / len(window.drift) if window.drift else None

    def evidently(self, window: WindowComparison) -> list[MetricOrContainer]:
        """Return the table of all columns."""
        columns = [column for column in window.spec.features.columns if window.comparable(column)]
        if not columns or not window.enough:
            return []
        table = evidently_metrics.DriftTable(
            columns=columns,
            drift_share=window.policy.max_drift_share,
            num_method=window.policy.method,
            cat_method=CATEGORY_METHODS[window.policy.method],
            threshold=window.policy.threshold,
        )
        return [table]

    def panels(self, spec: ProjectSpec) -> Panels:
        """Return the share, last and over time."""
        policy = spec.monitoring
        share = PanelMetric(legend="share", metric="DriftedColumnsCount", metric_labels={"value_type": "share"})
        title = f"Share of drifted features by {policy.method}, notice from {policy.max_drift_share}"
        return [
            counter_panel("Share of drifted features, last window", [share], size="half"),
            line_plot_panel(title, [share], size="half"),
        ]

    def feature_panels(self, spec: ProjectSpec) -> Panels:
        """Return the score of each column over time."""
        columns = [_drift_of(column) for column in spec.features.columns]
        return [line_plot_panel(f"Drift of each feature ({spec.monitoring.method})", columns)]

    def rule(self, history: History) -> Reason:
        """Give notice from ``max_drift_share`` on."""
        share, limit = history.last.drift_share, history.policy.max_drift_share
        if (few := history.too_few(self.name)) or share is None:
            return few or Reason(self.name, None, limit, "none", "drift: no feature column could be compared")
        action, windows = history.alarm(
            lambda window: window.drift_share is not None and window.drift_share >= limit, "notice"
        )
        text = f"drift: {share:.0%} of the feature columns, notice from {limit:.0%}{windows}"
        return Reason(self.name, share, limit, action, text)


class PredictionDrift(MonitoredMetric):
    """Drift score of the output that drifts most."""

    name = "predictions"

    def measure(self, window: WindowComparison) -> float | None:
        """Return the score; None without predictions or with too few rows."""
        return window.prediction_drift

    def evidently(self, window: WindowComparison) -> list[MetricOrContainer]:
        """Return the drift of each output."""
        policy, outputs = window.policy, [output for output in window.outputs if window.comparable(output)]
        drifts = [ValueDrift(column=output, method=policy.method, threshold=policy.threshold) for output in outputs]
        return drifts if window.enough else []

    def panels(self, spec: ProjectSpec) -> Panels:
        """Return the score of each output over time."""
        outputs = [_drift_of(output) for output in tasks.of(spec).outputs]
        return [line_plot_panel("Drift of the predictions", outputs, size="half")]

    def rule(self, history: History) -> Reason:
        """Give notice when the predictions drift."""
        drifts, threshold = history.last.prediction_drift, history.policy.threshold
        if few := history.too_few(self.name):
            return few
        if drifts is None:
            return Reason(self.name, None, threshold, "none", "predictions: none in the window")
        action, windows = history.alarm(lambda window: bool(window.prediction_drift), "notice")
        text = f"predictions: {'drift' if drifts else 'no drift'} by {history.policy.method}{windows}"
        return Reason(self.name, float(drifts), threshold, action, text)


class Rows(MonitoredMetric):
    """Number of rows."""

    name = "rows"

    def measure(self, window: WindowComparison) -> float:
        """Return the number of rows in the window."""
        return len(window.current)

    def evidently(self, window: WindowComparison) -> list[MetricOrContainer]:
        """Return Evidently's own count."""
        return [RowCount()]

    def panels(self, spec: ProjectSpec) -> Panels:
        """Return the number, last and over time."""
        rows = PanelMetric(legend="rows", metric="RowCount")
        return [counter_panel("Rows in the last window", [rows], size="half"), bar_plot_panel("Rows", [rows])]


class MissingValues(MonitoredMetric):
    """Share of the feature cells without a value; the rule names columns that lost theirs."""

    name, title = "missing", "Missing"

    def measure(self, window: WindowComparison) -> float | None:
        """Return the share; None without rows."""
        return frames.missing_share(window.spec, window.current)

    def evidently(self, window: WindowComparison) -> list[MetricOrContainer]:
        """Return the percentage in both frames."""
        return [evidently_metrics.MissingPercent(columns=list(window.spec.features.columns))]

    def panels(self, spec: ProjectSpec) -> Panels:
        """Return the percentage over time."""
        missing = PanelMetric(legend="missing", metric="MissingPercent")
        return [line_plot_panel("Missing values, %", [missing], size="half")]

    def rule(self, history: History) -> Reason:
        """Give notice of columns that miss more values than the reference, by ``max_missing_rise``."""
        lost, limit = history.last.lost, history.policy.max_missing_rise
        if not lost:
            return Reason(self.name, 0, limit, "none", "missing: no column lost its values")
        text = f"missing: {', '.join(lost)} lost values; serving continues without them"
        return Reason(self.name, len(lost), limit, "notice", text)


class FeatureAge(MonitoredMetric):
    """Minutes that the features of 95 % of the predictions were younger than."""

    name, heading = "feature_age", "Age of the features, minutes (95 % are younger)"

    def measure(self, window: WindowComparison) -> float | None:
        """Return the minutes; None where no feature has an age."""
        return frames.oldest_features(window.current)

    def evidently(self, window: WindowComparison) -> list[MetricOrContainer]:
        """Return the age, where there is one."""
        minutes = self.measure(window)
        return [] if minutes is None else [evidently_metrics.FeatureAge(minutes=minutes)]

    def panels(self, spec: ProjectSpec) -> Panels:
        """Return the age over time."""
        age = PanelMetric(legend="minutes", metric="FeatureAge")
        return [line_plot_panel(self.heading, [age], size="half")]


class MeanPrediction(MonitoredMetric):
    """Mean of each output."""

    name = "mean_prediction"

    def evidently(self, window: WindowComparison) -> list[MetricOrContainer]:
        """Return the mean of each output in both frames."""
        return [MeanValue(column=output) for output in window.outputs if window.comparable(output)]

    def panels(self, spec: ProjectSpec) -> Panels:
        """Return the means over time."""
        means = [
            PanelMetric(legend=output, metric="MeanValue", metric_labels={"column": output})
            for output in tasks.of(spec).outputs
        ]
        return [line_plot_panel("Mean prediction", means, size="half")]


METRICS: tuple[MonitoredMetric, ...] = (
    FeatureDrift(),
    PredictionDrift(),
    Rows(),
    MissingValues(),
    FeatureAge(),
    MeanPrediction(),
    Performance(),
    Bias(),
    Loss(),
    ChampionAge(),
)
"""In the order of reports and verdicts."""


def _drift_of(column: str) -> PanelMetric:
    return PanelMetric(legend=column, metric="ValueDrift", metric_labels={"column": column})
