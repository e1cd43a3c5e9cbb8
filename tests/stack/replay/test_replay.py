"""The order of a replay: its days, its reviews, and ids that stay the same."""

from datetime import UTC, datetime, timedelta

import pytest

from stack.core.errors import StackError
from stack.replay import replay
from stack.serving.client import prediction_ids
from stack.specification import specs

FLIGHTS = specs.load("flights")
FIRST = datetime(2013, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_days_end_at_midnight_and_at_the_end():
    days = list(replay.days(FLIGHTS, FIRST, FIRST + DAY + 6 * HOUR))
    assert days == [(FIRST, FIRST + DAY), (FIRST + DAY, FIRST + DAY + 6 * HOUR)]


def test_an_interrupted_day_is_played_again_from_its_start():
    days = list(replay.days(FLIGHTS, FIRST + DAY + 5 * HOUR, FIRST + 2 * DAY))
    assert days == [(FIRST + DAY, FIRST + 2 * DAY)]


def test_a_replay_begins_where_the_first_pipeline_left_the_clock():
    late = FLIGHTS.model_copy(update={"clock": FLIGHTS.clock.model_copy(update={"first_now": FIRST + 7 * HOUR})})
    assert next(replay.days(late, FIRST + 8 * HOUR, FIRST + DAY)) == (FIRST + 7 * HOUR, FIRST + DAY)
    assert list(replay.days(FLIGHTS, FIRST, FIRST)) == []


def test_reviews_are_a_week_apart_wherever_a_replay_was_interrupted():
    reviews = [day for day in range(30) if replay.is_review(FLIGHTS, FIRST + day * DAY)]
    assert reviews == [7, 14, 21, 28]
    assert not replay.is_review(FLIGHTS, FIRST + 7 * DAY + HOUR)


def test_an_event_has_one_prediction_id():
    first, second = prediction_ids(FLIGHTS, ["2013-03-01-UA1545-EWR", "2013-03-01-UA1545-JFK"])
    assert first != second
    assert prediction_ids(FLIGHTS, ["2013-03-01-UA1545-EWR"]) == [first]
    assert prediction_ids(FLIGHTS.model_copy(update={"name": "trains"}), ["2013-03-01-UA1545-EWR"]) != [first]


def test_what_cannot_be_played_is_refused():
    wall = FLIGHTS.model_copy(update={"clock": FLIGHTS.clock.model_copy(update={"kind": "wall"})})
    with pytest.raises(StackError, match="only recorded data"):
        replay.require_replay(wall, FIRST)
    with pytest.raises(StackError, match="make run"):
        replay.require_replay(FLIGHTS, FIRST - DAY)
