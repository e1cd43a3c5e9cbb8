"""The data sets of the flows: labelled events with features, and the window that is monitored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from stack.features import features, sampling
from stack.project import Project, contract
from stack.project.contract import Tables
from stack.specification import frames, tasks
from stack.specification.specs import ProjectSpec

Join = Callable[[Project, DataFrame], DataFrame]
MONITORED = 200_000
"""Rows of a report at most: what it says is then a matter of its rows no more, and Evidently takes half of them."""


def ingested_until(project: Project) -> datetime:
    """Return the end of the last batch in the lake; ``clock.start`` when there is none."""
    return project.lake.ingested_until() or project.spec.clock.start


def events(project: Project, until: datetime) -> DataFrame:
    """Return all events that the lake has at an instant, with encoded outcomes (:mod:`stack.specification.tasks`)."""
    return _events(project.spec, project.lake.read(until=until))


def labelled(project: Project, cutoff: datetime, join: Join | None = None) -> DataFrame:
    """Return the events whose label was known at the cut-off, with the features of their own instant.

    One row an event: ``event_id``, ``event_timestamp``, request fields, the label, ``label_available_at`` and the
    columns of ``features.columns``. Of more than ``training.max_rows`` events some are taken (:mod:`.sampling`);
    ``attrs[sampling.KNOWN]`` is then the number of all.

    Args:
        join: adds the features to events, as :func:`.features.training_set` does, which is used when omitted.

    Raises:
        StackError: the project's model is trained elsewhere.
    """
    project.spec.require_training()
    events = _sampled(project, cutoff)
    rows = (join or features.training_set)(project, events)
    rows.attrs |= events.attrs
    return rows


def _sampled(project: Project, cutoff: datetime) -> DataFrame:
    """Return the labelled events that a training takes; they are computed twice where they are many."""

    def blocks() -> Iterator[DataFrame]:
        return (answered(project.spec, tables, cutoff) for tables in project.lake.blocks(cutoff))

    reading = blocks()
    first, second = next(reading), next(reading, None)
    if second is None:
        return sampling.limited(project.spec, first, cutoff)
    outlines = [sampling.Outline.of(project.spec, events) for events in chain((first, second), reading)]
    del first, second
    chosen = sampling.choose(project.spec, sampling.Outline.joined(outlines), cutoff)
    parts = np.split(chosen, np.cumsum([len(outline.asked) for outline in outlines])[:-1])
    taken = (events[part] for events, part in zip(blocks(), parts, strict=True))
    rows = pd.concat([events for events in taken if len(events)], ignore_index=True)
    rows.attrs[sampling.KNOWN] = len(chosen)
    return rows


def answered(spec: ProjectSpec, tables: Tables, cutoff: datetime) -> DataFrame:
    """Return the events of raw rows whose outcome was known at the cut-off, without features."""
    events = _events(spec, tables)
    return events[_is_labelled(spec, events, cutoff)]


def arrived(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Return the labelled events whose raw row became known in (since, until], without features."""
    events = _events(project.spec, project.lake.read(since=since, until=until))
    return events[events[project.spec.label].notna()]


def window(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Return the labelled events of (since, until], with features: the rows that are monitored.

    Of more than `MONITORED` events, the lowest hashes are taken, the classes in proportion.
    """
    blocks = (answered(project.spec, tables, until) for tables in project.lake.blocks(until))
    parts = [rows[(rows["event_timestamp"] > since) & (rows["event_timestamp"] <= until)] for rows in blocks]
    filled = [part for part in parts if len(part)]
    events = pd.concat(filled, ignore_index=True) if len(filled) > 1 else (filled or parts)[0]
    return features.training_set(project, sampling.most(project.spec, events, MONITORED))


def _events(spec: ProjectSpec, tables: Tables) -> DataFrame:
    """Turn raw rows into events; their outcomes become floats here, and nowhere else."""
    if not any(len(frame) for frame in tables.values()):
        # Empty raw tables lack the columns to compute events from.
        dtypes = dict.fromkeys(frames.EVENT[1:], frames.INSTANT) | {spec.label: "float64"}
        return DataFrame(columns=["event_id", *spec.request, *dtypes]).astype(dtypes)
    events, where = contract.features(spec.name).events(tables), f"projects/{spec.name}/features.py, events()"
    group = [spec.training.group] if spec.training.group else []
    for problem in frames.problems(where, events, [*frames.EVENT, *spec.request, spec.label, *group]):
        raise problem
    outcomes = tasks.of(spec).encode(events[spec.label], f"{where}, column {spec.label}")
    return frames.with_columns(events, {spec.label: outcomes})


def _is_labelled(spec: ProjectSpec, events: DataFrame, at: datetime) -> Series[bool]:
    """Return which events have an outcome that was known at an instant."""
    return events[spec.label].notna() & (events["label_available_at"] <= at)
