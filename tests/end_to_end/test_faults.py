"""Killed at every step boundary and started again, a run ends where an undisturbed one ends; so it does at random."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.core import settings
from tests.end_to_end import checkouts
from tests.end_to_end.faulty_stack import FaultyStack
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import own_environment

pytestmark = [pytest.mark.services, pytest.mark.slow]
# A review two days after the first model asks for no other one of the first three projects; two hours later, a training
# finds their champion too old, and makes another one.
AGES = {"calm": "P2DT1H", "stormy": "P2DT1H", "squally": "P2DT1H", "fair": "P2D", "gusty": "P2D"}
REVIEW, LATER = "2024-01-23T00:00:00Z", "2024-01-23T02:00:00Z"
INGEST = [
    *("flows.ingest:fetch", "stack.validation.quarantine:keep", "flows.ingest:validate"),
    *("stack.lake.repository:write", "stack.lake.repository:write#2", "dvc_data.hashfile.db:HashFileDB.add"),
    *("dvc_data.hashfile.db:HashFileDB.add#2", "scmrepo.git:Git.add", "scmrepo.git:Git.commit"),
    *("stack.features.feature_tables:replace_month", "flows.ingest:compute_features", "flows.ingest:join_labels"),
    *("stack.features.features:materialise", "stack.features.feature_tables:mark_served"),
    "flows.ingest:ingest",
]
# A run that was killed just before finds this work done, and passes by: each takes an ingest of its own.
DONE_BEFORE = [
    *("stack.lake.repository:write#3", "stack.lake.repository:commit", "stack.lake.keys:remember"),
    *("flows.ingest:append", "flows.ingest:bring_online"),
]
TRAIN = [
    *("flows.train:existing_version", "flows.train:training_set"),
    *("stack.training.tracking:Tracker.open_run", "stack.training.tracking:Tracker.trial"),
    *("stack.training.training:evaluate", "stack.training.training:refit", "stack.training.tracking:Tracker.log"),
    *("stack.training.tracking:Tracker.artifacts", "mlflow.sklearn:log_model", "mlflow:register_model"),
    "stack.registry.registry:Registry.set_challenger",
]
PROMOTE = [
    *("flows.promote:has_challenger", "flows.promote:judge"),
    *("stack.promotion.decisions:record", "stack.registry.registry:Registry.point_alias@champion"),
    *("stack.registry.registry:Registry.drop_alias", "stack.promotion.decisions:carry_out", "flows.promote:promote"),
]
MONITOR = ["monitoring.pages:save", "flows.monitor:compare", "flows.monitor:publish"]
REPLAY = [
    *("stack.validation.batches:fetch", "stack.validation.batches:validate", "scmrepo.git:Git.commit"),
    *("stack.lake.lake:Lake.append", "stack.features.feature_tables:replace_month", "stack.features.features:update"),
    *("stack.features.ticks:Ticks.push", "stack.core.clock:Clock.advance"),
    *("stack.serving.client:PredictionClient.predict", "stack.serving.client:PredictionClient.predict#3"),
    *("stack.features.ticks:Ticks.push#9", "stack.replay.replay:play"),
    *("stack.prediction_log.predictions:PredictionLog.label_events", "stack.serving.observed:label"),
    *("stack.features.feature_tables:mark_served",),
    # The first pipeline has no rows to draw.
    *("stack.replay.player:Player.day", "monitoring.workspace:add", *MONITOR, "stack.replay.player:Player.review"),
]
FOLLOW = [
    *("stack.training.tracking:Tracker.register", "stack.registry.registry:Registry.point_alias@previous"),
    *(
        "stack.registry.registry:Registry.point_alias@champion",
        "stack.registry.registry:Registry.drop_alias",
        "flows.promote:promote",
    ),
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    """A stack of its own, as its servers are killed."""
    folder = tmp_path_factory.mktemp("faulty")
    python = checkouts.make(folder, AGES)
    own = own_environment(folder / "var") | {"STACK_WORKSPACE": str(folder)}
    environ = checkouts.environment(folder, os.environ | own)
    command = [str(python), "-m", "stack"]
    try:
        subprocess.run([*command, "up", "--no-pipeline"], env=environ, cwd=folder, check=True, timeout=600)
        launcher = FaultyStack(python, folder, settings.load(environ, env_file=Path("/dev/null")))
        yield launcher
        launcher.close()
    finally:
        subprocess.run([*command, "down"], env=environ, cwd=folder, check=False, timeout=PATIENCE_SECONDS)


def test_ingests_killed_at_every_step(faulty: FaultyStack) -> None:
    for day, places in enumerate([INGEST, *([place] for place in DONE_BEFORE)], start=2):
        until = f"2024-01-{day:02}T00:00:00Z"
        faulty.flow("flows.ingest:ingest", "calm", until=until)
        faulty.flow("flows.ingest:ingest", "stormy", places, until=until)

    calm, stormy = faulty.state("calm"), faulty.state("stormy")
    assert len(calm["lake"]) == len(calm["commits"]) == 1 + len(DONE_BEFORE)
    assert stormy == calm


def test_first_pipeline_killed_at_every_step(faulty: FaultyStack) -> None:
    faulty.flow("flows.pipeline:pipeline", "calm")
    faulty.flow("flows.pipeline:pipeline", "stormy", ["stack.core.clock:Clock.advance", *TRAIN, *PROMOTE, *MONITOR])

    calm, stormy = faulty.state("calm"), faulty.state("stormy")
    assert len(calm["versions"]) == len(calm["audit"]) == 1
    assert stormy == calm


def test_replay_and_second_training_killed_at_every_step(faulty: FaultyStack) -> None:
    faulty.flow("flows.replay:replay", "calm", until=LATER)
    faulty.flow("flows.replay:replay", "stormy", REPLAY, until=LATER)
    faulty.flow("flows.train:train", "calm", cutoff=LATER)
    faulty.flow("flows.train:train", "stormy", FOLLOW, cutoff=LATER)

    calm, stormy = faulty.state("calm"), faulty.state("stormy")
    assert len(calm["log"]) == (2 * 24 + 2) * 4
    assert len(calm["versions"]) == len(calm["audit"]) == 2
    assert stormy == calm


def test_runs_and_servers_killed_at_twenty_random_moments(faulty: FaultyStack) -> None:
    for day in range(2, 3 + len(DONE_BEFORE)):
        faulty.flow("flows.ingest:ingest", "squally", until=f"2024-01-{day:02}T00:00:00Z")
    killed = faulty.run_and_kill("flows.pipeline:pipeline", "squally", runs=11, servers=5)
    killed += faulty.run_and_kill("flows.replay:replay", "squally", runs=11, servers=5, until=LATER)
    killed += faulty.run_and_kill("flows.train:train", "squally", runs=4, servers=2, cutoff=LATER)

    assert killed >= 20
    assert faulty.state("squally") == faulty.state("calm")


def test_worker_killed_in_a_replay_that_retrains(faulty: FaultyStack) -> None:
    for name in ("fair", "gusty"):
        faulty.flow("flows.pipeline:pipeline", name)
    assert faulty.runs.follow(faulty.start("replay", "fair", until=REVIEW), print).good

    with faulty.ignoring_drift("gusty"):
        replaying = faulty.start("replay", "gusty", until=REVIEW)
        eventually(lambda: (run := faulty.training("gusty", REVIEW)) and run.state == "RUNNING", 600)
    dead = faulty.training("gusty", REVIEW)
    assert faulty.kill("worker")
    eventually(lambda: faulty.progress(replaying) == "COMPLETED", 600)

    assert dead and faulty.progress(dead.id) == "CRASHED"
    fair, gusty = faulty.state("fair"), faulty.state("gusty")
    assert len(fair["versions"]) == len(fair["audit"]) == 2
    assert gusty == fair


def test_lost_drift_event_is_made_up_for(faulty: FaultyStack) -> None:
    lost, next_one = "2024-01-25T00:00:00Z", "2024-01-26T00:00:00Z"
    with faulty.ignoring_drift("fair"):
        faulty.flow("flows.ingest:ingest", "fair", until=lost)
        faulty.flow("flows.monitor:monitor", "fair", at=lost)
        assert faulty.training("fair", lost) is None

    faulty.flow("flows.ingest:ingest", "fair", until=next_one)
    faulty.flow("flows.monitor:monitor", "fair", at=next_one)
    eventually(lambda: (run := faulty.training("fair", next_one)) and run.state == "COMPLETED", 600)
    assert len(faulty.state("fair")["versions"]) == 3
