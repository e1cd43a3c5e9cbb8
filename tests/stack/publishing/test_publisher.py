"""Deliveries follow project.yaml, wait for their receivers, and say so."""

import json
from functools import partial

import pytest

from stack.core import problems, secrets
from stack.publishing import outbox, publisher
from stack.publishing.publisher import Delivery, Publisher
from stack.specification import specs
from tests import polling
from tests.stack.publishing.conftest import ids, predictions
from tests.stack.publishing.servers import Hook, Mosquitto, Postgres

eventually = partial(polling.eventually, seconds=60)
LINES = {"kind": "file", "path": "answers.jsonl", "when": "each"}


@pytest.fixture
def deliveries(settings, monkeypatch):
    monkeypatch.setattr(publisher, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(publisher, "LONGEST_SECONDS", 0.1)
    deliveries = Publisher(settings)
    yield deliveries
    deliveries.stop()


@pytest.fixture
def started(request):
    servers = []

    def start(server):
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.kill()


def recorded(settings):
    return [str(problem) for _, problem in problems.recorded(settings)]


def test_a_dead_receiver_holds_up_no_other_sink_and_has_all_answers_when_it_is_back(
    publish, deliveries, settings, tmp_path, monkeypatch, started
):
    monkeypatch.setattr(publisher, "PATIENCE", publisher.timedelta(0))
    hook, answered = Hook(tmp_path), predictions(30)
    project = publish(LINES, hook.sink | {"when": "each"})
    deliveries.sync()

    project.log.write(answered)
    lines = settings.home / "published" / "toy" / "answers.jsonl"
    eventually(lambda: lines.exists() and len(lines.read_text().splitlines()) == 30)
    eventually(lambda: any("30 answers wait since" in text for text in recorded(settings)))
    started(hook)

    eventually(lambda: hook.log.exists() and hook.received() == ids(answered))
    eventually(lambda: not recorded(settings))


def test_a_sink_comes_changes_and_goes_while_the_publisher_runs(publish, deliveries, settings):
    folder, first = settings.home / "published" / "toy", predictions(1)
    deliveries.sync()
    publish(LINES | {"name": "lines"}).log.write(first)
    deliveries.sync()
    eventually(lambda: (folder / "answers.jsonl").exists())

    project, second = publish(LINES | {"name": "lines", "path": "longer.jsonl"}), predictions(1)
    deliveries.sync()
    project.log.write(second)
    eventually(lambda: (folder / "longer.jsonl").exists())
    project = publish()
    deliveries.sync()

    project.log.write(predictions(1))

    assert deliveries._running == {}
    assert ids(second)[0] in (folder / "longer.jsonl").read_text()


def test_an_invalid_project_keeps_its_sinks(publish, deliveries, settings, tmp_path):
    project = publish(LINES)
    deliveries.sync()
    (tmp_path / "projects" / "toy" / "project.yaml").write_text("name: [")
    deliveries.sync()

    project.log.write(predictions(1))

    eventually(lambda: (settings.home / "published" / "toy" / "answers.jsonl").exists())


def test_an_error_names_the_secret_and_not_its_value(publish, deliveries, settings, tmp_path, monkeypatch, caplog):
    env = tmp_path / ".env"
    env.write_text("HOOK_KEY=geheim-42\n")
    monkeypatch.setattr(secrets, "FILE", env)
    monkeypatch.setattr(publisher, "PATIENCE", publisher.timedelta(0))
    hook = {"kind": "webhook", "url": "http://${HOOK_KEY}.invalid:1/x", "when": "each"}

    publish(hook, {**hook, "name": "other", "url": "http://${HOOK_KEI}/x"}).log.write(predictions(1))
    deliveries.sync()
    eventually(lambda: len(recorded(settings)) == 2)

    found = "\n".join(recorded(settings)) + caplog.text
    assert "HOOK_KEI, which .env does not define, did you mean 'HOOK_KEY'?" in found.replace("${", "").replace("}", "")
    assert "geheim" not in found


def test_a_table_gets_the_columns_of_new_fields(publish, deliveries, started):
    database = started(Postgres())
    publish(database.sink | {"when": "each"}).log.write(predictions(2))
    deliveries.sync()
    eventually(lambda: table(database, "SELECT count(*), max(day::text) FROM answers") == (2, "2024-01-01 00:00:00+00"))

    more = {"name": "toy", "request": {"rain_mm": {"type": "integer", "description": "Rain", "example": 3}}}
    answered = predictions(1, request={"rain_mm": 7})
    publish(
        database.sink | {"when": "each"}, **more, features={"service": "s", "columns": {"wet": "number"}}
    ).log.write(answered)
    deliveries.sync()

    eventually(lambda: table(database, "SELECT count(*), max(rain_mm) FROM answers") == (3, 7))


def test_an_answer_waits_while_a_change_of_its_project_has_not_been_looked_at(publish, settings, tmp_path):
    before = publish(LINES)
    (sink,), (stamp,) = before.spec.publish, specs.stamps().values()
    delivery = Delivery(settings, before.spec, sink, stamp)
    before.log.write(predictions(2))
    assert delivery.deliver()

    publish({**LINES, "path": "other.jsonl"}).log.write(predictions(1))
    assert not delivery.deliver() and outbox.waiting(settings.state_database, delivery.key).count == 1


def table(database, query):
    from sqlalchemy import text

    try:
        with database.engine.connect() as connection:
            connection.execute(text("SET TIME ZONE 'UTC'"))
            return tuple(connection.execute(text(query)).one())
    except Exception:  # not made yet
        return None


def test_a_sensor_appears_by_itself_and_says_when_it_is_unavailable(
    publish, deliveries, tmp_path, started, monkeypatch
):
    env, rules = tmp_path / ".env", tmp_path / "passwords"
    env.write_text("MQTT_PASSWORD=s3cret-word\n")
    monkeypatch.setattr(secrets, "FILE", env)
    rules.write_text(hashed("stack", "s3cret-word"))
    broker = started(Mosquitto(tmp_path, f"allow_anonymous false\npassword_file {rules}"))
    subscriber = broker.subscriber(username="stack", password="s3cret-word")
    login = {"username": "stack", "password": "${MQTT_PASSWORD}", "when": "each", "unit": "mm", "device_class": "rain"}

    publish(broker.sink | login).log.write(predictions(4))
    deliveries.sync()
    eventually(lambda: len(broker.received()) == 4)

    topics = {topic: payload for topic, payload, _ in broker.messages}
    sensor = json.loads(topics["homeassistant/sensor/homelab-mlops_toy_Bath/config"])
    assert sensor["state_topic"] == "homelab/toy/Bath" and "homelab/toy/Cork" in topics
    assert (sensor["unit_of_measurement"], sensor["device_class"], sensor["state_class"]) == (
        "mm",
        "rain",
        "measurement",
    )
    assert json.loads(topics["homelab/toy/Bath"])["probability"] == 0.25
    assert sensor["value_template"] == "{{ value_json.probability }}"
    assert topics[sensor["availability_topic"]] == "online"

    deliveries.stop()
    eventually(lambda: broker.messages[-1][:2] == (sensor["availability_topic"], "offline"))
    subscriber.loop_stop()


def hashed(user: str, password: str) -> str:
    """A line of Mosquitto's password file."""
    from base64 import b64encode
    from hashlib import pbkdf2_hmac

    salt = b"123456789012"
    key = pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return f"{user}:$7$101${b64encode(salt).decode()}${b64encode(key).decode()}\n"


def test_what_was_written_before_is_known_by_the_end_of_a_file(publish, deliveries, settings):
    """A kill between the line and the outbox, and one within a line."""
    project, answered = publish(LINES | {"path": "answers.csv", "kind": "file"}), predictions(3)
    project.log.write(answered)
    deliveries.sync()
    path = settings.home / "published" / "toy" / "answers.csv"
    eventually(lambda: path.exists() and not outbox.oldest(settings.state_database, ("toy", "file"), 1))
    deliveries.stop()
    whole = path.read_bytes()
    path.write_bytes(whole + b"00000x,2024")
    messages = [
        dict(zip(whole.decode().split("\n")[0].split(","), row.split(","), strict=True))
        for row in whole.decode().split("\n")[1:-1]
    ]
    from stack.publishing.file import Receiver

    receiver = Receiver(settings, project.spec, project.spec.publish[0])

    assert sum(receiver.deliver(messages)) == 3
    assert path.read_bytes() == whole
