"""Scheduled predictions answer each request once, late ones and those of a gap too."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from stack.core.settings import Settings
from stack.features import features
from stack.prediction_log import predictions
from stack.project import Project, contract
from stack.publishing import outbox
from stack.serving import scheduled
from stack.specification.schedules import Schedules
from stack.specification.sinks import File

DAY, HOUR = datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=1)
SINK = File(kind="file", name="file", path="answers.csv")


@pytest.fixture
def project(toy, tmp_path, monkeypatch):
    """A project on the wall clock, asked once an hour, whose champion and features are given."""
    schedules = Schedules(predict="0 * * * *")
    spec = toy.model_copy(update={"schedules": schedules, "publish": [SINK]})
    project = Project(Settings(home=tmp_path), spec)
    champion = SimpleNamespace(version="4")
    model = SimpleNamespace(threshold=0.5, answer=lambda columns: np.full((len(columns["wet"]), 1), 0.75))
    monkeypatch.setitem(project.__dict__, "registry", SimpleNamespace(require_champion=lambda: champion))
    monkeypatch.setattr(scheduled, "loaded", lambda *_: nullcontext(model))
    monkeypatch.setattr(
        features, "training_set", lambda _, events: events.assign(wet=np.float32(1), cold=np.nan, town_id="Bath")
    )
    return project


@pytest.fixture
def source(monkeypatch):
    """What the source knows, by instant; more may come."""
    known: list[datetime] = []

    def requests(since, until):
        instants = [at for at in known if since < at <= until]
        frame = {"event_id": [at.isoformat() for at in instants], "town": ["Bath"] * len(instants)}
        return pd.DataFrame(frame | {"asked_at": pd.to_datetime(instants, utc=True).as_unit("us")})

    monkeypatch.setattr(contract, "request_source", lambda _: SimpleNamespace(requests=requests))
    return known


@pytest.fixture
def late(monkeypatch, source):
    """What comes late: instants by the one at which they come."""
    came: dict[datetime, list[datetime]] = {}
    requests = contract.request_source("").requests

    def arrived(since, until):
        source[:] = [at for known, instants in came.items() if since < known <= until for at in instants]
        found = requests(DAY, since)
        source.clear()
        return found

    both = SimpleNamespace(requests=requests, late=arrived, fetch=requests)
    monkeypatch.setattr(contract, "request_source", lambda _: both)
    return came


def published(project):
    waiting = outbox.oldest(project.settings.state_database, (project.name, "file"), 999).values()
    return [datetime.fromisoformat(message["asked_at"]) for message in waiting]


def test_the_first_run_answers_since_the_schedule_was_last_due_and_a_gap_is_caught_up(project, source):
    source += [DAY + minutes * timedelta(minutes=10) for minutes in range(1, 60)]

    assert scheduled.answer(project, DAY + HOUR) == 6
    assert scheduled.answer(project, DAY + HOUR) == 0
    assert scheduled.answer(project, DAY + 5 * HOUR) == 24, "four hours, of which three were missed"

    assert published(project) == source[:30]
    log = project.log.read(DAY, DAY + 9 * HOUR)
    assert len(log) == 30 and set(log["probability"]) == {0.75} and set(log["model_version"]) == {"4"}


def test_a_request_that_comes_late_is_answered_once(project, source):
    source += [DAY + HOUR / 2]
    assert scheduled.answer(project, DAY + HOUR) == 1

    source.append(DAY + HOUR * 0.75)

    assert scheduled.answer(project, DAY + 2 * HOUR) == 1
    assert scheduled.answer(project, DAY + 3 * HOUR) == 0
    assert published(project) == source


def test_a_request_that_the_source_gives_twice_is_answered_once(project, source):
    source += [DAY + HOUR / 2, DAY + HOUR * 0.75, DAY + HOUR / 2]
    assert scheduled.answer(project, DAY + HOUR) == 2
    assert published(project) == source[:2]


def test_what_a_source_says_to_have_come_late_is_answered_once_however_old_it_is(project, late):
    assert scheduled.answer(project, DAY + HOUR) == 0
    assert scheduled.answer(project, DAY + 9 * HOUR) == 0
    late[DAY + 9.5 * HOUR] = [DAY + 2 * HOUR, DAY + 3 * HOUR]
    assert scheduled.answer(project, DAY + 10 * HOUR) == 2
    assert scheduled.answer(project, DAY + 11 * HOUR) == 0
    assert published(project) == [DAY + 2 * HOUR, DAY + 3 * HOUR]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_run_that_is_killed_publishes_nothing_twice(project, source, monkeypatch, after):
    monkeypatch.setattr(scheduled, "MAX_ROWS", 2)
    source += [DAY + minutes * timedelta(minutes=10) for minutes in range(1, 7)]
    write, done = predictions.PredictionLog.write, []

    def killed(*arguments, **options):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(write(*arguments, **options))

    monkeypatch.setattr(predictions.PredictionLog, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        scheduled.answer(project, DAY + HOUR)
    monkeypatch.setattr(predictions.PredictionLog, "write", write)

    assert scheduled.answer(project, DAY + HOUR) == 6 - 2 * after
    assert published(project) == source
