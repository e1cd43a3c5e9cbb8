"""Play recorded time forward: ingest, ask, label, monitor and retrain, until an instant; interrupted, it goes on."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger
from psutil import virtual_memory

from flows import ingest
from flows.common import context, tell_full_disk
from flows.lookahead import Lookahead
from flows.monitor import monitor
from stack.core.errors import StackError
from stack.project import Project

if TYPE_CHECKING:
    from stack.ops.runs import Run

PAUSES = (2.0, 10.0, 30.0, 60.0)
"""Seconds between the tries of a day."""
TRIES = 3
"""Trainings started for one drift event before the replay gives up."""
EVENT_SECONDS = 60.0
"""An automation starts its run within 11 s on an idle machine."""
START_SECONDS = 120.0
"""So long a service that is restarting is waited for."""
LOOK_SECONDS = 0.5
LONG = timedelta(days=28)
"""What is shorter is over before a process that looks ahead would pay."""
ROOM = 2 << 30
"""Bytes that are free where one is started: it takes half a GB for the flights, a training beside it one more."""


@flow(name="replay", flow_run_name="replay {project}", on_failure=[tell_full_disk])
def replay(project: str, until: datetime) -> datetime:
    """Play a project's recorded data from its clock's "now" to `until`.

    Args:
        project: name of a project on the replay clock.
        until: the clock stands here in the end.

    Returns:
        The instant the clock stands at.
    """
    from stack.replay import replay as played

    opened, now = context(project)
    played.require_replay(opened.spec, now)
    with closing(Player(opened, until)) as player:
        if played.is_review(opened.spec, now):
            patiently(player.review, now)
        for since, end in played.days(opened.spec, now, until):
            patiently(player.day, since, end)
            if played.is_review(opened.spec, end):
                patiently(player.review, end)
    return opened.clock.now()


def patiently(work: Callable[..., None], *instants: datetime) -> None:
    """Do a step again when it fails for what may pass: each ends in the same state however often it is begun."""
    for pause in PAUSES:
        try:
            work(*instants)
            return
        except StackError:
            raise
        except Exception:
            get_run_logger().warning("the step is tried again in %s s", pause, exc_info=True)
            time.sleep(pause)
    work(*instants)


class Player:
    """Plays one project's days to an instant; keeps the feature store and the connections open between them.

    In a long replay the batch of the next day is examined while this one is played.
    """

    def __init__(self, project: Project, last: datetime) -> None:
        from stack.features import datasets
        from stack.ops.runs import Runs
        from stack.replay.ticks import Ticks
        from stack.serving.client import PredictionClient

        self.project, self.settings, self.spec, self.last = project, project.settings, project.spec, last
        self.ticks, self.client, self.runs = (
            Ticks(project),
            PredictionClient(project),
            Runs(project.settings, START_SECONDS),
        )
        self.ingested = datasets.ingested_until(project)
        self.drift = ""
        self.ahead = Lookahead(project.spec.name)

    def close(self) -> None:
        """End the process that looks ahead, and leave the garbage collector as it was."""
        self.ahead.close()
        gc.unfreeze()

    def day(self, since: datetime, until: datetime) -> None:
        """Play (since, until]: load the batch, serve hour by hour, then join the labels that have come.

        A refused batch lies in quarantine and the alarm is given; the day goes on without its rows.
        """
        from stack.features import datasets, feature_tables, features
        from stack.replay import replay as played
        from stack.serving import observed

        project, began = self.project, time.monotonic()
        self.load(max(since, min(self.ingested, until)), until)
        self.look_ahead(until, min(until + played.DAY, self.last))
        served = datasets.served_until(project)
        if served < until:
            features.update(project, served, until)
        asked = played.play(project, self.ticks, self.client, since, until)
        observed.label(project, since, until)
        feature_tables.mark_served(self.settings.feature_tables / self.spec.name, until)
        project.clock.advance(until)
        self.tell(since, until, asked, time.monotonic() - began)

    def load(self, since: datetime, until: datetime) -> None:
        """Fetch, validate and append the batch, unless the lake has it."""
        if since >= until:
            return
        try:
            verdict = self.ahead.take(since, until) or ingest.examined(self.spec.name, since, until)
            ingest.added(self.spec.name, verdict, since, until)
        except ingest.BatchRefusedError as error:
            get_run_logger().warning("%s goes on without the batch: %s", self.spec.name, error)
        else:
            self.ingested = until

    def look_ahead(self, since: datetime, until: datetime) -> None:
        """Begin to examine the batch of the next day, unless the lake has it, time is short or memory is tight."""
        pays = self.ahead.started or (self.last - since > LONG and virtual_memory().available > ROOM)
        if pays and max(since, self.ingested) == since < until:
            self.ahead.begin(since, until)

    def tell(self, since: datetime, until: datetime, asked: int, seconds: float) -> None:
        """Say in one line how the day went."""
        from stack.specification import tasks
        from stack.training.performance import measure

        outcomes = self.project.log.outcomes(until - timedelta(days=7), until)
        found, loss = measure(self.spec, outcomes, "label"), tasks.of(self.spec).loss
        score = f"{loss} {found['loss']:.4f} over 7 days" if found else "no labels yet"
        again = f", {self.client.retried} requests sent again" if self.client.retried else ""
        get_run_logger().info(
            "%s: %s asked of model %s, %s%s, %.1f s%s",
            f"{since:%Y-%m-%d}",
            f"{asked:,}",
            self.client.version,
            score,
            self.drift,
            seconds,
            again,
        )

    def review(self, at: datetime) -> None:
        """Monitor, and wait for the model that the drift event asks for, so that every replay does the same."""
        from monitoring import pages

        run = self.training(at)
        if run is None:
            if monitor(self.spec.name, at):
                run = self.begun(at)
            share = pages.summaries(self.settings, self.spec.name)[-1]["drift_share"]
            self.drift = "" if share is None else f", drift {share:.0%}"
        if run is not None:
            self.finish(run, at)
        if not gc.get_freeze_count():
            # All tools are loaded by now. Their million objects stay; to look through them for garbage again and again
            # costs half a second each time.
            gc.collect()
            gc.freeze()

    def training(self, at: datetime) -> Run | None:
        """The newest training on what was known at an instant."""
        return self.runs.last("train", self.spec.name, {"cutoff": at})

    def begun(self, at: datetime) -> Run:
        """Wait for the training that the automation starts; it is started here when the event was lost."""
        deadline = time.monotonic() + EVENT_SECONDS
        while time.monotonic() < deadline:
            if run := self.training(at):
                return run
            time.sleep(LOOK_SECONDS)
        return self.train(at)

    def train(self, at: datetime) -> Run:
        """Start a training without an event."""
        from stack.ops.runs import Run

        reason = {"cutoff": at.isoformat(), "reason": "the training that the drift event asked for did not end well"}
        return Run(self.runs.start("train", self.spec.name, reason), "SCHEDULED")

    def finish(self, run: Run, at: datetime) -> None:
        """Wait until the training has ended well, and the service answers with the champion.

        Raises:
            StackError: it failed again and again.
        """
        outcome = self.runs.follow(run.id, lambda _: None)
        for _ in range(1, TRIES):
            if outcome.good:
                break
            get_run_logger().warning("training of %s: %s", at, outcome.message)
            # One that was cancelled gave way to another, which the event has started after all.
            other = self.training(at)
            run = self.train(at) if other is None or other.ended else other
            outcome = self.runs.follow(run.id, lambda _: None)
        if not outcome.good:
            raise StackError(
                f"training of {self.spec.name} at {at}",
                found=f"{outcome.state.lower()}: {outcome.message}",
                expected="a challenger, judged by the gate",
                todo=f"read {outcome.url}, then run the replay again: it goes on here",
            )
        self.swapped()

    def swapped(self) -> None:
        """Wait until the prediction service answers with the registry's champion."""

        deadline = time.monotonic() + START_SECONDS
        while self.client.champion() != (wanted := self.project.registry.require_champion().version):
            if time.monotonic() > deadline:
                raise StackError(
                    "prediction service",
                    found=f"model {self.client.champion()}",
                    expected=f"the champion, model {wanted}",
                    todo="look with `make logs SERVICE=prediction`",
                )
            time.sleep(LOOK_SECONDS)
