"""The order of a replay: features come online as they become known, and every event is predicted at its instant.

Features change only at their instants (hourly ticks for flights). All events between two of them are predicted in one
request, each as of its own instant: they get the features that the offline store gives for it. Instants between which
nobody asks come online together.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import pandas as pd
import pyarrow.parquet as pq

from stack.core.errors import StackError
from stack.core.profile import step
from stack.features import feature_tables, features
from stack.features._compat import OnlineRow, online_rows, write_online
from stack.features.feature_tables import TIME
from stack.project import Project, contract
from stack.serving.client import PredictionClient, prediction_ids
from stack.specification.specs import ProjectSpec

DAY, INSTANT = timedelta(days=1), timedelta(microseconds=1)


class Ticks:
    """Brings the feature rows of a window online, instant by instant; keeps the store open."""

    def __init__(self, project: Project) -> None:
        self._store = features.store(project.settings)
        self._folder = feature_tables.folder(project)
        self._views = {view.name: view for view in features.views(self._store, project.spec)}
        self._rows: dict[datetime, dict[str, list[OnlineRow]]] = {}

    def load(self, since: datetime, until: datetime) -> list[datetime]:
        """Load the rows of (since, until]; return the instants at which some become known, in order."""
        self._rows = {}
        window = [(TIME, ">", pd.Timestamp(since)), (TIME, "<=", pd.Timestamp(until))]
        for view in feature_tables.filled(self._folder, self._views):
            for row in online_rows(self._views[view], pq.read_table(self._folder / view, filters=window)):
                self._rows.setdefault(row.event_timestamp, {}).setdefault(view, []).append(row)
        return sorted(self._rows)

    def push(self, instants: Iterable[datetime]) -> None:
        """Bring the rows of some instants online, given in order."""
        for name, view in self._views.items():
            rows = [row for instant in instants for row in self._rows.get(instant, {}).get(name, ())]
            if rows:
                write_online(self._store, view, rows)


def days(spec: ProjectSpec, now: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield (since, until] of each day (UTC), from the day that contains `now` up to `until`.

    An interrupted day is played again from its start: what is done already is not done twice.
    """
    since = max(_midnight(now), first_instant(spec))
    while since < until:
        end = min(_midnight(since) + DAY, until)
        yield since, end
        since = end


def first_instant(spec: ProjectSpec) -> datetime:
    """Return where a replay begins: "now" after the first pipeline."""
    return (spec.clock.first_now or spec.clock.start).astimezone(UTC)


def is_review(spec: ProjectSpec, at: datetime) -> bool:
    """Return whether the project is monitored at an instant: each `monitoring.every` since the replay began."""
    return at > first_instant(spec) and not (at - first_instant(spec)) % spec.monitoring.every


def require_replay(spec: ProjectSpec, now: datetime) -> None:
    """Refuse a project that cannot be replayed.

    Raises:
        StackError: the project runs on the wall clock, or its first pipeline has not run.
    """
    if spec.clock.kind != "replay":
        raise StackError(
            f"projects/{spec.name}/project.yaml, key clock.kind",
            found=spec.clock.kind,
            expected="replay: only recorded data can be replayed",
        )
    if now < first_instant(spec):
        raise StackError(
            f"clock of {spec.name}",
            found=now.isoformat(),
            expected=f"at least {first_instant(spec).isoformat()}, where the first pipeline leaves it",
            todo=f"run `make run PROJECT={spec.name}`",
        )


def play(project: Project, ticks: Ticks, client: PredictionClient, since: datetime, until: datetime) -> int:
    """Play (since, until]: push features, advance the clock, predict every event of [since, until) that is not logged.

    The feature tables of the window exist. The clock ends before `until`: the day has more to do.

    Returns:
        Number of events predicted.
    """
    with step("read the requests"):
        rows = contract.request_source(project.name).requests(since - INSTANT, until - INSTANT)
        rows = rows.assign(prediction_id=prediction_ids(project.spec, rows["event_id"]))
        pending = rows[~rows["prediction_id"].isin(project.log.ids(since - INSTANT, until))]
    with step("bring features online"):
        instants = ticks.load(since, until)
    ahead: list[datetime] = []
    for instant, following in pairwise([since, *instants, until]):
        ahead.append(instant)
        due = pending[(pending["asked_at"] >= instant) & (pending["asked_at"] < following)]
        if len(due):
            with step("bring features online"):
                ticks.push(ahead)
            ahead = []
            with step("advance the clock"):
                project.clock.advance(due["asked_at"].max().to_pydatetime())
            with step("ask for predictions"):
                client.predict(due)
    with step("bring features online"):
        ticks.push([*ahead, until])
    return len(pending)


def _midnight(instant: datetime) -> datetime:
    return datetime.combine(instant.astimezone(UTC).date(), time(), UTC)
