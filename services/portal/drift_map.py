"""Drift by feature over time: a strip for each, the worst first, as SVG, which needs no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

WIDTH = 600.0
"""Of a strip, in units of its picture."""
FAR = 3.0
"""Times the limit from which on drift is strong."""
NEAR = 0.5
"""Part of the limit from which on a feature is near it."""
LEVELS = {"quiet": "below the limit", "near": "above half the limit", "drifted": "drifts", "far": "drifts strongly"}
"""Level of a feature in a report -> what it means."""


@dataclass(frozen=True)
class Part:
    """Successive reports in which a feature has the same level."""

    x: float
    width: float
    level: str
    """A key of `LEVELS`."""
    text: str


@dataclass(frozen=True)
class Strip:
    """A feature over the reports."""

    feature: str
    parts: list[Part]
    drifted: int
    """Reports in which it drifts."""
    last: float | None
    """Its score in the last report that has one."""


@dataclass(frozen=True)
class DriftMap:
    """The strips of a project, the worst first."""

    strips: list[Strip]
    marks: list[float]
    """Places of promotions."""
    since: datetime
    until: datetime
    reports: int
    """That have scores."""


def drift_map(reports: Sequence[Mapping[str, Any]], promotions: Sequence[datetime]) -> DriftMap | None:
    """Return the drift of each feature over time; None without a report that has scores.

    Args:
        reports: summaries, the newest first.
        promotions: instants at which the champion has changed.
    """
    scored = [report for report in reversed(reports) if report.get("drift")]
    if not scored:
        return None
    edges = [datetime.fromisoformat(scored[0]["since"]), *(datetime.fromisoformat(report["at"]) for report in scored)]
    span = (edges[-1] - edges[0]).total_seconds() or 1.0
    places = [WIDTH * (edge - edges[0]).total_seconds() / span for edge in edges]
    features = dict.fromkeys(feature for report in reversed(scored) for feature in report["drift"])
    strips = [_strip(feature, scored, places) for feature in features]
    marks = [WIDTH * (at - edges[0]).total_seconds() / span for at in promotions if edges[0] < at <= edges[-1]]
    worst_first = sorted(strips, key=lambda strip: (-strip.drifted, -(strip.last or 0.0)))
    return DriftMap(worst_first, marks, edges[0], edges[-1], len(scored))


def level(report: Mapping[str, Any], feature: str) -> str:
    """Return the level of a feature in a report; empty where it was not compared.

    A p-value, which stands for the few rows of a window, or a report of an earlier release is drift or none.
    """
    if feature not in report["drift"]:
        return ""
    score, limit = report["drift"][feature], report.get("drift_limit")
    ratio = score / limit if score is not None and limit else None
    if feature in report["drifted"]:
        return "far" if ratio is not None and ratio >= FAR else "drifted"
    return "near" if ratio is not None and NEAR <= ratio < 1 else "quiet"


def _strip(feature: str, scored: Sequence[Mapping[str, Any]], places: Sequence[float]) -> Strip:
    cells = [(level(report, feature), index) for index, report in enumerate(scored)]
    parts = []
    for name, group in groupby(cells, lambda cell: cell[0]):
        indices = [index for _, index in group]
        if name:
            first, last = indices[0], indices[-1]
            text = _text(feature, name, [scored[index] for index in indices])
            parts.append(Part(places[first], places[last + 1] - places[first], name, text))
    known = [score for report in scored if (score := report["drift"].get(feature)) is not None]
    drifted = sum(name in ("drifted", "far") for name, _ in cells)
    return Strip(feature, parts, drifted, known[-1] if known else None)


def _text(feature: str, name: str, reports: Sequence[Mapping[str, Any]]) -> str:
    days = [report["at"][:10] for report in (reports[0], reports[-1])]
    scores = [report["drift"][feature] for report in reports if report["drift"][feature] is not None]
    found = f", {min(scores):.3g} to {max(scores):.3g}" if len(scores) > 1 else f", {scores[0]:.3g}" if scores else ""
    return f"{' to '.join(dict.fromkeys(days))}: {LEVELS[name]}{found}"
