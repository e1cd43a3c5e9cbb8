"""The picture of a replayed period: performance, calibration, drift and decisions on one time axis, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from monitoring.performance import NAMES, scores
from monitoring.year import KINDS, Year
from stack.specification import tasks

COLOURS = {"live": "#1d4ed8", "frozen": "#94a3b8", "oracle": "#d97706"}
STYLES: dict[str, dict[str, Any]] = {
    "frozen": {"linewidth": 1.6, "zorder": 2},
    "oracle": {"linewidth": 1.4, "linestyle": (0, (4, 2)), "zorder": 3},
    "live": {"linewidth": 2.2, "zorder": 4},
}
PROMOTED, REFUSED, ROLLED_BACK = "#15803d", "#b91c1c", "#7c3aed"
MARKS = {"promote": PROMOTED, "refuse": REFUSED, "rollback": ROLLED_BACK}
ACTIONS = {"none": "#cbd5e1", "notice": "#f59e0b", "retrain": "#dc2626"}
BANDS = ("#dbeafe", "#bfdbfe")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
LOOK = {
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


def svg(year: Year) -> str:
    """Draw the picture; an ``<svg>`` element that needs nothing else."""
    task = tasks.of(year.spec)
    shown = list(dict.fromkeys([task.loss if task.loss != "mse" else "rmse", scores(year.spec)[0]]))
    heights = [HEIGHTS["score"]] * len(shown) + [HEIGHTS["bias"], HEIGHTS["drift"], HEIGHTS["live"]]
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(11.8, sum(heights) + 1), layout="constrained")
        axes: Sequence[Axes] = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        for one, score in zip(axes, shown, strict=False):
            _scores(one, year, score)
        _bias(axes[-3], year)
        _drift(axes[-2], year)
        _live(axes[-1], year)
        for one in axes:
            _decisions(one, year)
        axes[-1].set_xlim(_day(year.since), _day(year.until))
        locator = AutoDateLocator(minticks=6, maxticks=14)
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        figure.align_ylabels(list(axes))
        return _written(figure)


def _written(figure: Figure) -> str:
    text = StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    found = text.getvalue()
    found = found[found.index("<svg") :].replace("'DejaVu Sans'", FONT)
    return found.replace("<svg ", '<svg role="img" ', 1)


def _day(instant: datetime) -> float:
    return float(date2num(instant))


def _scores(axes: Axes, year: Year, score: str) -> None:
    middles = [_day(since + timedelta(days=3.5)) for since in year.weeks["since"]]
    for kind in KINDS:
        values = year.weeks[f"{kind}.{score}"]
        axes.plot(middles, values, color=COLOURS[kind], label=kind, **STYLES[kind])
    axes.set_title(f"{NAMES.get(score, score)} by week")
    axes.grid(axis="y")
    axes.legend(loc="upper right", ncols=3, frameon=False, bbox_to_anchor=(1, 1.16))


def _bias(axes: Axes, year: Year) -> None:
    policy = year.spec.monitoring
    found = [(_day(_at(one)), one["window"]["bias"]) for one in year.reviews if one["window"]["bias"] is not None]
    axes.axhline(0, color="#94a3b8", linewidth=0.8)
    if policy.max_bias is not None:
        axes.axhspan(-policy.max_bias, policy.max_bias, color="#f1f5f9", zorder=0)
    if found:
        axes.plot(*zip(*found, strict=True), "o-", color=COLOURS["live"], markersize=3, linewidth=1.4)
    limit = "" if policy.max_bias is None else f", retraining beyond ±{policy.max_bias:g}"
    axes.set_title(f"Calibration: mean answer − mean outcome over {policy.bias_window.days} days{limit}")
    axes.grid(axis="y")


def _drift(axes: Axes, year: Year) -> None:
    policy = year.spec.monitoring
    width = policy.every.total_seconds() / 86_400 * 0.75
    for one in year.reviews:
        share = one["drift_share"]
        if share is not None:
            axes.bar(_day(_at(one)), share, width=width, color=ACTIONS[one["verdict"]["action"]])
    axes.axhline(policy.max_drift_share, color="#475569", linewidth=1, linestyle=":")
    axes.set(ylim=(0, 1))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title(f"Share of features that drift by {policy.method}; verdict: grey nothing, amber notice, red retrain")


def _live(axes: Axes, year: Year) -> None:
    for span, colour in zip(year.live, cycle(BANDS), strict=False):
        since = max(_day(span.since), _day(year.since)) if span.since else _day(year.since)
        until = min(_day(span.until), _day(year.until)) if span.until else _day(year.until)
        if until > since:
            axes.barh(0, until - since, left=since, height=1, color=colour, edgecolor="white")
            axes.text((since + until) / 2, 0, span.version, ha="center", va="center", color="#1e3a8a", fontsize=9)
    axes.set(ylim=(-0.5, 0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_title("Live version; dashed: promoted (green), refused (red), rolled back (violet)")


def _decisions(axes: Axes, year: Year) -> None:
    for one in year.decisions:
        if one.kind in MARKS and year.since < one.at <= year.until and one.state == "done":
            axes.axvline(_day(one.at), color=MARKS[one.kind], linewidth=1, linestyle=(0, (3, 3)), zorder=1)


def _at(summary: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(summary["at"])
