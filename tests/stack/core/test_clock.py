from datetime import UTC, datetime, timedelta, timezone

import pytest

from stack.core import clock
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import Project
from stack.specification import specs
from stack.specification.sections import Clock

START = datetime(2013, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def replay():
    return specs.load("flights")


@pytest.fixture
def wall(replay):
    return replay.model_copy(update={"clock": Clock(kind="wall", start=START)})


def test_a_replay_that_has_not_begun_stands_at_its_start(settings, replay):
    assert Project(settings, replay).clock.now() == START


def test_a_replay_stands_where_it_was_put(settings, replay):
    later = START + timedelta(days=59)
    assert Project(settings, replay).clock.advance(later) == later
    assert Project(settings, replay).clock.now() == later


def test_an_instant_in_another_zone_is_the_same_instant(settings, replay):
    Project(settings, replay).clock.advance(datetime(2013, 3, 1, tzinfo=timezone(timedelta(hours=-5))))
    now = Project(settings, replay).clock.now()
    assert now == datetime(2013, 3, 1, 5, tzinfo=UTC)
    assert now.tzinfo is UTC


def test_time_does_not_run_backwards(settings, replay):
    Project(settings, replay).clock.advance(START + timedelta(days=2))
    assert Project(settings, replay).clock.advance(START + timedelta(days=1)) == START + timedelta(days=2)
    assert Project(settings, replay).clock.now() == START + timedelta(days=2)


def test_each_project_has_its_own_clock(settings, replay):
    other = replay.model_copy(update={"name": "energy"})
    Project(settings, replay).clock.advance(START + timedelta(days=2))
    assert Project(settings, other).clock.now() == START


def test_the_wall_clock_is_now(settings, wall):
    before = datetime.now(UTC)
    assert before <= Project(settings, wall).clock.now() <= datetime.now(UTC)


def test_the_wall_clock_cannot_be_moved(settings, wall):
    with pytest.raises(StackError, match="clock.kind"):
        Project(settings, wall).clock.advance(START)


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(StackError, match="with a zone"):
        clock.instant("2013-03-01T00:00:00")


@pytest.mark.parametrize(
    ("until", "instant"),
    [
        ("2013-12-31", "2014-01-01T00:00:00+00:00"),
        ("2013-03-01T06:00:00Z", "2013-03-01T06:00:00+00:00"),
    ],
)
def test_a_replay_ends_with_a_date_or_at_an_instant(until, instant):
    assert clock.end_of(until).isoformat() == instant
