"""Challenger against champion on the same rows, and how much of the difference may be due to chance."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from pandas import DataFrame

from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving.served import ServedModel
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import splits
from stack.training.evaluation import answered, answers

RESAMPLES = 2000
DAY = timedelta(days=1)
MIN_ROWS = 50
"""Random split: no interval is given for fewer rows or groups."""
BLOCKS = 1000
"""Random split: more rows than these are drawn in this many blocks, which bounds the memory."""
CHAMPION_SUFFIX = "_champion"


@dataclass(frozen=True)
class ChampionComparison:
    """Predictions of both models for the same rows, which neither model was fitted on."""

    champion: str
    """The champion's version."""
    basis: str
    """The rows, and the form of each model, in a sentence."""
    age: timedelta
    """From the champion's cut-off to the challenger's."""
    rows: DataFrame
    """``event_timestamp``, the label, the challenger's predictions, the champion's (``..._champion``), the features."""
    champion_threshold: float = 0.5
    """Binary: the champion's decision is positive from this probability on."""


@dataclass(frozen=True)
class Difference:
    """Mean loss of the challenger minus the champion's: negative is better."""

    mean: float
    low: float
    high: float
    """The bootstrap interval of the mean; NaN where the sample is too small."""
    units: int
    """Number of resampled days, groups or rows."""
    rows: int
    champion: float
    """Mean loss of the champion."""
    error: float = np.nan
    """Standard error of the mean, by the same bootstrap; NaN where the sample is too small."""


def compare(project: Project, challenger: Version, holdout: DataFrame, champion: Version) -> ChampionComparison:
    """Compare the models on rows of the challenger's holdout that the champion was not fitted on either.

    The champion was refitted on all labels known at its cut-off, so only later rows are new to its served form. They
    are few after a recent champion; then more rows are in both holdouts, with the predictions of each model before its
    refit. The larger set is used. Both hold for a random split too, as a row's id decides whether it is held out. No
    import was fitted here, so that all rows are new to it.
    """
    cutoff = pd.Timestamp(champion.cutoff)
    predictions = artifacts.holdout(project.settings, champion)[["event_id", *project.task.outputs]]
    shared = holdout.merge(predictions, on="event_id", suffixes=("", CHAMPION_SUFFIX))
    later = holdout if champion.imported else holdout[holdout["event_timestamp"] > cutoff]
    with artifacts.folder(project.settings, champion, "served") as folder:
        model = ServedModel(folder)
        if len(later) >= len(shared) and set(model.columns) <= set(later.columns):
            predicted = model.predict({name: later[name] for name in model.columns})
            shared = answered(project.spec, later, predicted, CHAMPION_SUFFIX)
            asked = f"rows asked after the champion's cut-off ({cutoff:%Y-%m-%d %H:%M} UTC)"
            rows = f"{len(later):,} {'labelled rows' if champion.imported else asked}"
        else:
            rows = f"{len(shared):,} rows in the holdout of both, each model as fitted before its own holdout"
    return ChampionComparison(
        champion.version,
        f"Compared with champion version {champion.version} on {rows}.",
        challenger.cutoff - champion.cutoff,
        shared,
        model.threshold,
    )


def difference(spec: ProjectSpec, comparison: ChampionComparison) -> Difference:
    """Measure the difference of the mean losses, and its interval by a paired bootstrap.

    With a split by time, days (UTC) are drawn with all their rows, as the rows of a day share their weather: 13,000
    flights of two weeks are a sample of 14. With a random split, rows or groups are drawn. A resample is the number of
    times each unit was drawn, so that all of them are two matrix products.
    """
    ours, theirs = _losses(spec, comparison)
    if not len(ours):
        return Difference(np.nan, np.nan, np.nan, 0, 0, np.nan)
    return paired(spec, comparison.rows, ours, theirs)


def paired(spec: ProjectSpec, rows: DataFrame, ours: np.ndarray, theirs: np.ndarray) -> Difference:
    """Measure the difference of two losses of the same rows, (n,) each, and its interval as :func:`difference` does."""
    change, mean = ours - theirs, float(theirs.mean())
    unit, needed = splits.units(spec, rows), spec.gate.min_days
    if spec.training.split == "random":
        unit, needed = unit % BLOCKS, MIN_ROWS
    units = int(unit.max()) + 1
    if units < needed:
        return Difference(float(change.mean()), np.nan, np.nan, units, len(rows), mean)
    drawn = np.random.default_rng(spec.training.seed).multinomial(units, np.full(units, 1 / units), RESAMPLES)
    means = (drawn @ np.bincount(unit, change)) / (drawn @ np.bincount(unit))
    tail = (1 - spec.gate.interval) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Difference(float(change.mean()), float(low), float(high), units, len(rows), mean, float(means.std()))


def due(spec: ProjectSpec, comparison: ChampionComparison) -> str:
    """Return why the champion is due for replacement, by the rules of the drift policy; empty when it is not."""
    label, answer = comparison.rows[spec.label], answers(spec, comparison.rows, CHAMPION_SUFFIX)
    limit = spec.monitoring.max_bias
    if spec.imported:
        return "a newer model was imported"
    if comparison.age >= spec.monitoring.max_age:
        return f"{comparison.age / DAY:.0f} days older than the challenger (limit {spec.monitoring.max_age / DAY:.0f})"
    if limit is None or not len(label):
        return ""
    task = tasks.of(spec)
    bias = task.metrics(label, answer, task.baseline(label))["bias"]
    return f"bias {bias:+.3f} on these rows (limit {limit:g})" if abs(bias) > limit else ""


def slices(spec: ProjectSpec, comparison: ChampionComparison, min_rows: int) -> Iterator[tuple[str, str, float, int]]:
    """Yield column, value, difference of the mean loss and rows of each slice that has at least `min_rows` rows."""
    ours, theirs = _losses(spec, comparison)
    change = pd.Series(ours - theirs, index=comparison.rows.index)
    for column in spec.gate.max_slice_loss_increase:
        for value, changes in change.groupby(comparison.rows[column].astype(str)):
            if len(changes) >= min_rows:
                yield column, str(value), float(changes.mean()), len(changes)


def _losses(spec: ProjectSpec, comparison: ChampionComparison) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses of the challenger and of the champion, (rows,) each, or the costs of their decisions."""
    task, label = tasks.of(spec), comparison.rows[spec.label]
    if spec.gate.metric == "cost":
        priced = ((spec, ""), (spec.with_threshold(comparison.champion_threshold), CHAMPION_SUFFIX))
        ours, theirs = (own.cost(label, answers(spec, comparison.rows, suffix)[:, 0]) for own, suffix in priced)
        return ours, theirs
    ours, theirs = (task.losses(label, answers(spec, comparison.rows, suffix)) for suffix in ("", CHAMPION_SUFFIX))
    return ours, theirs
