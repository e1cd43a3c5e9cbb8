"""What enters the outbox, and what leaves it."""

from datetime import timedelta

import pytest

from stack.publishing import outbox
from stack.publishing.messages import columns
from tests.stack.publishing.conftest import START, ids, predictions

EACH = {"kind": "file", "path": "all.jsonl", "name": "all", "when": "each"}
SCHEDULED = {"kind": "file", "path": "some.jsonl", "name": "some"}


def waiting(settings, sink):
    return [message["prediction_id"] for message in outbox.oldest(settings.state_database, ("toy", sink), 99).values()]


def test_a_sink_has_each_answer_or_those_of_scheduled_predictions(publish, settings):
    project, asked, scheduled = publish(EACH, SCHEDULED), predictions(3), predictions(2)

    project.log.write(asked)
    project.log.write(scheduled, scheduled=True)

    assert waiting(settings, "all") == ids(asked + scheduled)
    assert waiting(settings, "some") == ids(scheduled)


def test_a_prediction_that_is_logged_again_is_published_once(publish, settings):
    project, answered = publish(EACH), predictions(3)
    project.log.write(answered[:2])
    outbox.remove(settings.state_database, outbox.oldest(settings.state_database, ("toy", "all"), 9))

    project.log.write(answered)

    assert waiting(settings, "all") == ids(answered[2:])


def test_a_prediction_that_comes_twice_in_one_commit_is_published_once(publish, settings):
    project, answered = publish(EACH), predictions(3)

    project.log.write([*answered, answered[2]])

    assert waiting(settings, "all") == ids(answered)


def test_a_message_is_flat_and_the_same_for_every_kind(publish, settings):
    project, (answer,) = publish(EACH), predictions(1)
    project.log.write([answer])

    (message,) = outbox.oldest(settings.state_database, ("toy", "all"), 1).values()

    assert [*message] == [*columns(project.spec)]
    assert message | {"asked_at": 0, "answered_at": 0, "prediction_id": 0} == {
        "prediction_id": 0,
        "asked_at": 0,
        "answered_at": 0,
        "model_version": "3",
        "probability": 0.25,
        "decision": False,
        "town": "Bath",
        "cold": None,
        "day": "2024-01-01T00:00:00Z",
    }


def test_the_oldest_are_dropped_beyond_what_may_wait(publish, settings):
    project, answered = publish(EACH), predictions(5)
    project.log.write(answered)

    assert outbox.shorten(settings.state_database, ("toy", "all"), 5) == 0
    assert outbox.shorten(settings.state_database, ("toy", "all"), 2) == 3
    assert waiting(settings, "all") == ids(answered[3:])
    assert outbox.waiting(settings.state_database, ("toy", "all")).count == 2


@pytest.mark.parametrize(("unreadable", "left"), [([], 0), (["toy"], 3)])
def test_answers_of_a_sink_that_is_gone_are_dropped_unless_its_project_cannot_be_read(
    publish, settings, unreadable, left
):
    publish(EACH).log.write(predictions(3))

    outbox.discard_others(settings.state_database, [("toy", "another")], unreadable)

    assert len(waiting(settings, "all")) == left


def test_it_is_known_since_when_answers_wait(publish, settings):
    project = publish(EACH)
    project.log.write(predictions(1, answered_at=START + timedelta(hours=1)))
    project.log.write(predictions(1, answered_at=START + timedelta(hours=2)))

    assert outbox.waiting(settings.state_database, ("toy", "all")).since == START + timedelta(hours=1)
