"""The player of a replay, with fakes of what it leaves to others: the order of its steps, and what it waits for."""

import logging
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from stack.core import profile
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake.lake import Lake
from stack.project import Project
from stack.replay import player as players
from stack.replay import trainings as all_trainings
from stack.replay.player import Player, Review, retry
from stack.replay.trainings import Trainings
from stack.specification import specs
from stack.validation.batches import BatchRefusedError

FIRST, DAY = datetime(2013, 3, 1, tzinfo=UTC), timedelta(days=1)
LOG = logging.getLogger("replay")


@dataclass
class Run:
    id: str
    state: str = "COMPLETED"
    url: str = "http://prefect/runs/1"
    message: str = "by a test"

    @property
    def ended(self) -> bool:
        return self.state != "RUNNING"

    @property
    def good(self) -> bool:
        return self.state == "COMPLETED"


@dataclass
class Runs:
    """Runs that end in the given states, in order."""

    states: list[str]
    begun: list[Run] = field(default_factory=list)

    def last(self, flow: str, project: str, parameters: Any) -> Run | None:
        return self.begun[-1] if self.begun else None

    def start(self, flow: str, project: str, parameters: Any) -> str:
        assert (flow, project) == ("train", "flights") and set(parameters) == {"cutoff", "reason"}
        self.begun.append(Run(f"run-{len(self.begun)}", "RUNNING"))
        return self.begun[-1].id

    def wait(self, run: str) -> Run:
        (begun,) = [item for item in self.begun if item.id == run]
        begun.state = self.states.pop(0)
        return begun


@pytest.fixture
def steps(monkeypatch) -> list[Any]:
    """Replace the rooms below by fakes that write down what is called."""
    done: list[Any] = []

    def fake(owner: Any, name: str, result: Any = None) -> None:
        monkeypatch.setattr(owner, name, lambda *given, **_: (done.append(name), result)[1])

    for name in ("Ticks", "PredictionClient"):
        monkeypatch.setattr(players, name, lambda _: SimpleNamespace(version="1", retried=0, close=lambda: None))
    monkeypatch.setattr(players.datasets, "ingested_until", lambda _: FIRST)
    monkeypatch.setattr(players.feature_tables, "served_until", lambda _: FIRST)
    fake(players.batches, "examine", SimpleNamespace(failures=[], warnings=["rare"], tables={}, accepted=True))
    fake(players.batches, "alert_stale")
    fake(Lake, "append")
    fake(players.features, "update")
    fake(players.replay, "play", 7)
    fake(players.observed, "label")
    fake(players.feature_tables, "mark_served")
    fake(Player, "log_day")
    return done


@pytest.fixture
def project(tmp_path) -> Project:
    opened = Project(Settings(home=tmp_path), specs.load("flights"))
    opened.clock.advance(FIRST)
    return opened


def player(project: Project, last: datetime, steps: list[Any], runs: Runs | None = None, retrain: bool = False) -> Any:
    def monitor(at: datetime) -> Review:
        steps.append(("monitor", at))
        return Review(retrain, 0.25)

    trainings = Trainings("flights", runs or Runs([]), LOG)
    return closing(Player(project, last, trainings, LOG, monitor=monitor, show=lambda result: steps.append("show")))


def test_a_day_loads_its_batch_then_serves_then_labels(project, steps) -> None:
    with player(project, FIRST + DAY, steps) as playing:
        playing.play()
    assert steps == [
        *("examine", "show", "append", "alert_stale", "update"),
        *("play", "label", "mark_served", "log_day"),
    ]
    assert project.clock.now() == FIRST + DAY


def test_a_refused_batch_is_left_out_and_the_day_goes_on(project, steps, monkeypatch) -> None:
    def refuse(*_: Any) -> None:
        raise BatchRefusedError("batch", found="wrong", expected="right")

    monkeypatch.setattr(players.batches, "require_accepted", refuse)
    with player(project, FIRST + DAY, steps) as playing:
        playing.play()
        assert playing.ingested == FIRST
    assert "append" not in steps and "play" in steps


