"""The plot of a replayed period: performance, calibration, drift and decisions on one time axis, as SVG."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from monitoring.replay.period import KINDS, Period
from stack.specification import tasks
from stack.training.evaluation import NAMES, scores

COLOURS = {"live": "#1d4ed8", "frozen": "#94a3b8", "oracle": "#d97706"}
STYLES: dict[str, dict[str, Any]] = {
    "frozen": {"linewidth": 1.6, "zorder": 2},
    "oracle": {"linewidth": 1.4, "linestyle": (0, (4, 2)), "zorder": 3},
    "live": {"linewidth": 2.2, "zorder": 4},
}
MARKS = {"promote": "#15803d", "refuse": "#b91c1c", "rollback": "#7c3aed"}
ACTIONS = {"none": "#cbd5e1", "notice": "#f59e0b", "retrain": "#dc2626"}
BANDS = ("#dbeafe", "#bfdbfe")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
RC_PARAMS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "year",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#94a3b8",
    "axes.labelcolor": "#334155",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlecolor": "#0f172a",
    "axes.titlelocation": "left",
    "xtick.color": "#475569",
    "ytick.color": "#475569",
    "grid.color": "#e2e8f0",
    "grid.linewidth": 0.8,
}
HEIGHTS = {"score": 2.4, "bias": 1.4, "drift": 1.2, "live": 0.75}


def svg(period: Period) -> str:
    """Draw the plot; return it as an ``<svg>`` element."""
    task = tasks.of(period.spec)
    shown = list(dict.fromkeys([task.loss if task.loss != "mse" else "rmse", scores(period.spec)[0]]))
    heights = [HEIGHTS["score"]] * len(shown) + [HEIGHTS["bias"], HEIGHTS["drift"], HEIGHTS["live"]]
    with mpl.rc_context(RC_PARAMS):
        figure = Figure(figsize=(11.8, sum(heights) + 1), layout="constrained")
        axes: Sequence[Axes] = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        for axis, score in zip(axes, shown, strict=False):
            _scores(axis, period, score)
        _bias(axes[-3], period)
        _drift(axes[-2], period)
        _live(axes[-1], period)
        for axis in axes:
            _decisions(axis, period)
        axes[-1].set_xlim(_day(period.since), _day(period.until))
        locator = AutoDateLocator(minticks=6, maxticks=14)
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        figure.align_ylabels(list(axes))
        return element(figure)


def element(figure: Figure) -> str:
    """Return a figure as an ``<svg>`` element without references to other files."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    _, tag, content = buffer.getvalue().partition("<svg ")
    return f'{tag}role="img" {content}'.replace("'DejaVu Sans'", FONT)


def _day(instant: datetime | str) -> float:
    return float(date2num(datetime.fromisoformat(instant) if isinstance(instant, str) else instant))


def _scores(axes: Axes, period: Period, score: str) -> None:
    middles = [_day(since + timedelta(days=3.5)) for since in period.weeks["since"]]
    for kind in KINDS:
        values = period.weeks[f"{kind}.{score}"]
        axes.plot(middles, values, color=COLOURS[kind], label=kind, **STYLES[kind])
    axes.set_title(f"{NAMES.get(score, score)} by week")
    axes.grid(axis="y")
    axes.legend(loc="upper right", ncols=3, frameon=False, bbox_to_anchor=(1, 1.16))


def _bias(axes: Axes, period: Period) -> None:
    policy = period.spec.monitoring
    biases = [(_day(review["at"]), review["window"]["bias"]) for review in period.reviews]
    points = [(day, bias) for day, bias in biases if bias is not None]
    axes.axhline(0, color="#94a3b8", linewidth=0.8)
    if policy.max_bias is not None:
        axes.axhspan(-policy.max_bias, policy.max_bias, color="#f1f5f9", zorder=0)
    if points:
        axes.plot(*zip(*points, strict=True), "o-", color=COLOURS["live"], markersize=3, linewidth=1.4)
    limit = "" if policy.max_bias is None else f", retraining beyond ±{policy.max_bias:g}"
    axes.set_title(f"Calibration: mean answer − mean outcome over {policy.bias_window.days} days{limit}")
    axes.grid(axis="y")


def _drift(axes: Axes, period: Period) -> None:
    policy = period.spec.monitoring
    width = policy.every.total_seconds() / 86_400 * 0.75
    for review in period.reviews:
        if review["drift_share"] is not None:
            colour = ACTIONS[review["verdict"]["action"]]
            axes.bar(_day(review["at"]), review["drift_share"], width=width, color=colour)
    axes.axhline(policy.max_drift_share, color="#475569", linewidth=1, linestyle=":")
    axes.set(ylim=(0, 1))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title(f"Share of features that drift by {policy.method}; verdict: grey nothing, amber notice, red retrain")


def _live(axes: Axes, period: Period) -> None:
    for span, colour in zip(period.live, cycle(BANDS), strict=False):
        since = _day(max(span.since or period.since, period.since))
        until = _day(min(span.until or period.until, period.until))
        if until > since:
            axes.barh(0, until - since, left=since, height=1, color=colour, edgecolor="white")
            axes.text((since + until) / 2, 0, span.version, ha="center", va="center", color="#1e3a8a", fontsize=9)
    axes.set(ylim=(-0.5, 0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_title("Live version; dashed: promoted (green), refused (red), rolled back (violet)")


def _decisions(axes: Axes, period: Period) -> None:
    for entry in period.decisions:
        if entry.kind in MARKS and period.since < entry.at <= period.until and entry.state == "done":
            axes.axvline(_day(entry.at), color=MARKS[entry.kind], linewidth=1, linestyle=(0, (3, 3)), zorder=1)
