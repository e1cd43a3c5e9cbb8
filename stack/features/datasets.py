"""The data sets that flows ask for: labelled events with features, a window to monitor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pandas import DataFrame, Series

from stack.features import feature_tables, features
from stack.lake import lake
from stack.project import Project, contract
from stack.specification import tasks
from stack.specification.specs import ProjectSpec

INSTANT = "datetime64[us, UTC]"


def ingested_until(project: Project) -> datetime:
    """The end of the last batch in the lake; ``clock.start`` when there is none."""
    batches = lake.batches(project.settings, project.spec)
    return batches["until"].max().to_pydatetime() if len(batches) else project.spec.clock.start


def served_until(project: Project) -> datetime:
    """The instant up to which features are computed and online; it is behind the lake after a killed ingest."""
    return feature_tables.served_until(project.settings.feature_tables / project.spec.name, project.spec.clock.start)


def events(project: Project, until: datetime) -> DataFrame:
    """All events that the lake knows of at an instant, their outcomes encoded as `stack.specification.tasks` says."""
    return _events(project.spec, lake.read(project.settings, project.spec, until=until))


def labelled(project: Project, cutoff: datetime) -> DataFrame:
    """Events whose label was known at the cut-off, with the features of their own instant.

    Returns:
        One row an event: ``event_id``, ``event_timestamp``, request fields, the label, ``label_available_at`` and
        the columns of ``features.columns``.
    """
    tables = lake.read(project.settings, project.spec, until=cutoff)
    return features.training_set(project, answered(project.spec, tables, cutoff))


def answered(spec: ProjectSpec, tables: Mapping[str, DataFrame], cutoff: datetime) -> DataFrame:
    """Events of raw rows whose outcome was known at the cut-off, without features."""
    found = _events(spec, tables)
    return found[_known(spec, found, cutoff)]


def arrived(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Labelled events whose raw row became known in (since, until], without features."""
    found = _events(project.spec, lake.read(project.settings, project.spec, since=since, until=until))
    return found[found[project.spec.label].notna()]


def window(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Labelled events whose instant lies in (since, until], with features: what monitoring looks at."""
    found = events(project, until)
    found = found[(found["event_timestamp"] > since) & (found["event_timestamp"] <= until)]
    return features.training_set(project, found[_known(project.spec, found, until)])


def _events(spec: ProjectSpec, tables: Mapping[str, DataFrame]) -> DataFrame:
    """Turn raw rows into events; their outcomes become floats here, and nowhere else."""
    if not any(len(frame) for frame in tables.values()):
        return _none(spec)
    found = contract.features(spec.name).events(tables)
    where = f"projects/{spec.name}/features.py, events(), column {spec.label}"
    return found.assign(**{spec.label: tasks.of(spec).encode(found[spec.label], where)})


def _none(spec: ProjectSpec) -> DataFrame:
    """No events: raw tables without a row have no columns to make them of."""
    kinds = {"event_timestamp": INSTANT, "label_available_at": INSTANT, spec.label: "float64"}
    return DataFrame(columns=["event_id", *spec.request, *kinds]).astype(kinds)


def _known(spec: ProjectSpec, events: DataFrame, at: datetime) -> Series[bool]:
    """Which events have an outcome that was known at an instant."""
    return events[spec.label].notna() & (events["label_available_at"] <= at)
