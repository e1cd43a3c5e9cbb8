"""Deliver what waits in the outbox: a thread for each sink, so that a dead receiver holds up no other."""

import logging
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Self

from stack.core import problems, secrets
from stack.core.errors import StackError
from stack.core.problems import Problem
from stack.core.settings import Settings
from stack.publishing import outbox, receivers
from stack.publishing.messages import columns
from stack.publishing.outbox import Key
from stack.publishing.receivers import Receiver
from stack.specification import specs
from stack.specification.sinks import Sink
from stack.specification.specs import ProjectSpec

BATCH = 200
REMOVE_SECONDS = 0.1
"""Acknowledged answers leave the outbox this often: a commit for each would halve what a webhook takes."""
POLL_SECONDS = 1.0
LONGEST_SECONDS = 60.0
"""After a failure the next attempt comes after a second, then twice as late each time, up to this."""
PATIENCE = timedelta(minutes=15)
"""Answers that have waited longer are a problem."""
STOP_SECONDS = 5.0
CHECK = "publish-"
"""Beginning of the name under which the problem of a sink is recorded."""

logger = logging.getLogger("stack.publishing")


class Delivery:
    """Delivers the answers of one sink, in order, until it is stopped."""

    def __init__(self, settings: Settings, spec: ProjectSpec, sink: Sink, stamp: specs.Stamp | None) -> None:
        """Prepare the delivery to a sink; `stamp` is that of the project.yaml that `spec` was read from."""
        self.settings, self.spec, self.sink, self.stamp = settings, spec, sink, stamp
        self.key: Key = (spec.name, sink.name)
        self._check = f"{CHECK}{spec.name}-{sink.name}"
        self._receiver: Receiver | None = None
        self._dropped = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"publish {spec.name} {sink.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end after the answers that are on their way."""
        self._stopped.set()

    def join(self) -> bool:
        """Wait for its end, for a few seconds; return whether it has come."""
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()

    def is_like(self, other: Self | None) -> bool:
        """Return whether another one does the same."""
        return other is not None and (self.sink, columns(self.spec)) == (other.sink, columns(other.spec))

    def deliver(self) -> bool:
        """Deliver the answers that have waited longest; return whether there were any.

        Those that a changed project.yaml may have given other fields wait until the publisher has looked at it.
        """
        messages = outbox.oldest(self.settings.state_database, self.key, BATCH)
        if messages and specs.stamps().get(self.spec.name) != self.stamp:
            return False
        self._receiver = self._receiver or receivers.connect(self.settings, self.spec, self.sink)
        numbers, acknowledged, removed_at = list(messages), 0, time.monotonic()
        try:
            for count in self._receiver.deliver([*messages.values()]):
                acknowledged += count
                if time.monotonic() - removed_at > REMOVE_SECONDS:
                    outbox.remove(self.settings.state_database, numbers[:acknowledged])
                    numbers, acknowledged, removed_at = numbers[acknowledged:], 0, time.monotonic()
        finally:
            if acknowledged:
                outbox.remove(self.settings.state_database, numbers[:acknowledged])
        return bool(messages)

    def _run(self) -> None:
        delay, failed = POLL_SECONDS, True  # a problem may be left of an earlier process
        while not self._stopped.is_set():
            try:
                while self.deliver() and not self._stopped.is_set():
                    pass
                if failed:
                    problems.record(self.settings, self._check, [])
                delay, failed, self._dropped = POLL_SECONDS, False, 0
            except Exception as error:  # noqa: BLE001  # whatever it is, the answers wait
                self._close()
                self._report(error, first=not failed)
                delay, failed = min(2 * delay, LONGEST_SECONDS), True
            self._stopped.wait(delay)
        self._close()

    def _close(self) -> None:
        with suppress(Exception):
            if self._receiver:
                self._receiver.close()
        self._receiver = None

    def _report(self, error: Exception, *, first: bool) -> None:
        """Log the first of several failures, and record a problem when answers have waited for long."""
        text = (
            f"{error.where}: {error.found}, expected {error.expected}" if isinstance(error, StackError) else str(error)
        )
        text = secrets.redact(text or type(error).__name__)
        log = logger.warning if first else logger.debug
        log("%s: the sink %s takes no answers: %s", *self.key, text)
        with suppress(Exception):  # the state database may be what fails
            database = self.settings.state_database
            self._dropped += outbox.shorten(database, self.key, self.sink.max_waiting)
            waiting = outbox.waiting(database, self.key)
            if self._dropped or (waiting.since and datetime.now(UTC) - waiting.since > PATIENCE):
                dropped = f"; {self._dropped:,} older ones were dropped" if self._dropped else ""
                since = f"{waiting.count:,} answers wait since {waiting.since:%Y-%m-%d %H:%M} UTC{dropped}: {text}"
                todo = getattr(error, "todo", "") or "bring the receiver back, or fix publish in project.yaml"
                title = f"{self.key[0]}: the sink {self.key[1]} takes no answers"
                problems.record(self.settings, self._check, [Problem(title, since, todo)])


class Publisher:
    """Follows the sinks of all projects, and runs a delivery for each."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._running: dict[Key, Delivery] = {}
        self._stamps: dict[str, specs.Stamp] = {}
        """Of each project.yaml, as it was last read."""

    def sync(self) -> None:
        """Start deliveries of new and changed sinks, and stop those of sinks that are gone.

        An invalid project.yaml takes nothing away: its sinks go on as before.
        """
        if (stamps := specs.stamps()) == self._stamps:
            return
        valid = list(specs.load_valid(logger.debug))
        unreadable = stamps.keys() - {spec.name for spec in valid}
        wanted = {
            (spec.name, sink.name): Delivery(self.settings, spec, sink, stamps.get(spec.name))
            for spec in valid
            for sink in spec.publish
        }
        outdated = [
            running
            for key, running in self._running.items()
            if key[0] not in unreadable and not running.is_like(wanted.get(key))
        ]
        ended = _stop(outdated)
        for delivery in ended:
            del self._running[delivery.key]
        for key, delivery in self._running.items():
            if delivery not in outdated:
                delivery.stamp = stamps.get(key[0])
        for key in wanted.keys() - self._running.keys():
            self._running[key] = wanted[key]
            wanted[key].start()
        if wanted or outdated:
            outbox.discard_others(self.settings.state_database, wanted, unreadable)
        self._forget_problems(wanted, unreadable)
        if len(ended) == len(outdated):
            self._stamps = stamps

    def stop(self) -> None:
        """Stop every delivery."""
        _stop([*self._running.values()])

    def _forget_problems(self, sinks: Collection[Key], unreadable: Collection[str]) -> None:
        """Take back what was recorded about sinks that are no more."""
        for name in {name for name, _ in problems.recorded(self.settings) if name.startswith(CHECK)}:
            project, _, sink = name.removeprefix(CHECK).partition("-")
            if project not in unreadable and (project, sink) not in sinks:
                problems.record(self.settings, name, [])


def _stop(deliveries: list[Delivery]) -> list[Delivery]:
    """Stop deliveries; return those that have ended, as one that waits for its receiver takes longer."""
    for delivery in deliveries:
        delivery.stop()
    return [delivery for delivery in deliveries if delivery.join()]
