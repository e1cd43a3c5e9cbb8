from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import clock
from stack.specification import project
from stack.specification.project import Clock

START = datetime(2013, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def replay():
    return project.load("flights")


@pytest.fixture
def wall(replay):
    return replay.model_copy(update={"clock": Clock(kind="wall", start=START)})


def test_a_replay_that_has_not_begun_stands_at_its_start(settings, replay):
    assert clock.now(settings, replay) == START


def test_a_replay_stands_where_it_was_put(settings, replay):
    later = START + timedelta(days=59)
    assert clock.advance(settings, replay, later) == later
    assert clock.now(settings, replay) == later


def test_an_instant_in_another_zone_is_the_same_instant(settings, replay):
    clock.advance(settings, replay, datetime(2013, 3, 1, tzinfo=timezone(timedelta(hours=-5))))
    now = clock.now(settings, replay)
    assert now == datetime(2013, 3, 1, 5, tzinfo=UTC)
    assert now.tzinfo is UTC


def test_time_does_not_run_backwards(settings, replay):
    clock.advance(settings, replay, START + timedelta(days=2))
    assert clock.advance(settings, replay, START + timedelta(days=1)) == START + timedelta(days=2)
    assert clock.now(settings, replay) == START + timedelta(days=2)


def test_each_project_has_its_own_clock(settings, replay):
    other = replay.model_copy(update={"name": "energy"})
    clock.advance(settings, replay, START + timedelta(days=2))
    assert clock.now(settings, other) == START


def test_the_wall_clock_is_now(settings, wall):
    before = datetime.now(UTC)
    assert before <= clock.now(settings, wall) <= datetime.now(UTC)


def test_the_wall_clock_cannot_be_moved(settings, wall):
    with pytest.raises(StackError, match="clock.kind"):
        clock.advance(settings, wall, START)
