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
        "csv": lambda: Lines(settings, "answers.csv"),
        "jsonl": lambda: Lines(settings, "answers.jsonl"),
    }
    receiver = make[request.param]()
    receiver.start()
    yield receiver
    receiver.kill()


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("receiver", ["webhook", "sql", "mqtt", "csv", "jsonl"], indirect=True)
def test_every_answer_arrives_once_and_in_order(receiver, rounds, publish, process, settings, request):
    project, kind = publish(receiver.sink | {"when": "each"}), request.node.callspec.params["receiver"]
    subscriber = receiver.subscriber() if kind == "mqtt" else None
    chance, written, key = random.Random(rounds), [], ("toy", receiver.sink["kind"])

    def oldest():
        return next(iter(outbox.oldest(settings.state_database, key, 1)), None)

    def write(count):
        written.extend(answered := predictions(count))
        project.log.write(answered)

    for turn in range(rounds):
        write(chance.randint(50, 150))
        first = oldest()
        process.start()
        eventually(lambda first=first: oldest() != first, 60)
        until = time.monotonic() + chance.uniform(0, 0.5)
        while time.monotonic() < until:
            write(chance.randint(1, 20))
        process.kill()
        if turn % 2 and kind != "mqtt":  # a broker acknowledges before it has kept a message
            receiver.kill()
            receiver.start()
    process.start()
    eventually(lambda: oldest() is None)
    received = eventually(lambda: (now := receiver.received()) and len(now) >= len(written) and now, 60)
    if subscriber:
        subscriber.loop_stop()

    assert received == ids(written)
