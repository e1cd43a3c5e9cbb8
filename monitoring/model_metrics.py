"""The monitored metrics of the model: its scores on labelled rows, bias and loss since its cut-off, and its age."""

from __future__ import annotations

from evidently.core.container import MetricOrContainer
from evidently.sdk.models import PanelMetric
from evidently.sdk.panels import line_plot_panel

from monitoring.comparison import WindowComparison
from monitoring.evidently_metrics import LabelledScore
from monitoring.monitored import MonitoredMetric, Panels
from monitoring.rules import DAY, History
from stack.kit.drift import Reason, Window
from stack.specification.specs import Monitoring, ProjectSpec
from stack.training.performance import NAMES, measure, scores


class Performance(MonitoredMetric):
    """Scores of the rows whose label is known."""

    name = "performance"

    def evidently(self, window: WindowComparison) -> list[MetricOrContainer]:
        """Return each score that is defined in the window."""
        spec = window.spec
        current, reference = measure(spec, window.current) or {}, measure(spec, window.reference) or {}
        return [
            LabelledScore(
                score=score,
                current=current[score],
                reference=reference.get(score),
                outputs=list(window.outputs),
                label=spec.label,
            )
            for score in scores(spec)
            if current.get(score) is not None
        ]

    def panels(self, spec: ProjectSpec) -> Panels:
        """Return each score over time."""
        return [
            line_plot_panel(
                NAMES.get(score, score),
                [PanelMetric(legend=score, metric="LabelledScore", metric_labels={"score": score})],
                size="half",
            )
            for score in scores(spec)
        ]


class LabelledMetric(MonitoredMetric):
    """A metric of the labelled rows since the champion's cut-off; above its limit, the model is trained again."""

    def limit(self, policy: Monitoring) -> float | None:
        """Return the limit; None where the project has none."""
        raise NotImplementedError

    def value(self, window: Window) -> float | None:
        """Return what was measured in a window."""
        raise NotImplementedError

    def rule(self, history: History) -> Reason | None:
        """Retrain when enough labelled rows are beyond the limit."""
        policy, limit = history.policy, self.limit(history.policy)
        if limit is None or history.cutoff is None:
            return None
        history = history.since_cutoff()
        value, labelled = self.value(history.last), history.last.labelled
        if value is None or labelled < policy.min_labelled:
            text = f"{labelled:,} labelled rows since the cut-off; at least {policy.min_labelled:,} needed"
            return Reason(self.name, value, limit, "none", f"{self.name}: {text}")

        def breaks(window: Window) -> bool:
            measured = self.value(window)
            return measured is not None and window.labelled >= policy.min_labelled and abs(measured) > limit

        action, windows = history.alarm(breaks, "retrain")
        text = f"{value:+.4f} over {policy.bias_window.days} days, limit {limit:g}, {labelled:,} labelled rows"
        return Reason(self.name, value, limit, action, f"{self.name}: {text} since the cut-off{windows}")


class Bias(LabelledMetric):
    """Mean prediction minus mean outcome."""

    name = "bias"

    def measure(self, window: WindowComparison) -> float | None:
        """Return the bias within the bias window."""
        return window.outcomes.bias

    def limit(self, policy: Monitoring) -> float | None:
        """Return ``max_bias``."""
        return policy.max_bias

    def value(self, window: Window) -> float | None:
        """Return the bias of a window."""
        return window.bias


class Loss(LabelledMetric):
    """Mean loss, which is never negative: log-loss, or squared error."""

    name = "loss"

    def measure(self, window: WindowComparison) -> float | None:
        """Return the loss within the bias window."""
        return window.outcomes.loss

    def limit(self, policy: Monitoring) -> float | None:
        """Return ``max_loss``."""
        return policy.max_loss

    def value(self, window: Window) -> float | None:
        """Return the loss of a window."""
        return window.loss


class ChampionAge(MonitoredMetric):
    """Age of the data that the champion was trained on."""

    name = "age"

    def rule(self, history: History) -> Reason | None:
        """Retrain at ``max_age``."""
        if history.cutoff is None:
            return None
        days, limit = (history.at - history.cutoff) / DAY, history.policy.max_age / DAY
        text = f"age: champion trained on data {days:.0f} days old, limit {limit:.0f}"
        return Reason(self.name, days, limit, "retrain" if days >= limit else "none", text)
