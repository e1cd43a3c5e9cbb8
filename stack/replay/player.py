"""Plays the days of a project: load the batch, predict, join labels, review; interrupted, it goes on."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from psutil import virtual_memory

from stack.core import profile
from stack.core.errors import StackError
from stack.core.profile import step
from stack.core.wait import wait_until
from stack.features import datasets, feature_tables, features
from stack.features.ticks import Ticks
from stack.project import Project
from stack.replay import replay
from stack.replay.lookahead import Lookahead
from stack.replay.trainings import Log, Trainings
from stack.serving import observed
from stack.serving.client import PredictionClient
from stack.training.evaluation import measure
from stack.validation import batches
from stack.validation.validation import BatchResult

RETRY_DELAYS = (2.0, 10.0, 30.0, 60.0)
"""Seconds between the attempts of a step."""
START_SECONDS = 120.0
"""How long a service that restarts is waited for."""
LONG = timedelta(days=28)
"""A shorter replay is over before a process that looks ahead has paid for its start."""
MIN_FREE_MEMORY = 2 << 30
"""Bytes; such a process takes half a GB for the flights, a training beside it one more."""


@dataclass(frozen=True)
class Review:
    """The result of monitoring at an instant."""

    retrain: bool
    """Whether a drift event asked for a training."""
    drift_share: float | None


class Player:
    """Plays the days of a project up to an instant; keeps the feature store and the connections open between them.

    In a long replay the batch of the next day is examined while the present day is played.

    Args:
        monitor: monitors the window before an instant.
        show: shows a batch with failures or warnings.
    """

    def __init__(
        self,
        project: Project,
        last: datetime,
        trainings: Trainings,
        log: Log,
        *,
        monitor: Callable[[datetime], Review],
        show: Callable[[BatchResult], None],
    ) -> None:
        self.project, self.last, self.trainings, self.log = project, last, trainings, log
        self.monitor, self.show = monitor, show
        self.ticks, self.client, self.ahead = Ticks(project), PredictionClient(project), Lookahead(project.name)
        self.ingested = datasets.ingested_until(project)
        self._drift = ""

    def close(self) -> None:
        """End the process that looks ahead, and leave the garbage collector as it was."""
        self.ahead.close()
        self.client.close()
        gc.unfreeze()

    def play(self) -> None:
        """Play from the clock's "now" to the last instant, with the reviews that are due."""
        spec, now = self.project.spec, self.project.clock.now()
        if replay.is_review(spec, now):
            self.play_review(now)
        for since, until in replay.days(spec, now, self.last):
            with profile.recording(self.project.settings, self.project.name, until, "day"):
                retry(self.day, since, until, log=self.log)
            if replay.is_review(spec, until):
                self.play_review(until)

    def play_review(self, at: datetime) -> None:
        """Review, and record where the time went."""
        with profile.recording(self.project.settings, self.project.name, at, "review"):
            retry(self.review, at, log=self.log)

    def day(self, since: datetime, until: datetime) -> None:
        """Play (since, until]: load the batch, serve hour by hour, then join the labels that have arrived.

        A refused batch is in quarantine and the alert is sent; the day goes on without its rows.
        """
        project, began = self.project, time.monotonic()
        self.load(max(since, min(self.ingested, until)), until)
        self.look_ahead(until, min(until + replay.DAY, self.last))
        served = feature_tables.served_until(project)
        if served < until:
            with step("build features"):
                features.update(project, served, until)
        predicted = replay.play(project, self.ticks, self.client, since, until)
        with step("join labels"):
            observed.label(project, since, until)
        feature_tables.mark_served(project, until)
        project.clock.advance(until)
        self.log_day(since, until, predicted, time.monotonic() - began)

    def load(self, since: datetime, until: datetime) -> None:
        """Fetch, validate and append the batch, unless the lake has it."""
        if since >= until:
            return
        project = self.project
        with step("validate the batch"):
            result = self.ahead.take(since, until) or batches.examine(project, since, until)
        if result.failures or result.warnings:
            self.show(result)
        try:
            batches.require_accepted(project, result)
        except batches.BatchRefusedError as error:
            self.log.warning("%s goes on without the batch: %s", project.name, error)
            return
        with step("append to the lake"):
            project.lake.append(result.tables, since, until)
        batches.alert_stale(project, result.tables, since, until)
        self.ingested = until

    def look_ahead(self, since: datetime, until: datetime) -> None:
        """Start to examine the batch of the next day, unless the lake has it, time is short or memory is tight."""
        pays = self.ahead.started or (self.last - since > LONG and virtual_memory().available > MIN_FREE_MEMORY)
        if pays and max(since, self.ingested) == since < until:
            self.ahead.begin(since, until)

    def log_day(self, since: datetime, until: datetime, predicted: int, seconds: float) -> None:
        """Log the result of a day."""
        with step("score the last 7 days"):
            outcomes = self.project.log.outcomes(until - timedelta(days=7), until)
            metrics = measure(self.project.spec, outcomes, "label")
        score = f"{self.project.task.loss} {metrics['loss']:.4f} over 7 days" if metrics else "no labels yet"
        retried = f", {self.client.retried} requests sent again" if self.client.retried else ""
        day, model = f"{since:%Y-%m-%d}", self.client.version
        self.log.info(f"{day}: {predicted:,} asked of model {model}, {score}{self._drift}, {seconds:.1f} s{retried}")

    def review(self, at: datetime) -> None:
        """Monitor, and wait for the model that the drift event requests, so that every replay does the same."""
        training = self.trainings.find(at)
        run = training.id if training else None
        if training is None:
            review = self.monitor(at)
            with step("wait for the training"):
                run = self.trainings.started(at) if review.retrain else None
            self._drift = "" if review.drift_share is None else f", drift {review.drift_share:.0%}"
        if run is not None:
            with step("wait for the training"):
                self.trainings.finish(run, at)
            with step("wait for the champion"):
                self.await_champion()
        # All tools are loaded by now: a garbage collection that scans their million objects takes half a second.
        if not gc.get_freeze_count():
            gc.collect()
            gc.freeze()

    def await_champion(self) -> None:
        """Wait until the prediction service serves the registry's champion.

        Raises:
            StackError: it serves another version for :data:`START_SECONDS`.
        """
        served, champion = None, ""

        def is_served() -> bool:
            nonlocal served, champion
            served, champion = self.client.champion(), self.project.registry.require_champion().version
            return served == champion

        if not wait_until(is_served, START_SECONDS):
            raise StackError(
                "prediction service",
                found=f"model {served}",
                expected=f"the champion, model {champion}",
                todo="look with `make logs SERVICE=prediction`",
            )


def retry(step: Callable[..., None], *instants: datetime, log: Log) -> None:
    """Run a step, again when it fails for a momentary reason: a step ends in the same state however often it begins."""
    for delay in RETRY_DELAYS:
        try:
            return step(*instants)
        except StackError:
            raise
        except Exception:
            log.warning("the step is tried again in %s s", delay, exc_info=True)
            time.sleep(delay)
    return step(*instants)