def test_a_batch_of_the_lake_is_not_loaded_again(project, steps) -> None:
    with player(project, FIRST + DAY, steps) as playing:
        playing.ingested = FIRST + DAY
        playing.play()
    assert steps[0] == "update"


def test_a_week_ends_with_a_review(project, steps) -> None:
    with player(project, FIRST + 8 * DAY, steps) as playing:
        playing.play()
    assert [step for step in steps if isinstance(step, tuple)] == [("monitor", FIRST + 7 * DAY)]


def test_a_profile_has_a_record_of_each_day_and_review(project, steps) -> None:
    profile.switch(project.settings, project.name, on=True)
    with player(project, FIRST + 7 * DAY, steps) as playing:
        playing.play()
    parts = profile.recorded(project.settings, project.name)
    assert [part.at for part in parts if part.part == "day"] == [FIRST + (at + 1) * DAY for at in range(7)]
    assert [part.at for part in parts if part.part == "review"] == [FIRST + 7 * DAY]
    assert all(part.steps["append to the lake"].calls == 1 for part in parts if part.part == "day")


def test_a_review_waits_for_the_training_that_it_asks_for(project, steps, monkeypatch) -> None:
    runs = Runs(["COMPLETED", "COMPLETED"])
    monkeypatch.setattr(all_trainings, "EVENT_SECONDS", 0)
    monkeypatch.setattr(Player, "await_champion", lambda _: steps.append("await_champion"))
    with player(project, FIRST, steps, runs, retrain=True) as playing:
        playing.review(FIRST)
        playing.review(FIRST)  # after an interruption: the training is there, nothing is monitored again
    assert steps == [("monitor", FIRST), "await_champion", "await_champion"]
    assert len(runs.begun) == 1


def test_a_failed_training_is_started_again_a_few_times() -> None:
    runs = Runs(["FAILED", "CRASHED", "COMPLETED"])
    trainings = Trainings("flights", runs, LOG)
    trainings.finish(runs.start("train", "flights", {"cutoff": FIRST, "reason": ""}), FIRST)
    assert len(runs.begun) == 3

    runs = Runs(["FAILED"] * 3)
    with pytest.raises(StackError, match="failed: by a test"):
        Trainings("flights", runs, LOG).finish(runs.start("train", "flights", {"cutoff": 1, "reason": ""}), FIRST)


def test_a_cancelled_training_gives_way_to_the_one_that_runs() -> None:
    runs = Runs(["CANCELLED", "COMPLETED"], [Run("gone", "RUNNING")])
    runs.last = lambda *_: other  # type: ignore[method-assign]
    other = Run("other", "RUNNING")
    runs.begun.append(other)
    Trainings("flights", runs, LOG).finish("gone", FIRST)
    assert other.good and len(runs.begun) == 2


def test_a_service_that_serves_another_version_is_an_error(project, steps, monkeypatch) -> None:
    monkeypatch.setattr(players, "START_SECONDS", 0)
    project.__dict__["registry"] = SimpleNamespace(require_champion=lambda: SimpleNamespace(version="2"))
    with player(project, FIRST, steps) as playing:
        playing.client.champion = lambda: "1"
        with pytest.raises(StackError, match="(?s)model 1.*the champion, model 2"):
            playing.await_champion()
        playing.client.champion = lambda: "2"
        playing.await_champion()


def test_only_what_may_pass_is_tried_again(monkeypatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(players.time, "sleep", pauses.append)

    def failing(error: Exception, times: int) -> Any:
        failures = [error] * times

        def step() -> None:
            if failures:
                raise failures.pop()

        return step

    retry(failing(OSError(), 2), log=LOG)
    assert pauses == [2.0, 10.0]
    with pytest.raises(StackError):
        retry(failing(StackError("x", found="y", expected="z"), 1), log=LOG)
    with pytest.raises(OSError):
        retry(failing(OSError(), 9), log=LOG)
    assert len(pauses) == 6
