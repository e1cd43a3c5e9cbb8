"""The table of monitored metrics: how each is measured, drawn by Evidently, and judged.

To add one: a row of `METRICS`, its rule in ``monitoring/rules.py``, and the limit in
``stack/specification/sections.py`` (class ``Monitoring``). Report, summary, portal, dashboard and verdict follow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evidently.core.container import MetricOrContainer
from evidently.metrics import MeanValue, RowCount, ValueDrift
from evidently.sdk.models import DashboardPanelPlot, PanelMetric
from evidently.sdk.panels import bar_plot_panel, counter_panel, line_plot_panel

from monitoring import rules
from monitoring.comparison import CATEGORY_METHODS, WindowComparison
from monitoring.evidently_metrics import DriftTable, FeatureAge, LabelledScore, MissingPercent, MonitoredValue
from monitoring.frames import AGE
from stack.serving.observed import FIRST
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training.evaluation import NAMES, measure, scores

COVERAGE = "Outcomes inside their intervals"
Measure = Callable[[WindowComparison], float | None]
Draw = Callable[[WindowComparison], Sequence[MetricOrContainer]]
Panels = Callable[[ProjectSpec], Sequence[DashboardPanelPlot]]


@dataclass(frozen=True)
class MonitoredMetric:
    """A number measured in each window."""

    name: str
    """Key of its value in summaries and in ``Window.measured``; name of its rule in the verdict."""
    title: str = ""
    """Heading in the portal and in Evidently; without one, the value is not shown there."""
    form: str = ".1%"
    """How the portal writes it."""
    measure: Measure = lambda _: None
    """Returns its value in a window, if it is defined there."""
    rule: rules.Rule = lambda _: None
    draw: Draw | None = None
    """Returns what Evidently computes or draws in a report; when omitted, the measured value, where it has a title."""
    panels: Panels | None = None
    """Returns its panels in Evidently's dashboard; when omitted, the measured value over time, where it has a title."""
    feature_panels: Panels = lambda _: []
    """Returns its panels in the dashboard's tab of single features."""


def report_metrics(metric: MonitoredMetric, window: WindowComparison) -> Sequence[MetricOrContainer]:
    """Return what Evidently computes or draws of a metric in the report."""
    if metric.draw:
        return metric.draw(window)
    value = metric.measure(window) if metric.title else None
    return [] if value is None else [MonitoredValue(name=metric.name, title=metric.title, value=value)]


def dashboard_panels(metric: MonitoredMetric, spec: ProjectSpec) -> Sequence[DashboardPanelPlot]:
    """Return the panels of a metric in Evidently's dashboard."""
    if metric.panels:
        return metric.panels(spec)
    return [_line(metric.title, _panel_metric("MonitoredValue", name=metric.name))] if metric.title else []


def _panel_metric(metric: str, **labels: str) -> PanelMetric:
    """Return a value of Evidently's in a panel, with its label as the legend."""
    return PanelMetric(legend=next(iter(labels.values())), metric=metric, metric_labels=labels)


def _line(title: str, *values: PanelMetric) -> DashboardPanelPlot:
    return line_plot_panel(title, list(values), size="half")


def _drift_share(window: WindowComparison) -> float | None:
    return len(window.drifted) / len(window.drift) if window.drift else None


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


def _missing_share(window: WindowComparison) -> float | None:
    cells = window.current[list(window.spec.features.columns)]
    return float(cells.isna().to_numpy().mean()) if len(cells) else None


def _feature_age(window: WindowComparison) -> float | None:
    ages = window.current.get(AGE)
    return float(ages.quantile(0.95)) if ages is not None and ages.notna().any() else None


def _age_counter(window: WindowComparison) -> list[MetricOrContainer]:
    minutes = _feature_age(window)
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


METRICS: tuple[MonitoredMetric, ...] = (
    MonitoredMetric(
        "drift",
        "Features drifting",
        measure=_drift_share,
        rule=rules.drift,
        draw=drift_table,
        panels=_drift_panels,
        feature_panels=_drift_of_each,
    ),
    MonitoredMetric(
        "predictions",
        measure=lambda window: window.prediction_drift,
        rule=rules.predictions,
        draw=_prediction_drift,
        panels=_outputs_panel("Drift of the predictions", "ValueDrift"),
    ),
    MonitoredMetric(
        "rows", measure=lambda window: len(window.current), draw=lambda _: [RowCount()], panels=_rows_panels
    ),
    MonitoredMetric(
        "missing",
        "Missing",
        measure=_missing_share,
        rule=rules.missing,
        draw=lambda window: [MissingPercent(columns=list(window.spec.features.columns))],
        panels=lambda _: [_line("Missing values, %", PanelMetric(legend="missing", metric="MissingPercent"))],
    ),
    MonitoredMetric(
        "feature_age",
        measure=_feature_age,
        draw=_age_counter,
        panels=lambda _: [
            _line("Age of the features, minutes (95 % are younger)", PanelMetric(legend="minutes", metric="FeatureAge"))
        ],
    ),
    MonitoredMetric(
        "mean_prediction",
        draw=lambda window: [MeanValue(column=output) for output in window.outputs if window.comparable(output)],
        panels=_outputs_panel("Mean prediction", "MeanValue"),
    ),
    MonitoredMetric(
        "performance",
        measure=lambda window: window.judged,
        rule=rules.performance,
        draw=_labelled_scores,
        panels=lambda spec: [
            _line(NAMES.get(score, score), _panel_metric("LabelledScore", score=score)) for score in scores(spec)
        ],
    ),
    MonitoredMetric(
        "estimated_loss",
        "Estimated loss",
        form=".4f",
        measure=lambda window: window.estimate.loss if window.estimate else None,
        rule=rules.estimated_loss,
    ),
    MonitoredMetric("estimate_error", measure=lambda window: window.estimate.error if window.estimate else None),
    MonitoredMetric(
        "coverage",
        measure=lambda window: window.coverage,
        rule=rules.coverage,
        draw=_coverage,
        panels=lambda spec: [_line(COVERAGE, _panel_metric("MonitoredValue", name="coverage"))] * bool(spec.interval),
    ),
    MonitoredMetric("interval", measure=lambda window: window.spec.interval),
    MonitoredMetric("set_size", measure=lambda window: window.set_size),
    MonitoredMetric("trained_on", measure=lambda window: window.current.attrs.get("trained_on")),
    MonitoredMetric("reference", measure=lambda window: window.reference.attrs.get(FIRST), rule=rules.reference),
    MonitoredMetric("unreadable", measure=lambda window: window.current.attrs.get("unreadable"), rule=rules.unreadable),
    MonitoredMetric("bias", measure=lambda window: window.outcomes.bias, rule=rules.bias),
    MonitoredMetric("loss", measure=lambda window: window.outcomes.loss, rule=rules.loss),
    MonitoredMetric("age", rule=rules.age),
)
"""In the order of reports and verdicts."""
