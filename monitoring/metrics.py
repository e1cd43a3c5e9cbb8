"""The table of monitored metrics: how each is measured and judged.

To add one: a row of `METRICS`, its rule in ``monitoring/rules.py``, and the limit in
``stack/specification/sections.py`` (class ``Monitoring``). Report, summary, portal, dashboard and verdict follow;
``monitoring/drawings.py`` draws some by more than their value.
"""

from collections.abc import Callable
from dataclasses import dataclass

from monitoring import rules
from monitoring.comparison import WindowComparison
from monitoring.frames import AGE
from stack.serving.observed import FIRST

Measure = Callable[[WindowComparison], float | None]


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


def _drift_share(window: WindowComparison) -> float | None:
    return len(window.drifted) / len(window.drift) if window.drift else None


def _missing_share(window: WindowComparison) -> float | None:
    cells = window.current[list(window.spec.features.columns)]
    return float(cells.isna().to_numpy().mean()) if len(cells) else None


def feature_age(window: WindowComparison) -> float | None:
    """Return the age in minutes that 95 % of the window's features are younger than."""
    ages = window.current.get(AGE)
    return float(ages.quantile(0.95)) if ages is not None and ages.notna().any() else None


METRICS: tuple[MonitoredMetric, ...] = (
    MonitoredMetric("drift", "Features drifting", measure=_drift_share, rule=rules.drift),
    MonitoredMetric("shift", rule=rules.shift),
    MonitoredMetric("predictions", measure=lambda window: window.prediction_drift, rule=rules.predictions),
    MonitoredMetric("rows", measure=lambda window: len(window.current)),
    MonitoredMetric("missing", "Missing", measure=_missing_share, rule=rules.missing),
    MonitoredMetric("feature_age", measure=feature_age),
    MonitoredMetric("mean_prediction"),
    MonitoredMetric("performance", measure=lambda window: window.judged, rule=rules.performance),
    MonitoredMetric(
        "estimated_loss",
        "Estimated loss",
        form=".4f",
        measure=lambda window: window.estimate.loss if window.estimate else None,
        rule=rules.estimated_loss,
    ),
    MonitoredMetric("estimate_error", measure=lambda window: window.estimate.error if window.estimate else None),
    MonitoredMetric("coverage", measure=lambda window: window.coverage, rule=rules.coverage),
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
