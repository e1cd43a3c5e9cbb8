"""Publish answers to an MQTT broker, as the retained state of topics, and announce sensors to Home Assistant.

An answer is sent with QoS 2 and counts as delivered when its handshake is complete. paho-mqtt keeps handshakes in
memory alone, so that a process does not know which of them its killed predecessor completed. The broker does: what a
topic retains is the last answer that was delivered to it. It is asked after each connection.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.publishing.outbox import Message
from stack.publishing.receivers import TIMEOUT_SECONDS
from stack.publishing.sensors import Sensors
from stack.specification import forecasts
from stack.specification.sinks import Mqtt
from stack.specification.specs import ProjectSpec

KEEPALIVE_SECONDS = 30
Addressed = tuple[str, Message]
"""An answer and its topic."""


class Receiver:
    """A broker. The session is clean: a message whose handshake is not complete is forgotten with the connection."""

    def __init__(self, settings: Settings, spec: ProjectSpec, sink: Mqtt) -> None:
        self.sink = sink
        self._id = f"{settings.name}-{spec.name}-{sink.name}"
        self._root = f"{sink.prefix}/{spec.name}"
        self._own = f"{self._root}/publisher/{sink.name}"
        self._check = f"{self._own}/check"
        self._keys = _keys(spec, sink)
        self._sensors = Sensors(settings, spec, sink, availability=f"{self._own}/availability")
        self._events: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._client: Client | None = None
        self._is_certain = False
        """Whether all answers that were sent over the last connection are known to be delivered or not."""

    def deliver(self, messages: Sequence[Message]) -> Iterator[int]:
        """Publish the answers that their topics have not had; they count when all of them are acknowledged."""
        client = self._client or self._connect()
        self._require_connection()
        if not messages:
            return
        addressed = [(self._topic(message), message) for message in messages]
        if not self._is_certain:
            addressed = _undelivered(addressed, self._retained(client, {topic for topic, _ in addressed}))
            self._is_certain = True
        texts = [text for topic, message in addressed for text in self._texts(topic, message)]
        sent = {client.publish(topic, text, qos=2, retain=True).mid for topic, text in texts}
        self._wait_until_published(sent)
        # Mosquitto acknowledges, then saves, then reads again: the next acknowledgement comes after it has saved.
        self._wait_until_published({client.publish(self._check, qos=1).mid})
        yield len(messages)

    def close(self) -> None:
        """Disconnect; the sensors become unavailable."""
        if self._client:
            self._client.publish(self._sensors.availability, "offline", qos=1, retain=True)
            self._client.disconnect()
            self._client.loop_stop()

    def _connect(self) -> Client:
        sink = self.sink
        client = Client(CallbackAPIVersion.VERSION2, self._id, clean_session=True, reconnect_on_failure=False)
        client.connect_timeout = TIMEOUT_SECONDS
        if sink.tls:
            client.tls_set()
        if sink.username:
            client.username_pw_set(sink.username, sink.password)
        client.will_set(self._sensors.availability, "offline", qos=1, retain=True)
        self._listen(client)
        client.connect(sink.host, sink.port, KEEPALIVE_SECONDS)
        client.loop_start()
        self._client = client
        if (answer := self._wait_for("connected")).is_failure:
            todo = "fix the keys username and password in project.yaml, or the broker's rules"
            raise StackError(f"{sink.host}:{sink.port}", found=str(answer), expected="a login", todo=todo)
        client.publish(self._sensors.availability, "online", qos=1, retain=True)
        return client

    def _listen(self, client: Client) -> None:
        """Have what happens in paho's thread put into the queue."""
        put = self._events.put
        client.on_connect = lambda _, __, ___, reason, ____: put(("connected", reason))
        client.on_disconnect = lambda _, __, ___, reason, ____: put(("lost", reason))
        client.on_publish = lambda _, __, mid, ___, ____: put(("published", mid))
        client.on_subscribe = lambda _, __, mid, ___, ____: put(("subscribed", mid))
        client.on_message = lambda _, __, message: put(("message", message))

    def _wait_for(self, kind: str) -> Any:
        """Return what the next event of a kind brings. ConnectionError: the connection is lost, or nothing comes."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                happened, value = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise ConnectionError(f"not {kind} within {TIMEOUT_SECONDS:.0f} s") from None
            if happened == "lost":
                raise ConnectionError(f"the connection to the broker is lost: {value}")
            if happened == kind:
                return value

    def _wait_until_published(self, sent: set[int]) -> None:
        """Wait until the broker has acknowledged messages, by their packet ids."""
        while sent:
            sent.discard(self._wait_for("published"))

    def _require_connection(self) -> None:
        """Raise ConnectionError when the connection was lost since the last delivery."""
        with suppress(Empty):
            while event := self._events.get_nowait():
                if event[0] == "lost":
                    raise ConnectionError(f"the connection to the broker is lost: {event[1]}")

    def _retained(self, client: Client, topics: set[str]) -> dict[str, Any]:
        """Return the id of the answer that each topic retains; a message to ourselves comes after all of them."""
        wanted = [*topics, self._check]
        client.subscribe([(topic, 1) for topic in wanted])
        self._wait_for("subscribed")
        client.publish(self._check, qos=1)
        ids: dict[str, Any] = {}
        while (message := self._wait_for("message")).topic != self._check:
            ids[message.topic] = _id_of(message)
        client.unsubscribe(wanted)
        return ids

    def _topic(self, message: Message) -> str:
        levels = [re.sub(r"[+#/\s]+", "_", str(message[key])) for key in self._keys] or ["state"]
        return "/".join([self._root, *levels])

    def _texts(self, topic: str, message: Message) -> Iterator[tuple[str, str]]:
        """Yield topics and texts of an answer: itself, after the announcement of a sensor that is new."""
        if announcement := self._sensors.announce(topic, " ".join(str(message[key]) for key in self._keys)):
            yield announcement
        yield topic, json.dumps(message, ensure_ascii=False)


def _keys(spec: ProjectSpec, sink: Mqtt) -> list[str]:
    """Return the fields whose values have topics of their own: the sink's, those of a series, or the only entity."""
    if sink.key:
        return [sink.key]
    if spec.forecast:
        return forecasts.keys(spec)
    return [*spec.features.entities] if len(spec.features.entities) == 1 else []


def _id_of(message: MQTTMessage) -> Any:
    try:
        return json.loads(message.payload)["prediction_id"]
    except (ValueError, TypeError, KeyError):  # another program's
        return None


def _undelivered(addressed: Sequence[Addressed], retained: Mapping[str, Any]) -> list[Addressed]:
    """Leave out, of each topic, the answer that it retains and those before it."""
    last = {
        topic: position for position, (topic, m) in enumerate(addressed) if m["prediction_id"] == retained.get(topic)
    }
    return [pair for position, pair in enumerate(addressed) if position > last.get(pair[0], -1)]
