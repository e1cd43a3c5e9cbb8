"""The data sets of the flows: labelled events with features, and the window that is monitored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pandas import DataFrame, Series

from stack.features import feature_tables, features
from stack.project import Project, contract
from stack.specification import tasks
from stack.specification.specs import ProjectSpec

TIMESTAMP = "datetime64[us, UTC]"


def ingested_until(project: Project) -> datetime:
    """Return the end of the last batch in the lake; ``clock.start`` when there is none."""
    batches = project.lake.batches()
    return batches["until"].max().to_pydatetime() if len(batches) else project.spec.clock.start


def served_until(project: Project) -> datetime:
    """Return the instant up to which features are computed and online; a killed ingest leaves it behind the lake."""
    return feature_tables.served_until(project.settings.feature_tables / project.spec.name, project.spec.clock.start)


def events(project: Project, until: datetime) -> DataFrame:
    """Return all events that the lake has at an instant, with encoded outcomes (:mod:`stack.specification.tasks`)."""
    return _events(project.spec, project.lake.read(until=until))


def labelled(project: Project, cutoff: datetime) -> DataFrame:
    """Return the events whose label was known at the cut-off, with the features of their own instant.

    Returns:
        One row an event: ``event_id``, ``event_timestamp``, request fields, the label, ``label_available_at`` and
        the columns of ``features.columns``.
    """
    tables = project.lake.read(until=cutoff)
    return features.training_set(project, answered(project.spec, tables, cutoff))


def answered(spec: ProjectSpec, tables: Mapping[str, DataFrame], cutoff: datetime) -> DataFrame:
    """Return the events of raw rows whose outcome was known at the cut-off, without features."""
    events = _events(spec, tables)
    return events[_known(spec, events, cutoff)]


def arrived(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Return the labelled events whose raw row became known in (since, until], without features."""
    events = _events(project.spec, project.lake.read(since=since, until=until))
    return events[events[project.spec.label].notna()]


def window(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Return the labelled events of (since, until], with features: the rows that are monitored."""
    known = events(project, until)
    known = known[(known["event_timestamp"] > since) & (known["event_timestamp"] <= until)]
    return features.training_set(project, known[_known(project.spec, known, until)])


def _events(spec: ProjectSpec, tables: Mapping[str, DataFrame]) -> DataFrame:
    """Turn raw rows into events; their outcomes become floats here, and nowhere else."""
    if not any(len(frame) for frame in tables.values()):
        return _no_events(spec)
    events = contract.features(spec.name).events(tables)
    where = f"projects/{spec.name}/features.py, events(), column {spec.label}"
    return events.assign(**{spec.label: tasks.of(spec).encode(events[spec.label], where)})


def _no_events(spec: ProjectSpec) -> DataFrame:
    """Return a frame without rows: empty raw tables lack the columns to compute events from."""
    kinds = {"event_timestamp": TIMESTAMP, "label_available_at": TIMESTAMP, spec.label: "float64"}
    return DataFrame(columns=["event_id", *spec.request, *kinds]).astype(kinds)


def _known(spec: ProjectSpec, events: DataFrame, at: datetime) -> Series[bool]:
    """Return which events have an outcome that was known at an instant."""
    return events[spec.label].notna() & (events["label_available_at"] <= at)
