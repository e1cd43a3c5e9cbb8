"""The training that a review of a replay asks for: found, started when its event was lost, and waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from logging import Logger, LoggerAdapter
from typing import Any, Protocol

from stack.core.errors import StackError
from stack.core.wait import wait_until

ATTEMPTS = 3
"""Trainings started for one drift event before the replay gives up."""
EVENT_SECONDS = 60.0
"""An automation starts its run within 11 s on an idle machine."""
Log = Logger | LoggerAdapter[Any]


class Run(Protocol):
    """A run of the training deployment."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
        ...


class Outcome(Protocol):
    """How a run ended."""

    @property
    def url(self) -> str:
        """The page of the run."""
        ...

    @property
    def state(self) -> str:
        """The last state."""
        ...

    @property
    def message(self) -> str:
        """The reason for the state."""
        ...

    @property
    def good(self) -> bool:
        """Whether the run did its work."""
        ...


class Runs(Protocol):
    """Runs of deployments: :class:`stack.ops.runs.Runs`."""

    def last(self, flow: str, project: str, parameters: Mapping[str, datetime], /) -> Run | None:
        """Return the newest run with these parameters; cancelled ones do not count."""
        ...

    def start(self, flow: str, project: str, parameters: Mapping[str, Any], /) -> str:
        """Start a run and return its id."""
        ...

    def follow(self, run: str, report: Callable[[str], None], /) -> Outcome:
        """Wait until a run has ended."""
        ...


class Trainings:
    """The trainings of one project, by their cut-off."""

    def __init__(self, project: str, runs: Runs, log: Log) -> None:
        self._project, self._runs, self._log = project, runs, log

    def find(self, cutoff: datetime) -> Run | None:
        """Return the newest training with a cut-off."""
        return self._runs.last("train", self._project, {"cutoff": cutoff})

    def started(self, cutoff: datetime) -> str:
        """Wait for the training that the automation starts, or start it when the event was lost; return its id."""
        run = wait_until(lambda: self.find(cutoff), EVENT_SECONDS)
        return run.id if run else self._start(cutoff)

    def finish(self, run: str, cutoff: datetime) -> None:
        """Wait until a training has ended well; one that failed is started again.

        Raises:
            StackError: it failed :data:`ATTEMPTS` times.
        """
        outcome = self._runs.follow(run, _ignore)
        for _ in range(1, ATTEMPTS):
            if outcome.good:
                break
            self._log.warning("training of %s: %s", cutoff, outcome.message)
            # One that was cancelled gave way to another, which the event has started after all.
            other = self.find(cutoff)
            outcome = self._runs.follow(self._start(cutoff) if other is None or other.ended else other.id, _ignore)
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


def _ignore(_: str) -> None:
    """Leave the log of a training to its own run."""
