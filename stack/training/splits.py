"""Splits: by time, so that a model is tested only on events after all labels of its fit were known, or at random.

A random split reports an AUC of 0.79 for the flights where the truth is 0.75 (flights of one evening share their
weather). Rows before a boundary whose label became known after it belong to neither side.

At random, a hash of the event's id decides: a row that is held out today is held out tomorrow, though the table grows,
so that two trainings share the rows that neither was fitted on. With ``training.group``, a hash of the group decides
instead: rows that belong together are on one side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from pandas import DataFrame, Series, Timestamp

from stack.core.errors import StackError
from stack.specification import tasks
from stack.specification.specs import ProjectSpec

FOLDS = {"time": 2, "random": 5}
"""Default number of folds."""
WEEK = timedelta(days=7)
RECENT = 4 * WEEK


@dataclass(frozen=True)
class Split:
    """Rows to fit and rows to test on."""

    boundary: Timestamp
    """The instant between them; with a random split, the cut-off."""
    fit: DataFrame
    """By time: rows whose label was known at the boundary."""
    test: DataFrame
    """By time: rows asked after the boundary."""


def at(frame: DataFrame, boundary: Timestamp, until: Timestamp | None = None) -> Split:
    """Split labelled rows at an instant; with `until`, the test rows were asked and answered up to there."""
    known, asked = frame["label_available_at"], frame["event_timestamp"]
    later = (asked > boundary) & (known <= until if until is not None else True)
    return Split(boundary, frame[known <= boundary], frame[later])


def holdout(spec: ProjectSpec, frame: DataFrame, cutoff: datetime) -> Split:
    """Hold rows out of the search: the most recent, or at random ``training.holdout_share`` of them, or of the groups.

    Raises:
        StackError: the history is too short to hold a whole day out, or a side lacks an outcome.
    """
    if spec.training.split == "random":
        rank, size = _shuffled(spec, frame, "holdout")
        held = rank < (spec.training.holdout_share * size).round()
        split = Split(Timestamp(cutoff), frame[~held], frame[held])
    else:
        split = _latest(spec, frame, cutoff)
    task = tasks.of(spec)
    outcomes = max(2, len(task.classes))
    # The gate can evaluate on a holdout without a rare class; a model cannot learn the class without a row.
    for side, rows, least in (("fit", split.fit, outcomes), ("holdout", split.test, 2)):
        if rows[spec.label].nunique() < least:
            known = {*rows[spec.label]}
            absent = [name for code, name in enumerate(task.classes) if code not in known]
            without = f", none of {', '.join(map(str, absent))}" if len(absent) < len(task.classes) else ""
            raise StackError(
                f"training set of {spec.name}, {side} rows",
                found=f"{len(rows):,} rows with {rows[spec.label].nunique()} different outcomes{without}",
                expected=f"{'both' if least == 2 else f'all {least}'} outcomes" if task.classes else "two",
                todo="ingest more data, or give rare outcomes a common name in the source",
            )
    return split


def folds(spec: ProjectSpec, split: Split) -> Iterator[Split]:
    """Yield the folds of the fit rows of a split.

    By time they expand: the second half of the rows' time in test blocks, in order; of a forecast at most the last four
    weeks, as a model of a series is refitted often. At random each row is in a single
    test block, the classes (or whole groups) in proportion. A fold whose fit rows lack an outcome, or that has no test
    rows, is left out.
    """
    count = spec.training.folds or FOLDS[spec.training.split]
    by_time = spec.training.split == "time"
    tested = RECENT if spec.forecast else None
    every = _expanding_folds(split, count, tested) if by_time else _random_folds(spec, split, count)
    yield from (fold for fold in every if fold.fit[spec.label].nunique() > 1 and len(fold.test))


def backtests(spec: ProjectSpec, split: Split) -> Iterator[Split]:
    """Yield splits whose test rows are together those of a split: for a forecast a week each, else the split itself.

    A model of a series is fitted on what was known at the start of each week, as it is refitted when it is in use.
    """
    if not spec.forecast:
        yield split
        return
    last = split.test["event_timestamp"].max()
    for start in pd.date_range(split.boundary, last, freq=WEEK, inclusive="left" if split.boundary < last else "both"):
        asked = split.test["event_timestamp"]
        rows = split.test[(asked > start) & (asked <= start + WEEK)]
        if len(rows):
            known = split.test[split.test["label_available_at"] <= start]
            yield Split(start, pd.concat([split.fit, known]), rows)


def units(spec: ProjectSpec, rows: DataFrame) -> np.ndarray:
    """Return, for each row, the number of the unit that a bootstrap draws: its day (UTC), its group, or itself.

    Rows of before the project had groups are units of their own.
    """
    if spec.training.unit == "days":
        return np.unique(rows["event_timestamp"].dt.floor("D"), return_inverse=True)[1]
    if spec.training.group in rows:
        return np.unique(_group(spec, rows), return_inverse=True)[1]
    return np.arange(len(rows))


def _group(spec: ProjectSpec, rows: DataFrame) -> Series[str]:
    """Return the group of each row; a row without one is a group of its own."""
    names: Series[str] = rows[spec.training.group].astype("string").fillna(rows["event_id"].astype(str))
    return names


def _latest(spec: ProjectSpec, frame: DataFrame, cutoff: datetime) -> Split:
    """Hold out whole days: ``training.holdout``, at most ``training.holdout_share`` of the span."""
    span = pd.Timestamp(cutoff) - frame["event_timestamp"].min() if len(frame) else timedelta()
    days = min(spec.training.holdout.days, int(spec.training.holdout_share * span / timedelta(days=1)))
    if days < 1:
        raise StackError(
            f"training set of {spec.name}",
            found=f"{len(frame):,} labelled rows over {span / timedelta(days=1):.1f} days",
            expected=f"{1 / spec.training.holdout_share:.0f} days, of which the last is held out",
            todo="ingest more data, raise training.holdout_share, or set training.split: random",
        )
    return at(frame, pd.Timestamp(cutoff) - timedelta(days=days))


def _expanding_folds(split: Split, count: int, tested: timedelta | None) -> Iterator[Split]:
    start = split.fit["event_timestamp"].min()
    half = start + (split.boundary - start) / 2
    half = max(half, split.boundary - tested) if tested else half
    block = (split.boundary - half) / count
    for number in range(count):
        yield at(split.fit, half + number * block, until=half + (number + 1) * block)


def _random_folds(spec: ProjectSpec, split: Split, count: int) -> Iterator[Split]:
    rank, size = _shuffled(spec, split.fit, "folds")
    # The test rows of a single fold are the share of a holdout.
    blocks = rank % count if count > 1 else (rank >= (spec.training.holdout_share * size).round()).astype(int)
    for number in range(count):
        yield Split(split.boundary, split.fit[blocks != number], split.fit[blocks == number])


def _shuffled(spec: ProjectSpec, frame: DataFrame, purpose: str) -> tuple[Series, Series]:
    """Return each row's position when its class is shuffled, from 0, and the number of rows of its class.

    The order is a hash of the event's id, the seed and the purpose: it depends on no other row. With
    ``training.group`` they are the position of each row's group among all groups, and the number of these.
    """
    key = f"{purpose[:8]}-{spec.training.seed}".ljust(16)[:16]
    group = spec.training.group
    named = _group(spec, frame) if group else frame["event_id"].astype(str)
    shuffled = Series(pd.util.hash_array(named.to_numpy(object), hash_key=key), index=frame.index)
    if group:
        return shuffled.rank(method="dense").astype(int) - 1, Series(shuffled.nunique(), index=frame.index)
    groups = shuffled.groupby(frame[spec.label] if tasks.of(spec).classes else pd.Series(0, index=frame.index))
    return groups.rank(method="first").astype(int) - 1, groups.transform("size")
