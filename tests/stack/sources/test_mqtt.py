"""What comes from a broker is kept once, however often the subscriber is killed."""

import json
import random
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import func, select

from stack import sources
from stack.core import problems, wall_clock
from stack.core import settings as core_settings
from stack.core.database import engine, messages
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.sources import AVAILABLE_AT, Query
from stack.sources.subscriber import Subscriber, Subscription
from tests.polling import eventually
from tests.stack.sources.conftest import FIRST, LAST, declared
from tests.stack.sources.processes import Server, installed
from tests.stacks import free_ports

TOPICS = ["zigbee/+", "meter/#"]
ROUNDS = 12


class Mosquitto(Server):
    """A broker that writes its state down on each change."""

    def __init__(self, folder: Path, login: str = "allow_anonymous true") -> None:
        program, (self.port,) = installed("mosquitto"), free_ports(1)
        (folder / "state").mkdir()
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\n{login}\npersistence true\npersistence_location {folder}/state/\n"
            f"autosave_interval 1\nautosave_on_changes true\nmax_queued_messages 0\nuser root\n"
        )
        super().__init__([program, "-c", folder / "mosquitto.conf"], self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def publish(port: int, topic: str, payload: object, qos: int = 1, retain: bool = False) -> None:
    """Publish, and wait until the broker has the message."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(topic, payload if isinstance(payload, str) else json.dumps(payload), qos, retain).wait_for_publish()
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def broker(tmp_path):
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker") as server:
        yield server


@pytest.fixture
def home(tmp_path):
    own = Settings(home=tmp_path / "home")
    (own.home / "state").mkdir(parents=True)
    with core_settings.using(own):
        yield own


def section(port: int, **keys):
    return {"kind": "mqtt", "host": "127.0.0.1", "port": port, "topics": TOPICS} | keys


@pytest.fixture
def subscribe(home, tmp_path):
    """Start a subscription, and wait until the broker knows it."""
    running = []

    def start(port: int, **keys) -> Subscription:
        subscription = Subscription(home, tmp_path.name, declared(section(port, **keys)), tmp_path)
        known, subscribed = [], subscription._subscribed
        subscription._subscribed = lambda *words: (subscribed(*words), known.append(1))
        subscription.thread.start()
        running.append(subscription)
        eventually(lambda: known or [*problems.recorded(home)])
        return subscription

    yield start
    for subscription in running:
        subscription.stopped.set()
    for subscription in running:
        subscription.thread.join(30)


def kept(home: Settings) -> int:
    with engine(home.state_database).connect() as connection:
        return connection.execute(select(func.count()).select_from(messages)).scalar()


def test_payloads_of_every_form_are_rows(home, broker, subscribe, read):
    subscribe(broker.port)
    sent = [("zigbee/hall", {"t": 20.5, "air": {"h": 50}}), ("meter/a/power", 7), ("meter/a/state", "on"),
            ("meter/a/list", [1]), ("other/a", 1)]  # fmt: skip
    for topic, payload in sent:
        publish(broker.port, topic, payload, qos=2)
    eventually(lambda: kept(home) == 4)
    columns = ["topic", "topic.1", "t", "air.h", "value", "received_at"]
    rows = read(section(broker.port), columns, "received_at", FIRST, LAST)
    rows = rows.astype(object).where(rows.notna(), None)
    assert list(rows) == [*columns, AVAILABLE_AT]
    assert rows[columns[:5]].values.tolist() == [
        ["zigbee/hall", "hall", 20.5, 50, None],
        ["meter/a/power", "a", None, None, 7],
        ["meter/a/state", "a", None, None, "on"],
        ["meter/a/list", "a", None, None, "[1]"],
    ]


def test_windows_hold_each_message_once(home, broker, subscribe, read):
    subscribe(broker.port)
    for number in range(20):
        publish(broker.port, "meter/a", number)
    eventually(lambda: kept(home) == 20)
    now, chance = datetime.now(UTC), random.Random(1)
    ends = [FIRST, *sorted(now - timedelta(seconds=chance.random()) for _ in range(30)), LAST]
    windows = [read(section(broker.port), ["value"], "received_at", a, b) for a, b in zip(ends, ends[1:], strict=False)]
    assert [value for window in windows for value in window["value"]] == list(range(20))


def test_what_a_topic_retains_is_older_than_the_subscription(home, broker, subscribe):
    publish(broker.port, "meter/a", 1, retain=True)
    subscribe(broker.port)
    publish(broker.port, "meter/a", 2, retain=True)
    eventually(lambda: kept(home) == 1)


def test_instants_never_go_back_with_the_clock(home, broker, subscribe, monkeypatch):
    subscribe(broker.port)
    publish(broker.port, "meter/a", 1)
    eventually(lambda: kept(home) == 1)

    past = datetime(2020, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(wall_clock, "observe", lambda _: wall_clock.Observation(past, past))
    publish(broker.port, "meter/a", 2)
    eventually(lambda: kept(home) == 2)
    with engine(home.state_database).connect() as connection:
        first, second = connection.execute(select(messages.c.received_at).order_by(messages.c.number)).scalars()
    assert first < second


def test_messages_are_deleted_long_after_the_lake_has_them(home, broker, subscribe, tmp_path):
    subscribe(broker.port)
    publish(broker.port, "meter/a", 1)
    eventually(lambda: kept(home) == 1)
    source, now = declared(section(broker.port)), datetime.now(UTC)
    for days, left in ((89, 1), (91, 0)):
        sources.ingested(source, tmp_path, Query(["value"], "received_at", now, now + timedelta(days=days)))
        assert kept(home) == left


def test_what_is_wrong_is_said(home, broker, subscribe, read):
    with pytest.raises(StackError, match=r"source.topics:\n.*no message on zigbee/\+, meter/# yet"):
        read(section(broker.port), ["value"], "received_at")
    subscribe(broker.port)
    publish(broker.port, "meter/a", {"value": 1})
    eventually(lambda: kept(home) == 1)
    with pytest.raises(StackError, match="did you mean 'value'"):
        read(section(broker.port), ["valu"], "received_at")


def test_a_refused_login_and_a_broker_that_is_away_are_problems(home, tmp_path, subscribe, env, read):
    env(MQTT_PASSWORD="very-secret")
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker", "allow_anonymous false") as server:
        keys = {"username": "me", "password": "${MQTT_PASSWORD}"}
        subscription = subscribe(server.port, **keys)
        ((_, problem),) = eventually(lambda: [*problems.recorded(home)])
        assert "Not authorized" in problem.text and "source.password" in problem.todo
        with pytest.raises(StackError, match="Not authorized"):
            read(section(server.port, **keys), ["value"], "received_at")
        subscription.stopped.set()
        subscription.thread.join(30)
    subscribe(server.port)
    eventually(lambda: any("refused" in problem.text for _, problem in problems.recorded(home)))
    assert not any("very-secret" in problem.text for _, problem in problems.recorded(home))


def test_subscriptions_follow_the_projects(home, broker, tmp_path, monkeypatch):
    raw = yaml.safe_load((ROOT / "projects/flights/project.yaml").read_text())
    monkeypatch.setattr(Settings, "projects", tmp_path / "projects")
    file = tmp_path / "projects" / "flights" / "project.yaml"
    file.parent.mkdir(parents=True)
    subscriber = Subscriber(home)

    def running(text: str) -> list[Subscription]:
        file.write_text(text)
        subscriber.sync()
        return [*subscriber._running.values()]

    assert running(yaml.safe_dump(raw)) == []
    (first,) = running(yaml.safe_dump(raw | {"source": section(broker.port)}))
    assert running("name: [") == [first] == running(yaml.safe_dump(raw | {"source": section(broker.port)}) + "\n")
    (second,) = running(yaml.safe_dump(raw | {"source": section(broker.port, topics=["meter/b"])}))
    assert second is not first and not first.thread.is_alive()
    file.unlink()
    subscriber.sync()
    assert not second.thread.is_alive() and subscriber._running == {}


SUBSCRIBER = """
import sys, threading
from pathlib import Path
from stack.core import migrations
from stack.core.settings import Settings
from stack.sources.subscriber import Subscription
from stack.specification.sources import Mqtt
home, port, project = Settings(home=Path(sys.argv[1])), int(sys.argv[2]), Path(sys.argv[3])
migrations.upgrade(home.state_database)
source = Mqtt(kind="mqtt", host="127.0.0.1", port=port, topics=["meter/#"])
Subscription(home, project.name, source, project).thread.start()
threading.Event().wait()
"""


def test_nothing_is_lost_or_doubled_when_the_subscriber_is_killed(home, broker, tmp_path, read):
    """At random moments, while messages of QoS 1 and 2 with equal payloads come; the broker stays."""
    chance = random.Random(11)
    command = [sys.executable, "-c", SUBSCRIBER, home.home, str(broker.port), tmp_path]
    process = subprocess.Popen(command)
    eventually(lambda: (home.home / "state" / "state.db").exists())
    sender = Client(CallbackAPIVersion.VERSION2, "sender", clean_session=False)
    sender.reconnect_delay_set(1, 1)
    sender.connect("127.0.0.1", broker.port)
    sender.loop_start()
    probe = "meter/probe"
    eventually(lambda: publish(broker.port, probe, 0) or kept(home))  # from now on the broker keeps all for it
    sent = []
    for turn in range(ROUNDS):
        for number in range(30):
            sent.append(f"meter/{turn}/{number}")
            sender.publish(sent[-1], str(number % 3), qos=1 + number % 2)
            if number == 15:
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = subprocess.Popen(command)
        time.sleep(chance.random() * 2)  # a random moment of its start, not a wait for anything
    eventually(lambda: kept_topics(home) >= set(sent))
    sender.disconnect()
    sender.loop_stop()
    process.kill()
    process.wait()
    rows = read(section(broker.port), ["topic"], "received_at", FIRST, LAST)
    assert sorted(topic for topic in rows["topic"] if topic != probe) == sorted(sent)


def kept_topics(home: Settings) -> set[str]:
    with engine(home.state_database).connect() as connection:
        return {*connection.execute(select(messages.c.topic)).scalars()}
