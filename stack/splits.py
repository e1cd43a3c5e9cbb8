"""Time-ordered splits: a model is tested only on what was asked after everything it was fitted on was known.

A random split reports an AUC of 0.79 for the flights where the truth is 0.75 (flights of one evening share their
weather). Rows asked before a boundary whose label came after it belong to neither side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
from pandas import DataFrame, Timestamp

from stack.errors import StackError
from stack.project import ProjectSpec


@dataclass(frozen=True)
class Split:
    """Rows on both sides of an instant."""

    boundary: Timestamp
    fit: DataFrame
    """Rows whose label was known at the boundary."""
    test: DataFrame
    """Rows asked after the boundary."""


def at(frame: DataFrame, boundary: Timestamp, until: Timestamp | None = None) -> Split:
    """Split labelled rows at an instant; with `until`, the test rows were asked and answered up to there."""
    known, asked = frame["label_available_at"], frame["event_timestamp"]
    later = (asked > boundary) & (known <= until if until is not None else True)
    return Split(boundary, frame[known <= boundary], frame[later])


def holdout(spec: ProjectSpec, frame: DataFrame, cutoff: datetime) -> Split:
    """Keep the most recent rows from the search: ``training.holdout``, at most ``training.holdout_share`` of the span.

    Raises:
        StackError: the history is too short to hold a whole day out, or a side lacks an outcome.
    """
    span = pd.Timestamp(cutoff) - frame["event_timestamp"].min() if len(frame) else timedelta()
    days = min(spec.training.holdout.days, int(spec.training.holdout_share * span / timedelta(days=1)))
    if days < 1:
        raise StackError(
            f"training set of {spec.name}",
            found=f"{len(frame):,} labelled rows over {span / timedelta(days=1):.1f} days",
            expected=f"{1 / spec.training.holdout_share:.0f} days, of which the last is held out",
            todo="ingest more data, or raise training.holdout_share",
        )
    split = at(frame, pd.Timestamp(cutoff) - timedelta(days=days))
    for side, rows in (("fit", split.fit), ("holdout", split.test)):
        if rows[spec.label].nunique() < 2:
            raise StackError(
                f"training set of {spec.name}, {side} rows",
                found=f"{len(rows):,} rows with {rows[spec.label].nunique()} different outcomes",
                expected="both outcomes",
                todo="ingest more data",
            )
    return split


def folds(frame: DataFrame, boundary: Timestamp, count: int) -> Iterator[Split]:
    """Expanding folds over rows known at `boundary`: the second half of their time in `count` test blocks, in order."""
    start = frame["event_timestamp"].min()
    half = start + (boundary - start) / 2
    block = (boundary - half) / count
    for number in range(count):
        yield at(frame, half + number * block, until=half + (number + 1) * block)
