"""The data of the replay page: live, frozen and oracle performance by week, drift reports, decisions and requests."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pandas as pd
from pandas import DataFrame

from monitoring import pages
from monitoring.replay import oracle
from stack.core.clock import spans
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.features import datasets
from stack.project import Project, contract
from stack.promotion import decisions
from stack.promotion.decisions import Entry, Live
from stack.registry import artifacts
from stack.serving import scoring
from stack.serving.client import prediction_ids
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training.evaluation import measure

WEEK = timedelta(days=7)
INSTANT = timedelta(microseconds=1)
CHUNK = timedelta(days=14)
KINDS = ("live", "frozen", "oracle")


@dataclass(frozen=True)
class Requests:
    """Counts of the events of a replay, and of their predictions in the log."""

    due: int
    answered: int
    """Events with a prediction in the log."""
    twice: int
    """Predictions beyond the first one of their event."""
    lost: int
    labelled: int


@dataclass(frozen=True)
class Period:
    """A replayed period: everything that its page shows."""

    spec: ProjectSpec
    since: datetime
    until: datetime
    weeks: DataFrame
    """``since`` of each week, ``rows``, and each metric of each kind as ``<kind>.<metric>``."""
    totals: dict[str, dict[str, float | None]]
    """Kind -> metrics over the labelled rows that have an answer of each kind."""
    reviews: list[dict[str, Any]]
    """Summaries of the reports."""
    decisions: list[Entry]
    live: list[Live]
    requests: Requests

    @property
    def retrainings(self) -> int:
        """Number of versions that the gate judged after the first champion."""
        return len({entry.version for entry in self.decisions if entry.kind != "rollback" and entry.at > self.since})


def collect(project: Project, report: Reporter) -> Period:
    """Collect a replay from its beginning to the project's "now".

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
    weeks = list(spans(since, until, WEEK))
    rows = _logged(project, live[0].version, weeks[0][0], weeks[-1][1], report)
    rows, requests = _requests(project.spec, rows, since, until)
    labelled = rows[rows["label"].notna()]
    report("oracle: reading the features of every labelled event")
    events = datasets.labelled(project, until)
    folder = project.settings.home / "cache" / "oracle" / project.spec.name
    best = oracle.answers(folder, project.spec, events, weeks, _recipes(project, live), report)
    best = best.assign(id=prediction_ids(project.spec, best.pop("event_id")))
    joined = labelled.merge(best.rename(columns=_named(project.spec, "oracle")), on="id")
    report(f"{len(joined):,} labelled answers, {requests.lost:,} of {requests.due:,} events without one")
    reviews = pages.summaries(project.settings, project.spec.name)
    return Period(
        project.spec,
        since,
        until,
        DataFrame(_week(project.spec, joined, *week) for week in weeks),
        {kind: _measured(project.spec, joined, kind) for kind in KINDS},
        [review for review in reviews if since < datetime.fromisoformat(review["at"]) <= until],
        decisions.entries(project),
        live,
        requests,
    )


def _logged(project: Project, first: str, since: datetime, until: datetime, report: Reporter) -> DataFrame:
    """Read the log of [since, until), and add the answers of the first champion on the same features."""
    frozen, outputs, parts = project.registry.numbered(first), list(project.task.outputs), []
    for start, end in spans(since - INSTANT, until - INSTANT, CHUNK):
        log = project.log.read(start, end)
        if len(log):
            inputs = log.drop(
                columns=[name for name in (*project.task.answer_dtypes, *project.task.ends) if name in log]
            )
            answers = scoring.score(project, frozen, inputs)[outputs].rename(columns=_named(project.spec, "frozen"))
            parts.append(log[["id", "event_timestamp", "label", *outputs]].join(answers))
        report(f"frozen: answers of {first} up to {end:%Y-%m-%d}")
    if not parts:
        raise StackError(f"prediction log of {project.spec.name}", found="no row", expected="the answers of a replay")
    return pd.concat(parts, ignore_index=True).rename(columns=_named(project.spec, "live"))


def _named(spec: ProjectSpec, kind: str) -> dict[str, str]:
    return {output: f"{kind}.{output}" for output in tasks.of(spec).outputs}


def _requests(spec: ProjectSpec, rows: DataFrame, since: datetime, until: datetime) -> tuple[DataFrame, Requests]:
    """Leave out the predictions that are not of the replay, and count the others."""
    requests = contract.request_source(spec.name).requests(since - INSTANT, until - INSTANT)
    due = set(prediction_ids(spec, requests["event_id"]))
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
    """Return the function that gives the recipe of the version that was live at an instant."""

    @cache
    def of(version: str) -> oracle.Recipe:
        with artifacts.folder(project.settings, project.registry.numbered(version), "recipe") as folder:
            recipe: oracle.Recipe = json.loads((folder / "recipe.json").read_text())
            return recipe

    def at(instant: datetime) -> oracle.Recipe:
        began = [span for span in live if span.since is None or span.since <= instant] or live[:1]
        return of(began[-1].version)

    return at


def _week(spec: ProjectSpec, rows: DataFrame, since: datetime, until: datetime) -> dict[str, Any]:
    week = rows[(rows["event_timestamp"] >= since) & (rows["event_timestamp"] < until)]
    metrics = {f"{kind}.{name}": value for kind in KINDS for name, value in _measured(spec, week, kind).items()}
    return {"since": since, "rows": len(week)} | metrics


def _measured(spec: ProjectSpec, rows: DataFrame, kind: str) -> dict[str, float | None]:
    named = {column: output for output, column in _named(spec, kind).items()}
    return measure(spec, rows[[*named, "label"]].rename(columns=named), "label") or {}
