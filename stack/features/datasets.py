"""The data sets of the flows: labelled events with features, and the window that is monitored."""

from __future__ import annotations

from datetime import datetime

from pandas import DataFrame, Series

from stack.features import features
from stack.project import Project, contract
from stack.project.contract import Tables
from stack.specification import frames, tasks
from stack.specification.specs import ProjectSpec


def ingested_until(project: Project) -> datetime:
    """Return the end of the last batch in the lake; ``clock.start`` when there is none."""
    batches = project.lake.batches()
    return batches["until"].max().to_pydatetime() if len(batches) else project.spec.clock.start


def events(project: Project, until: datetime) -> DataFrame:
    """Return all events that the lake has at an instant, with encoded outcomes (:mod:`stack.specification.tasks`)."""
    return _events(project.spec, project.lake.read(until=until))


def labelled(project: Project, cutoff: datetime) -> DataFrame:
    """Return the events whose label was known at the cut-off, with the features of their own instant.

    One row an event: ``event_id``, ``event_timestamp``, request fields, the label, ``label_available_at`` and the
    columns of ``features.columns``.
    """
    return features.training_set(project, answered(project.spec, project.lake.read(until=cutoff), cutoff))


def answered(spec: ProjectSpec, tables: Tables, cutoff: datetime) -> DataFrame:
    """Return the events of raw rows whose outcome was known at the cut-off, without features."""
    events = _events(spec, tables)
    return events[_is_labelled(spec, events, cutoff)]


def arrived(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Return the labelled events whose raw row became known in (since, until], without features."""
    events = _events(project.spec, project.lake.read(since=since, until=until))
    return events[events[project.spec.label].notna()]


def window(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Return the labelled events of (since, until], with features: the rows that are monitored."""
    rows = events(project, until)
    inside = (rows["event_timestamp"] > since) & (rows["event_timestamp"] <= until)
    return features.training_set(project, rows[inside & _is_labelled(project.spec, rows, until)])


def _events(spec: ProjectSpec, tables: Tables) -> DataFrame:
    """Turn raw rows into events; their outcomes become floats here, and nowhere else."""
    if not any(len(frame) for frame in tables.values()):
        # Empty raw tables lack the columns to compute events from.
        dtypes = dict.fromkeys(frames.EVENT[1:], frames.INSTANT) | {spec.label: "float64"}
        return DataFrame(columns=["event_id", *spec.request, *dtypes]).astype(dtypes)
    events, where = contract.features(spec.name).events(tables), f"projects/{spec.name}/features.py, events()"
    for problem in frames.problems(where, events, [*frames.EVENT, *spec.request, spec.label]):
        raise problem
    outcomes = tasks.of(spec).encode(events[spec.label], f"{where}, column {spec.label}")
    return frames.with_columns(events, {spec.label: outcomes})


def _is_labelled(spec: ProjectSpec, events: DataFrame, at: datetime) -> Series[bool]:
    """Return which events have an outcome that was known at an instant."""
    return events[spec.label].notna() & (events["label_available_at"] <= at)
