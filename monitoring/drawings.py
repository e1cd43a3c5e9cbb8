"""How Evidently draws the monitored metrics, in a report and in its dashboard.

Importing Evidently takes seconds: a window without rows is measured and judged without this module.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evidently.core.container import MetricOrContainer
from evidently.metrics import MeanValue, RowCount, ValueDrift
from evidently.sdk.models import DashboardPanelPlot, PanelMetric
from evidently.sdk.panels import bar_plot_panel, counter_panel, line_plot_panel

from monitoring.comparison import CATEGORY_METHODS, WindowComparison
from monitoring.evidently_metrics import DriftTable, FeatureAge, LabelledScore, MissingPercent, MonitoredValue
from monitoring.metrics import MonitoredMetric, feature_age
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training.evaluation import NAMES, measure, scores

COVERAGE = "Outcomes inside their intervals"
Draw = Callable[[WindowComparison], Sequence[MetricOrContainer]]
Panels = Callable[[ProjectSpec], Sequence[DashboardPanelPlot]]


@dataclass(frozen=True)
class Drawing:
    """What Evidently computes or draws of a metric."""

    report: Draw
    """Returns its part of a report."""
    panels: Panels
    """Returns its panels in the dashboard."""
    feature_panels: Panels = lambda _: []
    """Returns its panels in the dashboard's tab of single features."""


def report_metrics(metric: MonitoredMetric, window: WindowComparison) -> Sequence[MetricOrContainer]:
    """Return what Evidently computes or draws of a metric in the report: of one without a drawing, its value."""
    if drawing := DRAWINGS.get(metric.name):
        return drawing.report(window)
    value = metric.measure(window) if metric.title else None
    return [] if value is None else [MonitoredValue(name=metric.name, title=metric.title, value=value)]


def dashboard_panels(metric: MonitoredMetric, spec: ProjectSpec) -> Sequence[DashboardPanelPlot]:
    """Return the panels of a metric in Evidently's dashboard: of one without a drawing, its value over time."""
    if drawing := DRAWINGS.get(metric.name):
        return drawing.panels(spec)
    return [_line(metric.title, _panel_metric("MonitoredValue", name=metric.name))] if metric.title else []


def feature_panels(metric: MonitoredMetric, spec: ProjectSpec) -> Sequence[DashboardPanelPlot]:
    """Return the panels of a metric in the dashboard's tab of single features."""
    drawing = DRAWINGS.get(metric.name)
    return drawing.feature_panels(spec) if drawing else []


def _panel_metric(metric: str, **labels: str) -> PanelMetric:
    """Return a value of Evidently's in a panel, with its label as the legend."""
    return PanelMetric(legend=next(iter(labels.values())), metric=metric, metric_labels=labels)


def _line(title: str, *values: PanelMetric) -> DashboardPanelPlot:
    return line_plot_panel(title, list(values), size="half")


def drift_table(window: WindowComparison) -> list[MetricOrContainer]:
    """Return the table that compares the feature columns; none where too few rows decide nothing."""
    columns = [column for column in window.spec.features.columns if window.comparable(column)]
    if not columns or not window.enough:
        return []
    table = DriftTable(
        columns=columns,
        drift_share=window.policy.max_drift_share,
        num_method=window.method,
        cat_method=CATEGORY_METHODS[window.method],
        threshold=window.threshold,
    )
    return [table]


def _drift_panels(spec: ProjectSpec) -> list[DashboardPanelPlot]:
    policy = spec.monitoring
    share = PanelMetric(legend="share", metric="DriftedColumnsCount", metric_labels={"value_type": "share"})
    title = f"Share of drifted features by {policy.method}, notice from {policy.max_drift_share}"
    return [counter_panel("Share of drifted features, last window", [share], size="half"), _line(title, share)]


def _drift_of_each(spec: ProjectSpec) -> list[DashboardPanelPlot]:
    columns = [_panel_metric("ValueDrift", column=column) for column in spec.features.columns]
    return [line_plot_panel(f"Drift of each feature ({spec.monitoring.method})", columns)]


def _prediction_drift(window: WindowComparison) -> list[MetricOrContainer]:
    method, threshold = window.method, window.threshold
    outputs = [output for output in window.outputs if window.comparable(output)] if window.enough else []
    return [ValueDrift(column=output, method=method, threshold=threshold) for output in outputs]


def _outputs_panel(title: str, metric: str) -> Panels:
    """Return one value of each output over time."""
    return lambda spec: [_line(title, *(_panel_metric(metric, column=output) for output in tasks.of(spec).outputs))]


def _rows_panels(spec: ProjectSpec) -> list[DashboardPanelPlot]:
    rows = PanelMetric(legend="rows", metric="RowCount")
    return [counter_panel("Rows in the last window", [rows], size="half"), bar_plot_panel("Rows", [rows])]


def _age_counter(window: WindowComparison) -> list[MetricOrContainer]:
    minutes = feature_age(window)
    return [] if minutes is None else [FeatureAge(minutes=minutes)]


def _labelled_scores(window: WindowComparison) -> list[MetricOrContainer]:
    spec, outputs = window.spec, list(window.outputs)
    current, reference = window.performance or {}, measure(spec, window.reference) or {}
    return [
        LabelledScore(score=score, current=value, reference=reference.get(score), outputs=outputs, label=spec.label)
        for score in scores(spec)
        if (value := current.get(score)) is not None
    ]


def _coverage(window: WindowComparison) -> list[MetricOrContainer]:
    share = window.coverage
    return [] if share is None else [MonitoredValue(name="coverage", title=COVERAGE, value=share)]


DRAWINGS: Mapping[str, Drawing] = {
    "drift": Drawing(drift_table, _drift_panels, _drift_of_each),
    "predictions": Drawing(_prediction_drift, _outputs_panel("Drift of the predictions", "ValueDrift")),
    "rows": Drawing(lambda _: [RowCount()], _rows_panels),
    "missing": Drawing(
        lambda window: [MissingPercent(columns=list(window.spec.features.columns))],
        lambda _: [_line("Missing values, %", PanelMetric(legend="missing", metric="MissingPercent"))],
    ),
    "feature_age": Drawing(
        _age_counter,
        lambda _: [
            _line("Age of the features, minutes (95 % are younger)", PanelMetric(legend="minutes", metric="FeatureAge"))
        ],
    ),
    "mean_prediction": Drawing(
        lambda window: [MeanValue(column=output) for output in window.outputs if window.comparable(output)],
        _outputs_panel("Mean prediction", "MeanValue"),
    ),
    "performance": Drawing(
        _labelled_scores,
        lambda spec: [
            _line(NAMES.get(score, score), _panel_metric("LabelledScore", score=score)) for score in scores(spec)
        ],
    ),
    "coverage": Drawing(
        _coverage,
        lambda spec: [_line(COVERAGE, _panel_metric("MonitoredValue", name="coverage"))] * bool(spec.interval),
    ),
}
"""By the name of the metric."""
