"""A replayed period as it went: live, frozen and oracle answers by week, reports, decisions, and what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pandas as pd
from pandas import DataFrame

from monitoring import oracle, pages
from monitoring.oracle import Week
from monitoring.performance import measure
from stack.core.errors import StackError
from stack.features import datasets
from stack.prediction_log import predictions
from stack.project import Project, contract
from stack.promotion import decisions
from stack.promotion.decisions import Entry, Live
from stack.registry import artifacts
from stack.serving import scoring
from stack.serving.caller import prediction_ids
from stack.specification import tasks
from stack.specification.specs import ProjectSpec

WEEK = timedelta(days=7)
INSTANT = timedelta(microseconds=1)
CHUNK = timedelta(days=14)
KINDS = ("live", "frozen", "oracle")
Say = Callable[[str], object]


@dataclass(frozen=True)
class Requests:
    """What was asked, of what there was to ask."""

    due: int
    answered: int
    """Events of the replay in the log."""
    twice: int
    """Rows of the log beyond one an event."""
    lost: int
    labelled: int


@dataclass(frozen=True)
class Year:
    """Everything that the report shows."""

    spec: ProjectSpec
    since: datetime
    until: datetime
    weeks: DataFrame
    """``since`` of each week, ``rows``, and each metric of each kind as ``<kind>.<metric>``."""
    totals: dict[str, dict[str, float | None]]
    """Kind -> metrics over all labelled rows that all kinds answered."""
    reviews: list[dict[str, Any]]
    """Summaries of the reports."""
    decisions: list[Entry]
    live: list[Live]
    requests: Requests

    @property
    def retrainings(self) -> int:
        """Versions that were judged after the first champion."""
        return len({one.version for one in self.decisions if one.kind != "rollback" and one.at > self.since})


def collect(project: Project, say: Say) -> Year:
    """Gather a replay from its beginning to the project's now.

    Raises:
        StackError: nothing has been replayed, or there is no audit of a champion.
    """
    since = project.spec.clock.first_now or project.spec.clock.start
    until = project.clock.now()
    live = decisions.live(project)
    if until <= since or not live:
        raise StackError(
            f"replay of {project.spec.name}",
            found=f"the clock at {until:%Y-%m-%d %H:%M}, {len(live)} champions in the audit",
            expected=f"a champion, and time played after {since:%Y-%m-%d %H:%M}",
            todo=f"make replay PROJECT={project.spec.name} UNTIL=...",
        )
    weeks = list(_weeks(since, until))
    rows = _logged(project, live[0].version, weeks[0][0], weeks[-1][1], say)
    rows, requests = _requests(project.spec, rows, since, until)
    labelled = rows[rows["label"].notna()]
    say("oracle: reading the features of every labelled event")
    events = datasets.labelled(project, until)
    folder = project.settings.home / "cache" / "oracle" / project.spec.name
    best = oracle.answers(folder, project.spec, events, weeks, _recipes(project, live), say)
    best = best.assign(id=prediction_ids(project.spec, best.pop("event_id")))
    joined = labelled.merge(best.rename(columns=_named(project.spec, "oracle")), on="id")
    say(f"{len(joined):,} labelled answers, {requests.lost:,} of {requests.due:,} events without one")
    return Year(
        project.spec,
        since,
        until,
        DataFrame(_week(project.spec, joined, *week) for week in weeks),
        {kind: _measured(project.spec, joined, kind) for kind in KINDS},
        [
            one
            for one in pages.summaries(project.settings, project.spec.name)
            if since < datetime.fromisoformat(one["at"]) <= until
        ],
        decisions.entries(project),
        live,
        requests,
    )


def _weeks(since: datetime, until: datetime) -> Iterator[Week]:
    while since < until:
        yield since, min(since + WEEK, until)
        since += WEEK


def _logged(project: Project, first: str, since: datetime, until: datetime, say: Say) -> DataFrame:
    """Read the log of [since, until), and answer its features with the first champion too."""
    frozen, outputs, parts = project.registry.numbered(first), tasks.of(project.spec).outputs, []
    kept = ["id", "event_timestamp", "label", *outputs]
    start = since - INSTANT
    while start < until - INSTANT:
        end = min(start + CHUNK, until - INSTANT)
        log = project.log.read(start, end)
        if len(log):
            asked = log.drop(columns=[name for name in predictions.answer_columns(project.spec) if name in log])
            again = scoring.score(project, frozen, asked)[list(outputs)]
            parts.append(log[kept].assign(**{_named(project.spec, "frozen")[name]: again[name] for name in outputs}))
        say(f"frozen: answers of {first} up to {end:%Y-%m-%d}")
        start = end
    if not parts:
        raise StackError(f"prediction log of {project.spec.name}", found="no row", expected="the answers of a replay")
    return pd.concat(parts, ignore_index=True).rename(columns=_named(project.spec, "live"))


def _named(spec: ProjectSpec, kind: str) -> dict[str, str]:
    return {output: f"{kind}.{output}" for output in tasks.of(spec).outputs}


def _requests(spec: ProjectSpec, rows: DataFrame, since: datetime, until: datetime) -> tuple[DataFrame, Requests]:
    """Leave out what others asked, and count the rest."""
    asked = contract.request_source(spec.name).requests(since - INSTANT, until - INSTANT)
    due = set(prediction_ids(spec, asked["event_id"]))
    rows = rows[rows["id"].isin(due)]
    answered = rows["id"].nunique()
    return rows, Requests(
        due=len(due),
        answered=answered,
        twice=len(rows) - answered,
        lost=len(due) - answered,
        labelled=int(rows["label"].notna().sum()),
    )


def _recipes(project: Project, live: list[Live]) -> Callable[[datetime], oracle.Recipe]:
    """Give the recipe of the version that was live at an instant."""

    @cache
    def of(version: str) -> dict[str, Any]:
        with artifacts.folder(project.settings, project.registry.numbered(version), "recipe") as folder:
            found: dict[str, Any] = json.loads((folder / "recipe.json").read_text())
            return found

    def at(instant: datetime) -> oracle.Recipe:
        began = [span for span in live if span.since is None or span.since <= instant]
        return of((began or live)[-1 if began else 0].version)

    return at


def _week(spec: ProjectSpec, rows: DataFrame, since: datetime, until: datetime) -> dict[str, Any]:
    found = rows[(rows["event_timestamp"] >= since) & (rows["event_timestamp"] < until)]
    metrics = {f"{kind}.{name}": value for kind in KINDS for name, value in _measured(spec, found, kind).items()}
    return {"since": since, "rows": len(found)} | metrics


def _measured(spec: ProjectSpec, rows: DataFrame, kind: str) -> dict[str, float | None]:
    named = {wanted: output for output, wanted in _named(spec, kind).items()}
    return measure(spec, rows[[*named, "label"]].rename(columns=named), "label") or {}
