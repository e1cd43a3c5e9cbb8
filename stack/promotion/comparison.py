"""Challenger against champion on the same rows, and how much of the difference is the luck of the draw."""

from __future__ import annotations

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
from stack.training.evaluation import answered, answers

RESAMPLES = 2000
DAY = timedelta(days=1)
LEAST_ROWS = 50
"""At random: fewer rows prove nothing."""
BLOCKS = 1000
"""At random: more rows are drawn in so many blocks, which bounds the memory."""
THEIRS = "_champion"


@dataclass(frozen=True)
class ChampionComparison:
    """Answers of both models to the same rows, which neither model was fitted on."""

    champion: str
    """The champion's version."""
    basis: str
    """Which rows, and which form of each model."""
    age: timedelta
    """From the champion's cut-off to the challenger's."""
    rows: DataFrame
    """``event_timestamp``, the label, the challenger's answers, the champion's (``..._champion``), the features."""


@dataclass(frozen=True)
class Difference:
    """Mean loss of the challenger minus the champion's: negative is better."""

    mean: float
    low: float
    high: float
    """The interval within which the mean varies when the sample is drawn anew; NaN where it is too small."""
    units: int
    """What is drawn: days or rows."""
    rows: int
    champion: float
    """Mean loss of the champion."""


def compare(project: Project, challenger: Version, holdout: DataFrame, champion: Version) -> ChampionComparison:
    """Let the champion predict rows of the challenger's holdout that it was not fitted on either.

    The champion was refitted on all labels known at its cut-off, so only rows asked later are new to its served form.
    A champion trained shortly ago leaves few of those; then more rows stand in both holdouts, and each model answers
    there as it was before its own refit. Whichever gives more rows is used. Both hold for a random split too, as a
    row's id decides whether it is held out.
    """
    cutoff = pd.Timestamp(champion.cutoff)
    theirs = artifacts.holdout(project.settings, champion)[["event_id", *tasks.of(project.spec).outputs]]
    shared = holdout.merge(theirs, on="event_id", suffixes=("", THEIRS))
    later = holdout[holdout["event_timestamp"] > cutoff]
    with artifacts.folder(project.settings, champion, "served") as folder:
        model = ServedModel(folder)
        answers = set(model.columns) <= set(later.columns)
        if len(later) >= len(shared) and answers:
            shared = answered(project.spec, later, model.predict({name: later[name] for name in model.columns}), THEIRS)
            rows = f"{len(later):,} rows asked after the champion's cut-off ({cutoff:%Y-%m-%d %H:%M} UTC)"
        else:
            rows = f"{len(shared):,} rows in the holdout of both, each model as fitted before its own holdout"
    return ChampionComparison(
        champion.version,
        f"Compared with champion version {champion.version} on {rows}.",
        challenger.cutoff - champion.cutoff,
        shared,
    )


def difference(spec: ProjectSpec, comparison: ChampionComparison) -> Difference:
    """Measure the difference, and by a paired bootstrap how far the choice of the sample moves it.

    By time, days (UTC) are drawn with all their rows, as the rows of one day share their weather: 13,000 flights of two
    weeks are a sample of 14. At random, rows are drawn. A resample is how often each was drawn, so that all of them are
    two matrix products.
    """
    ours, theirs = _losses(spec, comparison)
    change, rows = ours - theirs, len(comparison.rows)
    if not rows:
        return Difference(np.nan, np.nan, np.nan, 0, 0, np.nan)
    unit, least = _units(spec, comparison.rows)
    units = int(unit.max()) + 1
    if units < least:
        return Difference(float(change.mean()), np.nan, np.nan, units, rows, float(theirs.mean()))
    drawn = np.random.default_rng(spec.training.seed).multinomial(units, np.full(units, 1 / units), RESAMPLES)
    means = (drawn @ np.bincount(unit, change)) / (drawn @ np.bincount(unit))
    tail = (1 - spec.gate.interval) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Difference(float(change.mean()), float(low), float(high), units, rows, float(theirs.mean()))


def due(spec: ProjectSpec, comparison: ChampionComparison) -> str:
    """Say why the champion has to be followed by a new model, as the drift policy does; empty when it does not."""
    label, answer = comparison.rows[spec.label], answers(spec, comparison.rows, THEIRS)
    limit = spec.monitoring.max_bias
    if comparison.age >= spec.monitoring.max_age:
        return f"{comparison.age / DAY:.0f} days old, its maximum is {spec.monitoring.max_age / DAY:.0f}"
    if limit is None or not len(label):
        return ""
    task = tasks.of(spec)
    bias = task.metrics(label, answer, task.baseline(label))["bias"]
    return f"off by {bias:+.3f} on these rows, at most {limit:g} are allowed" if abs(bias) > limit else ""


def slices(spec: ProjectSpec, comparison: ChampionComparison, least: int) -> Iterator[tuple[str, str, float, int]]:
    """Give column, value, difference of the mean loss and rows of each slice that has at least `least` rows."""
    ours, theirs = _losses(spec, comparison)
    change = pd.Series(ours - theirs, index=comparison.rows.index)
    for column in spec.gate.max_slice_loss_increase:
        groups = change.groupby(comparison.rows[column].astype(str))
        for value, found in groups:
            if len(found) >= least:
                yield column, str(value), float(found.mean()), len(found)


def _units(spec: ProjectSpec, rows: DataFrame) -> tuple[np.ndarray, int]:
    """Number the day or the block of each row, and say how many of those are needed."""
    if spec.training.split == "random":
        return np.arange(len(rows)) % BLOCKS, LEAST_ROWS
    return np.unique(rows["event_timestamp"].dt.floor("D"), return_inverse=True)[1], spec.gate.min_days


def _losses(spec: ProjectSpec, comparison: ChampionComparison) -> tuple[np.ndarray, np.ndarray]:
    """Losses of the challenger and of the champion, (rows,) each."""
    task, label = tasks.of(spec), comparison.rows[spec.label]
    ours, theirs = (task.losses(label, answers(spec, comparison.rows, suffix)) for suffix in ("", THEIRS))
    return ours, theirs
