"""Rows that a champion has not been trained on: its logged answers, and what has come into the lake since its cut-off.

A frame of them has ``attrs``: ``origin`` (`REQUESTS` or `NEW_ROWS`), ``new`` (how many rows the champion has not been
trained on) and ``trained_on`` (of how many the label is removed, as the champion was trained on the event).
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from functools import partial
from typing import Any

import pandas as pd
from pandas import DataFrame, Series

from stack.features import datasets, features, sampling
from stack.prediction_log.predictions import HASH, event_key
from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving import scoring
from stack.specification import tasks
from stack.specification.specs import ProjectSpec

REQUESTS, NEW_ROWS = "requests", "new rows"
LEAST, FIRST = 50, "first_answers"
"""An import with a smaller sample has its first answers as reference, so many by the attribute of this name."""


def has_time(spec: ProjectSpec) -> bool:
    """Return whether any table has instants of its own; what changes in the others has no season."""
    return not all(table.snapshot for table in spec.tables.values())


def answered(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Return the logged predictions asked in (since, until]: features, answers, and the label where it is known."""
    return project.log.read(since, until).rename(columns={"label": project.spec.label})


def judged(project: Project, champion: Version, at: datetime) -> DataFrame:
    """Return the champion's own labelled answers since its training cut-off, from which calibration is measured."""
    label = project.spec.label
    if has_time(project.spec):
        outcomes = project.log.outcomes(champion.cutoff, at).rename(columns={"label": label})
    else:
        outcomes = _unseen(project, champion, answered(project, champion.cutoff, at), "label_at").dropna(subset=label)
    return outcomes[outcomes["model_version"] == champion.version]


def window(project: Project, champion: Version, at: datetime) -> list[DataFrame]:
    """Return the rows of a report at an instant, by origin, the larger first.

    The requests are the logged predictions of the monitoring window. Where a table with time has fewer than
    ``monitoring.min_rows`` of them, and of a table without time, the new rows of the lake come beside them.
    """
    since = at - project.spec.monitoring.window
    requests = _unseen(project, champion, answered(project, since, at), "label_at")
    requests.attrs |= {"origin": REQUESTS, "new": len(requests)}
    if has_time(project.spec) and len(requests) >= project.spec.monitoring.min_rows:
        return [requests]
    rows = _of_window(project, champion, since, at) if has_time(project.spec) else _arrived(project, champion, at)
    rows.attrs |= {"origin": NEW_ROWS}
    return sorted([requests, rows], key=lambda frame: (frame.attrs["new"], len(frame)), reverse=True)


def reference(project: Project, champion: Version, *, honest: bool) -> DataFrame:
    """Return the champion's training reference, without the labels of rows that its predictions were fitted on.

    Args:
        honest: of the predictions, too, only those of the holdout before the refit: a model is surer of rows that it
            was fitted on than of any other, which few columns and rows tell from a drift.
    """
    rows, spec = artifacts.reference(project.settings, champion), project.spec
    if champion.imported and len(rows) < LEAST:
        rows = _first(project, champion)
    if champion.imported or not honest:
        return rows.drop(columns=spec.label)
    held_out = artifacts.holdout(project.settings, champion)
    columns = [*tasks.of(spec).outputs, spec.label]
    ours, theirs = (
        pd.util.hash_pandas_object(frame[[*spec.features.columns]], index=False) for frame in (rows, held_out)
    )
    answers = held_out[columns].set_axis(theirs).loc[lambda frame: ~frame.index.duplicated()].reindex(ours)
    return rows.drop(columns=columns).assign(**{name: answers[name].to_numpy() for name in columns})


