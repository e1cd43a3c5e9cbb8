"""What a monitored metric is: how it is measured, drawn and judged."""

from __future__ import annotations

from typing import ClassVar

from evidently.core.container import MetricOrContainer
from evidently.sdk.models import DashboardPanelPlot, PanelMetric
from evidently.sdk.panels import line_plot_panel

from monitoring.comparison import WindowComparison
from monitoring.evidently_metrics import MonitoredValue
from monitoring.rules import History
from stack.kit.drift import Reason
from stack.specification.specs import ProjectSpec

Panels = list[DashboardPanelPlot]


class MonitoredMetric:
    """A number measured in each window. What a metric leaves as it is here, it does not have."""

    name: ClassVar[str]
    """Key of its value in summaries and in ``Window.measured``; name of its rule in the verdict."""
    title: ClassVar[str] = ""
    """Heading in the portal and in Evidently; without one, the value is not shown there."""
    text: ClassVar[str] = "{:.1%}"
    """Format of the value in the portal."""

    def measure(self, window: WindowComparison) -> float | None:
        """Return its value in the window, if it is defined there."""
        return None

    def evidently(self, window: WindowComparison) -> list[MetricOrContainer]:
        """Return what Evidently computes or draws in the report: the measured value, where it has a title."""
        value = self.measure(window) if self.title else None
        return [] if value is None else [MonitoredValue(name=self.name, title=self.title, value=value)]

    def panels(self, spec: ProjectSpec) -> Panels:
        """Return its panels in Evidently's dashboard: the measured value over time, where it has a title."""
        panel = PanelMetric(legend=self.name, metric="MonitoredValue", metric_labels={"name": self.name})
        return [line_plot_panel(self.title, [panel], size="half")] if self.title else []

    def feature_panels(self, spec: ProjectSpec) -> Panels:
        """Return its panels in the dashboard's tab of single features."""
        return []

    def rule(self, history: History) -> Reason | None:
        """Judge the last window; None where it has no rule, or the project no limit for it."""
        return None

    def figure(self, value: float | None) -> str:
        """Format a value for the portal."""
        return "-" if value is None else self.text.format(value)
