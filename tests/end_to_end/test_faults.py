"""Killed at every step boundary and started again, a run ends where an undisturbed one ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.runtime.supervisor import Supervisor
from stack.settings import Settings
from tests.conftest import free_ports, shell
from tests.end_to_end import checkouts

pytestmark = [pytest.mark.services, pytest.mark.slow]
NAMES = ["calm", "stormy", "squally"]
FIRST, SECOND = "2024-01-21T00:00:00Z", "2024-01-23T00:00:00Z"
INGEST = [
    *("flows.ingest:fetch", "stack.data.validation:_quarantine", "flows.ingest:validate"),
    *("stack.data.repository:write", "stack.data.repository:write#2", "dvc.repo:Repo.add", "dvc.repo:Repo.add#2"),
    *("stack.data.repository:write#3", "scmrepo.git:Git.add", "scmrepo.git:Git.commit", "stack.data.repository:commit"),
    *("stack.data.keys:remember", "flows.ingest:append"),
    *("stack.feature_store.feature_tables:_replace_month", "flows.ingest:compute_features", "flows.ingest:join_labels"),
    *("stack.feature_store.features:materialise", "stack.feature_store.feature_tables:mark_served"),
    *("flows.ingest:bring_online",),
    *("flows.ingest:ingest", "stack.clock:advance"),
]
# Killed just before, a run finds this work done when it is started again, and passes by.
DONE = {"stack.data.repository:write#3", "stack.data.repository:commit", "stack.data.keys:remember"}
DONE |= {"flows.ingest:append", "flows.ingest:bring_online"}
TRAIN = [
    *("flows.train:made", "flows.train:training_set"),
    *("stack.training.tracking:Tracker._open", "stack.training.tracking:Tracker.trial"),
    *("stack.training.training:evaluate", "stack.training.training:refit", "stack.training.tracking:Tracker.log"),
    *("stack.training.tracking:Tracker.artifacts", "mlflow.sklearn:log_model", "mlflow:register_model"),
    "stack.promotion.registry:nominate",
]
PROMOTE = [
    *("flows.promote:awaiting", "flows.promote:judge"),
    *("stack.promotion.audit:_write", "stack.promotion.registry:_point"),
    *("stack.promotion.registry:_drop", "stack.promotion.audit:_carry_out", "flows.promote:promote"),
]
MONITOR = [
    *("monitoring.workspace:add", "monitoring.pages:save", "flows.monitor:compare", "flows.monitor:tell"),
]
REPLAY = [
    *("flows.ingest:fetch", "flows.ingest:validate", "scmrepo.git:Git.commit", "flows.ingest:append"),
    *("stack.feature_store.feature_tables:_replace_month", "stack.feature_store.features:update"),
    *("stack.feature_store.ticks:Ticks.push", "stack.clock:advance"),
    *("stack.serving.caller:Caller.ask", "stack.serving.caller:Caller.ask#3"),
    *("stack.feature_store.ticks:Ticks.push#9", "stack.replay:play"),
    *("stack.serving.predictions:label", "stack.serving.observed:label"),
    *("stack.feature_store.feature_tables:mark_served",),
    *("flows.replay:Player.day", *MONITOR, "flows.replay:Player.review"),
]


class Harbour:
    """The launcher of a checkout with two projects, beside the servers of the running stack."""

    def __init__(self, python: Path, folder: Path, environ: dict[str, str]) -> None:
        self._python, self._folder, self._environ = python, folder, environ
        self._serving: subprocess.Popen[bytes] | None = None
        log = (folder / "launcher.log").open("w")
        command = [str(python), str(Path(__file__).with_name("launcher.py")), str(folder)]
        self._process = subprocess.Popen(
            command, env=environ, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def flow(
        self, flow: str, project: str, kill: list[str] | None = None, passed: Collection[str] = (), **parameters: str
    ) -> None:
        """Run a flow; with `kill`, it is killed at each of these places but `passed`, and ends well all the same."""
        done = self.run({"flow": flow, "parameters": {"project": project, **parameters}, "kill": kill or []})
        assert done["status"] == 0
        assert set(kill or []) - set(done["struck"]) <= set(passed)

    def batter(self, running: Settings, flow: str, project: str, seconds: float, **parameters: str) -> int:
        """Run a flow while it and its servers are killed at ten random moments of a run of so many seconds.

        Returns:
            Number of processes killed.
        """
        moments = random.Random(f"{flow} {project}")
        services = [moments.choice(["mlflow", "prefect", "prediction"]) for _ in range(5)]
        storm = threading.Thread(
            target=self._storm, args=(running, [(one, moments.uniform(2, 12)) for one in services])
        )
        storm.start()
        after = [moments.uniform(0.2, seconds) for _ in range(5)]
        done = self.run({"flow": flow, "parameters": {"project": project, **parameters}, "after": after})
        storm.join()
        assert done["status"] == 0
        return int(done["killed"]) + len(services)

    def _storm(self, running: Settings, kills: list[tuple[str, float]]) -> None:
        for service, pause in kills:
            time.sleep(pause)
            if service == "prediction":
                self.serve()
            elif pid := Supervisor(running).states()[service].pid:
                os.kill(pid, signal.SIGKILL)

    def serve(self) -> None:
        """Start the prediction service, in place of one that is killed."""
        if self._serving:
            self._serving.kill()
            self._serving.wait()
        with (self._folder / "prediction.log").open("a") as log:
            command = [str(self._python), "-m", "services.prediction"]
            self._serving = subprocess.Popen(command, env=self._environ, cwd=self._folder, stdout=log, stderr=log)

    def close(self) -> None:
        if self._serving:
            self._serving.kill()
            self._serving.wait()
        self._process.communicate(timeout=30)


@pytest.fixture(scope="module")
def harbour(running: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    folder = tmp_path_factory.mktemp("harbour")
    python = checkouts.make(folder, NAMES, max_age="P60D")
    own: dict[str, Any] = {"home": folder / "var", "prediction_port": free_ports(1)[0]}
    servers = {name: getattr(running, name) for name in ("mlflow_port", "prefect_port", "portal_port")}
    environ = checkouts.environment(folder, shell(Settings(**own, **servers)))
    own["home"].mkdir()
    subprocess.run([str(python), "-m", "stack", "apply"], env=environ, cwd=folder, check=True, timeout=120)
    launcher = Harbour(python, folder, environ)
    try:
        launcher.serve()
        yield launcher
    finally:
        launcher.close()


def test_first_pipeline(harbour: Harbour) -> None:
    harbour.flow("flows.pipeline:pipeline", "calm")
    harbour.flow("flows.pipeline:pipeline", "stormy", [*INGEST, *TRAIN, *PROMOTE, *MONITOR], DONE)

    calm, stormy = (harbour.run({"state": name}) for name in NAMES[:2])
    assert len(calm["lake"]) == len(calm["commits"]) == len(calm["versions"]) == len(calm["audit"]) == 1
    assert stormy == calm


def test_replay_and_a_second_training(harbour: Harbour) -> None:
    harbour.flow("flows.replay:replay", "calm", until=SECOND)
    harbour.flow("flows.replay:replay", "stormy", REPLAY, until=SECOND)
    harbour.flow("flows.train:train", "calm", cutoff=SECOND)
    harbour.flow(
        "flows.train:train",
        "stormy",
        ["stack.training.tracking:Tracker.register", "flows.promote:decide"],
        cutoff=SECOND,
    )

    calm, stormy = (harbour.run({"state": name}) for name in NAMES[:2])
    assert len(calm["log"]) == 2 * 24 * 4
    assert len(calm["versions"]) == len(calm["audit"]) == 2
    assert stormy == calm


def test_killed_at_twenty_random_moments(harbour: Harbour, running: Settings) -> None:
    killed = harbour.batter(running, "flows.pipeline:pipeline", "squally", seconds=15)
    killed += harbour.batter(running, "flows.replay:replay", "squally", seconds=8, until=SECOND)
    # A kill that comes when its run is over hits nothing.
    assert killed >= 15
    harbour.flow("flows.train:train", "squally", cutoff=SECOND)

    calm, squally = (harbour.run({"state": name}) for name in ("calm", "squally"))
    assert squally == calm