def _first(project: Project, champion: Version) -> DataFrame:
    """Return the answers of an imported champion's first window; once it is over, they are kept as its reference."""
    spec, now = project.spec, project.clock.now()
    rows = answered(project, champion.cutoff, now)
    rows = rows[rows["model_version"] == champion.version]
    end = rows["event_timestamp"].min() + spec.monitoring.window
    columns = ["event_timestamp", *spec.features.columns, spec.label, *tasks.of(spec).outputs]
    first: DataFrame = rows.loc[rows["event_timestamp"] <= end, columns].reset_index(drop=True)
    first.attrs = {FIRST: len(first)}
    if now > end and len(first) >= LEAST:
        artifacts.upload(project.settings, champion, "reference", {"reference.parquet": first.to_parquet(index=False)})
    return first


def _of_window(project: Project, champion: Version, since: datetime, at: datetime) -> DataFrame:
    """Return the labelled events of the window that are new to the champion, scored.

    Where none is, the rows are none; those of an imported champion, which was trained elsewhere, are all there are.
    """
    events = datasets.window(project, since, at)
    new = events["label_available_at"] > champion.cutoff
    wanted = new if new.any() or not champion.imported else new | True
    rows = scoring.score(project, champion, events[wanted]) if wanted.any() else events[wanted]
    rows = _unseen(project, champion, rows, "label_available_at")
    rows.attrs |= {"new": int(new.sum())}
    if not wanted.any():
        rows.attrs |= {"trained_on": len(events)}
    return rows


def _arrived(project: Project, champion: Version, at: datetime) -> DataFrame:
    """Return the labelled rows that came or changed after the champion's cut-off, scored."""
    events = datasets.arrived(project, champion.cutoff, at)
    events = sampling.most(project.spec, events, datasets.MONITORED)
    events = events.assign(event_key=_keys(project.spec, events))  # features are float32, and may be named as fields
    rows = scoring.score(project, champion, features.training_set(project, events))
    rows = _unseen(project, champion, rows, "label_available_at")
    rows.attrs |= {"new": len(rows)}
    return rows


def _unseen(project: Project, champion: Version, rows: DataFrame, known_at: str) -> DataFrame:
    """Remove the labels of events that the champion was trained on.

    Args:
        known_at: column with the instant at which a label became known. A row of a table without time comes again
            under other instants: there the event counts, by its id or by request fields that one row alone had.
    """
    label = project.spec.label
    seen = rows[label].notna() & (rows[known_at] <= champion.cutoff) & (not champion.imported)
    if not champion.imported and not has_time(project.spec) and rows[label].notna().any():
        ids, keys = _trained(project, champion)
        seen |= rows[label].notna() & rows["event_key"].isin(keys)
        if "event_id" in rows:
            seen |= rows[label].notna() & rows["event_id"].astype(str).isin(ids)
    unseen = rows.assign(**{label: rows[label].where(~seen)})
    unseen.attrs |= {"trained_on": int(seen.sum())}
    return unseen


def _trained(project: Project, champion: Version) -> tuple[Set[str], Set[str]]:
    """Return the ids of the events known at the champion's cut-off, and the keys that one of them alone has."""
    events = datasets.events(project, champion.cutoff)
    keys = _keys(project.spec, events)
    own = keys[~keys.duplicated(keep=False)]
    return set(events["event_id"].astype(str)), {*own, *own.str[-HASH:]}


def _keys(spec: ProjectSpec, rows: DataFrame) -> Series[Any]:
    """Return the key of each row's event, as the prediction log computes it from a request."""
    fields = {}
    for name, field in spec.request.items():
        values = rows[name].astype(field.field_type.frame_dtype or rows[name].dtype).astype(object)
        fields[name] = values.where(values.notna(), None)
    records = (dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True))
    return pd.Series(map(partial(event_key, spec), records), index=rows.index, dtype=object)


def label(project: Project, since: datetime, until: datetime) -> int:
    """Join the labels of the rows that became known in (since, until] to their predictions; return their number."""
    if project.log.is_empty():  # the first batch may be years long
        return 0
    events = datasets.arrived(project, since, until)
    labels = events.rename(columns={project.spec.label: "label", "label_available_at": "label_at"})
    return project.log.label_events(labels[["label", "label_at", *project.spec.request]])
