"""Each receiver has every answer once and in order, whatever is killed and when."""

import random
import time

import pytest

from stack.publishing import outbox
from tests.polling import eventually
from tests.stack.publishing.conftest import ids, predictions
from tests.stack.publishing.servers import Hook, Lines, Mosquitto, Postgres

ROUNDS = pytest.param(3, id="3"), pytest.param(25, id="25", marks=pytest.mark.slow)


@pytest.fixture
def receiver(request, tmp_path, settings):
    make = {
        "webhook": lambda: Hook(tmp_path),
        "sql": Postgres,
        "mqtt": lambda: Mosquitto(tmp_path),
        "broker": lambda: Mosquitto(tmp_path),
        "csv": lambda: Lines(settings, "answers.csv"),
        "jsonl": lambda: Lines(settings, "answers.jsonl"),
    }
    receiver = make[request.param]()
    receiver.start()
    yield receiver
    receiver.kill()


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("receiver", ["webhook", "sql", "mqtt", "broker", "csv", "jsonl"], indirect=True)
def test_every_answer_arrives_once_and_in_order(receiver, rounds, publish, process, settings, request):
    """A killed broker sends again what its subscriber has had and it has not written down: the ids tell."""
    project, kind = publish(receiver.sink | {"when": "each"}), request.node.callspec.params["receiver"]
    # With QoS 2 a restarted Mosquitto completes handshakes out of order, and paho hands messages over as they complete.
    subscriber = receiver.subscriber(1 if kind == "broker" else 2) if isinstance(receiver, Mosquitto) else None
    chance, written, key = random.Random(rounds), [], ("toy", receiver.sink["kind"])

    def oldest():
        return next(iter(outbox.oldest(settings.state_database, key, 1)), None)

    def write(count):
        written.extend(answered := predictions(count))
        project.log.write(answered)

    def received():
        return [*dict.fromkeys(receiver.received())] if kind == "broker" else receiver.received()

    for turn in range(rounds):
        write(chance.randint(50, 150))
        first = oldest()
        process.start()
        eventually(lambda first=first: oldest() != first)
        until = time.monotonic() + chance.uniform(0, 0.5)
        while time.monotonic() < until:
            write(chance.randint(1, 20))
        restart = [receiver.kill, receiver.start] if turn % 2 and kind != "mqtt" else []
        for step in [process.kill, *restart] if turn % 4 == 1 else [*restart, process.kill]:
            step()
    process.start()
    eventually(lambda: oldest() is None)
    eventually(lambda: len(received()) >= len(written))
    if subscriber:
        subscriber.loop_stop()

    assert received() == ids(written)
