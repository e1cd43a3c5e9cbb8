"""Two days of a replay, killed and taken up again: every flight asked once, with the features of its own instant."""

import os
import signal
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess

import pytest

from monitoring import skew
from stack.core import profile
from stack.core.pages import PROFILE
from stack.core.settings import Settings
from stack.lake import lake
from stack.ops.local.supervisor import Supervisor
from stack.project import Project, contract
from stack.serving.client import prediction_ids
from stack.specification import specs
from tests.forks import Forks
from tests.polling import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.services
FLIGHTS = specs.load("flights")
FIRST, UNTIL = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 3, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
REPLAY = f"""
from datetime import datetime
from flows.replay import replay
replay("flights", datetime.fromisoformat({UNTIL.isoformat()!r}), profile=True)
"""


def asked(settings: Settings) -> int:
    return len(Project(settings, FLIGHTS).log.ids(FIRST - MOMENT, UNTIL))


def wait(replaying: ForkServerProcess, settings: Settings, more: int) -> None:
    """Let a replay ask about so many flights more."""
    before = asked(settings)
    eventually(lambda: asked(settings) >= before + more, alive=lambda: replaying.exitcode is None)


def test_a_killed_replay_goes_on_and_asks_every_flight_once(running: Settings, forks: Forks) -> None:
    for more in (50, 400):
        replaying = forks.start(REPLAY)
        wait(replaying, running, more)
        replaying.kill()
        replaying.join()
    replaying = forks.start(REPLAY)
    wait(replaying, running, 200)
    os.kill(Supervisor(running).states()["prediction"].pid, signal.SIGKILL)
    replaying.join(timeout=PATIENCE_SECONDS)
    assert replaying.exitcode == 0

    due = contract.request_source(FLIGHTS.name).requests(FIRST - MOMENT, UNTIL - MOMENT)
    log = Project(running, FLIGHTS).log.read(FIRST - MOMENT, UNTIL - MOMENT)
    ids = prediction_ids(FLIGHTS, due["event_id"])
    replayed = log[log["id"].isin(ids)]
    assert sorted(replayed["id"]) == sorted(ids)
    assert sorted(replayed["event_timestamp"]) == sorted(due["asked_at"])
    assert Project(running, FLIGHTS).clock.now() == UNTIL
    assert Project(running, FLIGHTS).lake.batches()["since"].tolist()[1:] == [FIRST, FIRST + timedelta(days=1)]

    labelled = replayed["label"].notna()
    assert labelled.mean() > 0.8
    assert (replayed.loc[labelled, "label_at"] <= UNTIL).all()
    recorded = profile.recorded(running, FLIGHTS.name)
    assert [(part.at, part.part) for part in recorded] == [(UNTIL - timedelta(days=1), "day"), (UNTIL, "day")]
    assert "ask for predictions" in (running.pages / FLIGHTS.name / PROFILE).read_text()
    compared = skew.check(Project(running, FLIGHTS), FIRST, UNTIL)
    assert compared.rows > 1700
    assert (compared.differing, compared.examples) == (0, ())


def test_a_replay_that_has_arrived_changes_nothing(running: Settings, forks: Forks) -> None:
    before = asked(running), lake.newest_revision(running)
    ended = forks.run(REPLAY, 120)
    assert ended.exit_code == 0, ended.output
    assert (asked(running), lake.newest_revision(running)) == before
