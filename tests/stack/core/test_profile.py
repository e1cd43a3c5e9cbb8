"""Steps are recorded while a profile is on: each without the steps within it, by part of a replayed day."""

from datetime import UTC, datetime

import pytest

from stack.core import profile
from stack.core.profile import Cost, recorded, recording, step
from stack.core.settings import Settings

AT = datetime(2013, 3, 2, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Stand still until a test moves the time; a second takes half a core second."""
    now = [0.0]
    monkeypatch.setattr(profile, "perf_counter", lambda: now[0])
    monkeypatch.setattr(profile, "process_time", lambda: now[0] / 2)
    return now


def test_a_step_counts_without_the_steps_within_it(tmp_path, clock):
    settings = Settings(home=tmp_path)
    profile.switch(settings, "trains", on=True)
    with recording(settings, "trains", AT, "day"):
        clock[0] += 1
        for _ in range(2):
            with step("outer"):
                clock[0] += 10
                with step("inner"):
                    clock[0] += 100
    (part,) = recorded(settings, "trains")
    assert (part.at, part.part) == (AT, "day")
    assert part.steps == {"inner": Cost(200, 100, 2), "outer": Cost(20, 10, 2), "other": Cost(1, 0.5, 1)}


def test_a_part_that_fails_leaves_no_record_and_one_played_again_replaces_it(tmp_path, clock):
    settings = Settings(home=tmp_path)
    profile.switch(settings, "trains", on=True)
    for seconds in (1, 2):
        with recording(settings, "trains", AT, "day"):
            clock[0] += seconds
    with pytest.raises(OSError), recording(settings, "trains", AT, "review"):
        raise OSError
    assert [part.steps for part in recorded(settings, "trains")] == [{"other": Cost(2, 1, 1)}]


def test_nothing_is_recorded_while_it_is_off(tmp_path):
    settings = Settings(home=tmp_path)
    profile.switch(settings, "trains", on=True)
    profile.switch(settings, "trains", on=False)
    with step("before any recording"), recording(settings, "trains", AT, "day"), step("play"):
        pass
    assert recorded(settings, "trains") == []
