"""Which labelled events a training takes where there are more than ``training.max_rows``.

By time, the most recent ones: the shortest time before the cut-off that has so many rows, and gives the holdout its
whole length. Where that time, or a table without time, has more rows, the lowest hashes of the events' ids are taken,
of each class in proportion: the same events at every training with the same labels, and mostly the same at the next.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas import DataFrame

from stack.specification import tasks
from stack.specification.specs import ProjectSpec

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
KNOWN = "labelled_rows"
"""Attribute of a training's rows: how many they were taken from."""


class Outline(NamedTuple):
    """What the choice of events depends on, 24 bytes for each."""

    hashes: Hashes
    asked: npt.NDArray[np.int64]
    """Microseconds since 1970."""
    outcomes: npt.NDArray[np.float64]

    @classmethod
    def of(cls, spec: ProjectSpec, events: DataFrame) -> Self:
        """Return the outline of labelled events."""
        key = f"max_rows-{spec.training.seed}".ljust(16)[:16]
        hashes = pd.util.hash_pandas_object(events["event_id"].astype(str), index=False, hash_key=key)
        asked = events["event_timestamp"].dt.as_unit("us").astype("int64").to_numpy(np.int64)
        return cls(np.asarray(hashes, dtype=np.uint64), asked, events[spec.label].to_numpy(np.float64))

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Return the outline of all parts."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))


def choose(spec: ProjectSpec, outline: Outline, cutoff: datetime) -> Mask:
    """Return which events a training takes: ``training.max_rows`` of them, or all."""
    most, chosen = spec.training.max_rows, np.ones(len(outline.asked), dtype=bool)
    if len(chosen) > most and spec.training.split == "time":
        chosen = outline.asked >= _start(spec, outline.asked, cutoff)
    places = np.flatnonzero(chosen)
    chosen[places[~_lowest(spec, outline.hashes[places], outline.outcomes[places], most)]] = False
    return chosen


def limited(spec: ProjectSpec, events: DataFrame, cutoff: datetime) -> DataFrame:
    """Return the labelled events that a training takes."""
    if len(events) <= spec.training.max_rows:
        return events
    rows = events[choose(spec, Outline.of(spec, events), cutoff)]
    rows.attrs[KNOWN] = len(events)
    return rows


def most(spec: ProjectSpec, events: DataFrame, count: int) -> DataFrame:
    """Return at most so many labelled events, the classes in proportion."""
    if len(events) <= count:
        return events
    outline = Outline.of(spec, events)
    return events[_lowest(spec, outline.hashes, outline.outcomes, count)]


def _lowest(spec: ProjectSpec, hashes: Hashes, outcomes: npt.NDArray[np.float64], count: int) -> Mask:
    """Return which events have the lowest hashes of their class, so many of all classes together."""
    chosen = np.ones(len(hashes), dtype=bool)
    if len(hashes) > count:
        shuffled = pd.Series(hashes).groupby(outcomes if tasks.of(spec).classes else np.zeros(len(hashes)))
        # Where a row stands in its class, from 0 to 1: the lowest of all are of each class in proportion.
        standing = (shuffled.rank(method="first") - 0.5) / shuffled.transform("size")
        chosen[np.lexsort((hashes, standing))[count:]] = False
    return chosen


def _start(spec: ProjectSpec, asked: npt.NDArray[np.int64], cutoff: datetime) -> int:
    """Return the instant of the first of the most recent rows, in microseconds since 1970."""
    latest = np.partition(asked, -spec.training.max_rows)[-spec.training.max_rows]
    whole = cutoff - spec.training.holdout / spec.training.holdout_share
    return min(int(latest), int(whole.timestamp() * 1_000_000))
