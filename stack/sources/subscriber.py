"""Subscribe to the topics of projects whose source is an MQTT broker, a thread each, and keep what comes.

With QoS 1 the broker sends a message again until it has been acknowledged, and it is acknowledged once it is on the
disk. With QoS 2 paho-mqtt would acknowledge it before, and lose it with the process: it keeps handshakes in memory.
"""

import logging
import threading
from pathlib import Path
from typing import Any

from stack.core import problems, secrets
from stack.core.database import engine
from stack.core.errors import StackError
from stack.core.problems import Problem
from stack.core.settings import Settings
from stack.sources import key
from stack.specification import specs
from stack.specification.sources import Mqtt

TIMEOUT_SECONDS, KEEPALIVE_SECONDS = 10.0, 30
LONGEST_SECONDS = 60.0
"""After a failure the next attempt comes after a second, then twice as late each time, up to this."""

logger = logging.getLogger("stack.sources")


class Subscription:
    """Keeps the messages of one project's topics until it is stopped."""

    def __init__(self, settings: Settings, project: str, source: Mqtt, folder: Path) -> None:
        self.settings, self.project, self.source, self.folder = settings, project, source, folder
        self.stopped = threading.Event()
        self._delay = 1.0
        self.thread = threading.Thread(target=self._run, name=f"mqtt {project}", daemon=True)

    def _run(self) -> None:
        while not self.stopped.is_set():
            try:
                self._follow()
            except Exception as error:  # noqa: BLE001  # whatever it is, the broker keeps the messages
                self._report(error)
                self.stopped.wait(self._delay)
                self._delay = min(2 * self._delay, LONGEST_SECONDS)

    def _follow(self) -> None:
        """Keep messages until the connection is lost, or a callback raises an exception, which ends it too."""
        from stack.sources import mqtt

        source, name = self.source, f"{self.settings.name}-{self.project}-source"
        options = {"clean_session": False, "manual_ack": True, "reconnect_on_failure": False}
        client = mqtt.client(source, self.folder, name, **options)
        client.on_connect, client.on_subscribe, client.on_message = self._connected, self._subscribed, self._came
        client.connect(source.host, source.port, KEEPALIVE_SECONDS)
        try:
            while not self.stopped.is_set():
                if reason := client.loop(timeout=1.0):
                    raise ConnectionError(f"the connection to the broker is lost: {reason.name}")
        finally:
            client.disconnect()
            client.loop(timeout=0.1)

    def _connected(self, client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        from stack.sources import mqtt

        mqtt.require_accepted(self.folder, reason)
        client.subscribe([(topic, 1) for topic in self.source.topics])

    def _subscribed(self, _: Any, __: Any, ___: Any, reasons: Any, ____: Any) -> None:
        for topic, reason in zip(self.source.topics, reasons, strict=True):
            if reason.is_failure:
                found, expected = f"{topic}: {reason}", "topics that the broker lets this user read"
                raise StackError(key(self.folder, "topics"), found=found, expected=expected, todo="correct them")
        self._delay = 1.0
        problems.record(self.settings, self._check, [])

    def _came(self, client: Any, _: Any, message: Any) -> None:
        """Keep a message, then acknowledge it. One that a topic retains is older than the subscription."""
        from paho.mqtt.client import topic_matches_sub

        from stack.sources import mqtt

        is_wanted = any(topic_matches_sub(topic, message.topic) for topic in self.source.topics)
        if is_wanted and not message.retain:
            with engine(self.settings.state_database).begin() as connection:
                mqtt.keep(self.settings, connection, self.project, message)
        client.ack(message.mid, message.qos)

    @property
    def _check(self) -> str:
        return f"mqtt-{self.project}"

    def _report(self, error: Exception) -> None:
        """Log a failure, and record it as a problem; a broker that restarts is soon back."""
        text = secrets.redact(
            f"{error.found}, expected {error.expected}" if isinstance(error, StackError) else str(error)
        )
        (logger.warning if self._delay == 1 else logger.debug)("%s: no messages are kept: %s", self.project, text)
        todo = getattr(error, "todo", "") or "look whether the broker runs; it keeps the messages meanwhile"
        title = f"{self.project}: its messages do not come"
        address = f"{self.source.host}:{self.source.port}"
        problem = Problem(title, f"{address}: {text or type(error).__name__}", todo, momentary=True)
        problems.record(self.settings, self._check, [problem])


class Subscriber:
    """Follows the sources of all projects, and runs a subscription for each that is a broker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._running: dict[str, Subscription] = {}
        self._stamps: dict[str, specs.Stamp] = {}

    def sync(self) -> None:
        """Start and stop subscriptions as the files of the projects say; an invalid one changes nothing."""
        stamps = specs.stamps()
        if stamps == self._stamps:
            return
        valid = {spec.name: spec for spec in specs.load_valid(logger.debug)}
        wanted = {
            name: Subscription(self.settings, name, spec.source, spec.folder)
            for name, spec in valid.items()
            if isinstance(spec.source, Mqtt)
        }
        for name, running in [*self._running.items()]:
            is_as_wanted = name in wanted and wanted[name].source == running.source
            if not is_as_wanted and (name in valid or name not in stamps):
                self._stop(name)
        for name in wanted.keys() - self._running.keys():
            self._running[name] = wanted[name]
            wanted[name].thread.start()
        self._stamps = stamps

    def stop(self) -> None:
        """Stop every subscription."""
        for name in [*self._running]:
            self._stop(name)

    def _stop(self, name: str) -> None:
        running = self._running.pop(name)
        running.stopped.set()
        running.thread.join(TIMEOUT_SECONDS)
        problems.record(self.settings, f"mqtt-{name}", [])
