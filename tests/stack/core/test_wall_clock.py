"""A jump of the clock is distinguished from time that has passed, and nothing is deleted or ingested on its word."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stack.core import clock, wall_clock
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.core.wall_clock import Reading
from stack.prediction_log import pruning
from stack.project import Project
from stack.specification import specs
from stack.validation import batches, validation
from tests.stack.prediction_log.test_predictions import prediction

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = 365 * DAY
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Machine:
    """The clocks of a machine that a test sets."""

    def __init__(self) -> None:
        self.reading, self.ntp = Reading(NOW.timestamp(), "first", 1000.0), False

    def run(self, time: timedelta) -> None:
        """Time passes, awake or asleep."""
        seconds = time.total_seconds()
        now = self.reading
        self.reading = replace(now, wall=now.wall + seconds, uptime=now.uptime + seconds)

    def step(self, by: timedelta) -> None:
        """The clock is set."""
        self.reading = replace(self.reading, wall=self.reading.wall + by.total_seconds())

    def restart(self, off: timedelta) -> None:
        """The machine is off for a while."""
        self.reading = Reading(self.reading.wall + off.total_seconds(), f"{self.reading.boot}'", 20.0)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.reading.wall, UTC)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(wall_clock, "read", lambda: machine.reading)
    monkeypatch.setattr(wall_clock, "_kept_by_ntp", lambda _: machine.ntp)
    return machine


@pytest.fixture
def settings(tmp_path: Path, machine: Machine) -> Settings:
    """A stack that has watched the clock since yesterday."""
    settings = Settings(home=tmp_path)
    wall_clock.observe(settings)
    machine.run(DAY)
    wall_clock.observe(settings)
    return settings


def jump(settings: Settings) -> timedelta:
    return wall_clock.observe(settings).jump


@pytest.mark.parametrize("passed", [MINUTE, 30 * DAY, 400 * DAY])
def test_time_that_passes_awake_or_asleep_is_no_jump(settings, machine, passed):
    machine.run(passed)
    assert jump(settings) == timedelta() and wall_clock.problems(settings) == []


@pytest.mark.parametrize("off", [MINUTE, 7 * DAY])
def test_a_machine_that_was_off_has_no_jump(settings, machine, off):
    machine.restart(off)
    assert jump(settings) == timedelta()


@pytest.mark.parametrize(
    ("by", "restarted"),
    [*((by, False) for by in (YEAR, -YEAR, HOUR, -HOUR)), *((by, True) for by in (YEAR, -YEAR, -HOUR))],
)
def test_a_jump_is_told_until_the_clock_is_right_again(settings, machine, by, restarted):
    if restarted:
        machine.restart(timedelta())
    machine.step(by)
    for _ in range(2):
        machine.run(MINUTE)
        assert abs(jump(settings) - by) < 8 * DAY + 3 * MINUTE and (jump(settings) > timedelta()) == (by > timedelta())
        (problem,) = wall_clock.problems(settings)
        assert problem.title == "the clock has jumped" and "make clock TRUST=1" in problem.todo
    machine.step(-by)
    assert jump(settings) == timedelta() and wall_clock.problems(settings) == []


def test_a_step_of_ntp_is_believed_and_so_is_the_user(settings, machine):
    machine.step(-YEAR)
    assert jump(settings) == -YEAR
    machine.ntp = True
    assert jump(settings) == timedelta()
    machine.ntp = False
    machine.step(2 * YEAR)
    assert jump(settings) == 2 * YEAR
    wall_clock.trust(settings)
    assert jump(settings) == timedelta()


@pytest.fixture
def logged(settings, machine) -> Settings:
    """A log, quarantine and pages of yesterday."""
    log = Project(settings, specs.load("flights")).log
    log.write([prediction("a", answered_at=machine.now), prediction("old", answered_at=machine.now - 130 * DAY)])
    return settings


@pytest.mark.parametrize("by", [YEAR, 100 * DAY, 40 * DAY])
def test_a_jump_deletes_nothing_and_then_what_is_due(logged, machine, by):
    machine.step(by)
    spec = specs.load("flights")
    Project(logged, spec).log.write([prediction("ahead", answered_at=machine.now)])
    assert pruning.prune(logged, machine.now) == 0
    machine.step(-by)
    assert pruning.prune(logged, machine.now) == 1, "the row of 130 days ago"


def test_an_instant_that_has_not_come_deletes_nothing(logged, machine):
    assert pruning.prune(logged, machine.now + 100 * DAY) == 0


def test_an_unwatched_clock_deletes_nothing_far_after_the_newest_record(logged, machine):
    (logged.run / "clock.json").unlink()
    machine.step(YEAR)
    assert pruning.prune(logged, machine.now) == 0


def test_pages_and_quarantine_stay(settings, machine):
    project = Project(settings, specs.load("flights"))
    folder = settings.quarantine / "flights/20260101T000000Z_20260102T000000Z"
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text("{}")
    os.utime(folder / "verdict.json", (machine.reading.wall, machine.reading.wall))
    machine.step(YEAR)
    validation._forget(project, machine.now)
    assert (folder / "verdict.json").exists()
    machine.step(-YEAR)
    machine.run(YEAR)
    validation._forget(project, machine.now)
    assert not folder.exists()


def test_an_ingest_beyond_what_can_be_vouched_for_is_refused(settings, machine):
    wall = clock.Clock(settings.state_database, "meters", "wall", NOW)
    clock.require_vouched(settings, wall, machine.now)
    with pytest.raises(StackError, match="an instant that has come"):
        clock.require_vouched(settings, wall, machine.now + DAY)
    machine.step(YEAR)
    with pytest.raises(StackError, match="by 365 days ahead"):
        clock.require_vouched(settings, wall, machine.now)
    replay = replace(wall, kind="replay")
    clock.require_vouched(settings, replay, machine.now)
    machine.step(-YEAR)
    clock.require_vouched(settings, wall, machine.now)


def test_the_source_is_not_asked_by_a_clock_that_has_jumped(settings, machine, monkeypatch):
    spec = specs.load("flights")
    wall = spec.model_copy(update={"clock": spec.clock.model_copy(update={"kind": "wall"})})
    machine.step(YEAR)
    with pytest.raises(StackError, match="ahead"):
        batches.fetch(Project(settings, wall), machine.now - YEAR, machine.now)
