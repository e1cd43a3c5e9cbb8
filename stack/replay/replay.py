"""The order of a replay: features come online as they become known, and every event is predicted at its instant.

Features change only at their instants (hourly ticks for flights). All events between two of them are predicted in one
request, each as of its own instant: they get the features that the offline store gives for it. Instants without an
event in between come online together.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

from stack.core.errors import StackError
from stack.core.profile import step
from stack.features.ticks import Ticks
from stack.project import Project, contract
from stack.serving.client import PredictionClient, prediction_ids
from stack.specification.specs import ProjectSpec

DAY, INSTANT = timedelta(days=1), timedelta(microseconds=1)


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
