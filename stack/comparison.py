"""Challenger against champion on the same rows, and how much of the difference is the luck of the days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from pandas import DataFrame

from stack import evaluation, registry
from stack.project import ProjectSpec
from stack.registry import Version
from stack.served import ServedModel
from stack.settings import Settings

RESAMPLES = 2000
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Comparison:
    """Answers of both models to the same rows, which neither model was fitted on."""

    champion: str
    """The champion's version."""
    basis: str
    """Which rows, and which form of each model."""
    age: timedelta
    """From the champion's cut-off to the challenger's."""
    rows: DataFrame
    """``event_timestamp``, the label, ``probability`` (challenger's), ``probability_champion``, the feature columns."""


@dataclass(frozen=True)
class Difference:
    """Mean log-loss of the challenger minus the champion's: negative is better."""

    mean: float
    low: float
    high: float
    """The interval within which the mean varies when the days are drawn anew; NaN on fewer days than asked for."""
    days: int
    rows: int


def compare(
    settings: Settings, spec: ProjectSpec, challenger: Version, holdout: DataFrame, champion: Version
) -> Comparison:
    """Let the champion predict rows of the challenger's holdout that it was not fitted on either.

    The champion was refitted on all labels known at its cut-off, so only rows asked later are new to its served form.
    A champion trained shortly ago leaves few of those; then more rows stand in both holdouts, and each model answers
    there as it was before its own refit. Whichever gives more rows is used.
    """
    cutoff = pd.Timestamp(champion.cutoff)
    theirs = registry.holdout(settings, champion)[["event_id", "probability"]]
    shared = holdout.merge(theirs, on="event_id", suffixes=("", "_champion"))
    later = holdout[holdout["event_timestamp"] > cutoff]
    with registry.artifacts(settings, champion, "served") as folder:
        model = ServedModel(folder)
        answers = set(model.columns) <= set(later.columns)
        if len(later) >= len(shared) and answers:
            shared = later.assign(probability_champion=model.predict({name: later[name] for name in model.columns}))
            rows = f"{len(later):,} rows asked after the champion's cut-off ({cutoff:%Y-%m-%d %H:%M} UTC)"
        else:
            rows = f"{len(shared):,} rows in the holdout of both, each model as fitted before its own holdout"
    return Comparison(
        champion.version,
        f"Compared with champion version {champion.version} on {rows}.",
        challenger.cutoff - champion.cutoff,
        shared,
    )


def difference(spec: ProjectSpec, comparison: Comparison) -> Difference:
    """Measure the difference, and by a paired bootstrap how far the choice of days moves it.

    Days (UTC) are drawn with all their rows, as the rows of one day share their weather: 13,000 flights of two weeks
    are a sample of 14. A resample is how often each day was drawn, so that all of them are two matrix products.
    """
    change, rows = _change(spec, comparison), len(comparison.rows)
    if not rows:
        return Difference(np.nan, np.nan, np.nan, 0, 0)
    days, day = np.unique(comparison.rows["event_timestamp"].dt.floor("D"), return_inverse=True)
    if len(days) < spec.gate.min_days:
        return Difference(float(change.mean()), np.nan, np.nan, len(days), rows)
    drawn = np.random.default_rng(spec.training.seed).multinomial(
        len(days), np.full(len(days), 1 / len(days)), RESAMPLES
    )
    means = (drawn @ np.bincount(day, change)) / (drawn @ np.bincount(day))
    tail = (1 - spec.gate.interval) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Difference(float(change.mean()), float(low), float(high), len(days), rows)


def due(spec: ProjectSpec, comparison: Comparison) -> str:
    """Say why the champion has to be followed by a new model, as the drift policy does; empty when it does not."""
    bias = float((comparison.rows["probability_champion"] - comparison.rows[spec.label]).mean())
    if comparison.age >= spec.monitoring.max_age:
        return f"{comparison.age / DAY:.0f} days old, its maximum is {spec.monitoring.max_age / DAY:.0f}"
    if abs(bias) > spec.monitoring.max_bias:
        return f"off by {bias:+.3f} on these rows, at most {spec.monitoring.max_bias:g} are allowed"
    return ""


def slices(spec: ProjectSpec, comparison: Comparison, least: int) -> Iterator[tuple[str, str, float, int]]:
    """Give column, value, difference of the log-loss and rows of each slice that has at least `least` rows."""
    change = pd.Series(_change(spec, comparison), index=comparison.rows.index)
    for column in spec.gate.max_slice_log_loss_increase:
        groups = change.groupby(comparison.rows[column].astype(str))
        for value, found in groups:
            if len(found) >= least:
                yield column, str(value), float(found.mean()), len(found)


def _change(spec: ProjectSpec, comparison: Comparison) -> np.ndarray:
    """Log-loss of the challenger minus the champion's, (rows,)."""
    label = comparison.rows[spec.label]
    ours, theirs = (comparison.rows[name] for name in ("probability", "probability_champion"))
    found: np.ndarray = evaluation.losses(label, ours) - evaluation.losses(label, theirs)
    return found
