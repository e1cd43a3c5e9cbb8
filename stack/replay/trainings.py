"""The training that a review of a replay requests: awaited, and started when its event was lost or it has failed."""

from datetime import datetime
from logging import Logger, LoggerAdapter
from typing import Any

from stack.core.errors import StackError
from stack.core.wait import wait_until
from stack.ops.runs import Run, Runs

ATTEMPTS = 3
"""Trainings started for a drift event before the replay gives up."""
EVENT_SECONDS = 60.0
"""An automation starts its run within 11 s on an idle machine."""
Log = Logger | LoggerAdapter[Any]


class Trainings:
    """The trainings of a project, by their cut-off."""

    def __init__(self, project: str, runs: Runs, log: Log) -> None:
        self._project, self._runs, self._log = project, runs, log

    def find(self, cutoff: datetime) -> Run | None:
        """Return the newest training with a cut-off; cancelled runs do not count."""
        return self._runs.last("train", self._project, {"cutoff": cutoff})

    def started(self, cutoff: datetime) -> str:
        """Wait for the training that the automation starts, or start it when the event was lost; return its id."""
        run = wait_until(lambda: self.find(cutoff), EVENT_SECONDS)
        return run.id if run else self._start(cutoff)

    def finish(self, run: str, cutoff: datetime) -> None:
        """Wait until a training has succeeded; a failed training is started again.

        Raises:
            StackError: it failed :data:`ATTEMPTS` times.
        """
        outcome = self._runs.wait(run)
        for _ in range(1, ATTEMPTS):
            if outcome.good:
                return
            self._log.warning("training of %s: %s", cutoff, outcome.message)
            # A cancelled training gave way to another, which the event has started after all.
            other = self.find(cutoff)
            outcome = self._runs.wait(self._start(cutoff) if other is None or other.ended else other.id)
        if not outcome.good:
            raise StackError(
                f"training of {self._project} at {cutoff}",
                found=f"{outcome.state.lower()}: {outcome.message}",
                expected="a challenger, judged by the gate",
                todo=f"read {outcome.url}, then run the replay again: it goes on here",
            )

    def _start(self, cutoff: datetime) -> str:
        reason = "the training that the drift event asked for did not end well"
        return self._runs.start("train", self._project, {"cutoff": cutoff.isoformat(), "reason": reason})
