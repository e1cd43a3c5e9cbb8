"""A machine that shares nothing with the first one but its gateway trains for it, on a Dask cluster of its own."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.ops import lan
from stack.ops.compose import docker
from stack.ops.runs import Runs
from stack.project import Project
from stack.specification import specs
from tests.compose.conftest import Containers
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import own_environment, prefect_api

pytestmark = pytest.mark.services
FLIGHTS = specs.load("flights")
MARCH = "2013-03-08T00:00:00+00:00"


@pytest.fixture(scope="module")
def invitation(containers: Containers) -> tuple[str, ...]:
    """The settings of another machine that joins."""
    url = containers.settings.through_gateway("portal", lan.address(containers.settings))
    return ("--url", url, "--key", containers.stack("token", "--for", "train").split()[-1])


def machine(folder: Path, invitation: tuple[str, ...], runtime: str, profiles: str) -> Containers:
    """Another machine: a stack of another name, whose .env has what joining would write there."""
    _, url, _, key = invitation
    own = own_environment(folder) | {"STACK_RUNTIME": runtime, "STACK_NAME": f"stack-trainer-{os.getpid()}"}
    own |= {"STACK_PROFILES": profiles, "STACK_DASK_WORKERS": "1"}
    return Containers(os.environ | own | {"STACK_JOIN_URL": url, "STACK_JOIN_KEY": key})


@pytest.fixture(scope="module")
def trainer(invitation: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """A machine that has joined with containers, a Dask cluster among them."""
    joined = machine(tmp_path_factory.mktemp("trainer"), invitation, "compose", "scale,dask")
    try:
        joined.stack("join", *invitation, "--profiles", "dask")
        yield joined
    finally:
        joined.stack("clean", "--yes")


def versions(of: Containers) -> set[str]:
    """The numbers of the versions that there are; MLflow gives that of a deleted one to no other."""
    return {version.version for version in Project(of.settings, FLIGHTS).registry.versions()}


def fits(of: Containers) -> list[dict[str, Any]]:
    """The runs of the flow that another machine works on."""
    question = {"flows": {"name": {"any_": ["fit"]}}}
    return list(prefect_api(of.settings).post("/flow_runs/filter", json=question).raise_for_status().json())


def trials(of: Containers, run_id: str) -> list[dict[str, str]]:
    """The tags of the trials below a training's run."""
    with httpx.Client(
        base_url=f"{of.settings.mlflow_url}/api/2.0/mlflow", trust_env=False, timeout=PATIENCE_SECONDS
    ) as client:
        run = client.get("runs/get", params={"run_id": run_id}).raise_for_status().json()["run"]
        below = {"filter": f"tags.`mlflow.parentRunId` = '{run_id}'", "experiment_ids": [run["info"]["experiment_id"]]}
        trials = client.post("runs/search", json=below).raise_for_status().json()["runs"]
    return [{tag["key"]: tag["value"] for tag in trial["data"]["tags"]} for trial in trials]


def host(of: Containers, service: str) -> str:
    """What a container calls itself."""
    (container,) = docker.inspect([of.every()[service].name])
    return str(container["Config"]["Hostname"])


def test_it_trains_what_the_first_machine_then_judges(containers: Containers, trainer: Containers) -> None:
    eventually(lambda: Runs(containers.settings).online("training"))
    before = Project(containers.settings, FLIGHTS).registry.require_champion()
    known = versions(containers)

    containers.stack("ingest", "flights", "--until", MARCH)
    output = containers.stack("train", "flights", "--until", MARCH)

    assert [(run["state_type"], run["work_pool_name"]) for run in fits(containers)] == [("COMPLETED", "training")]
    assert "sent to a machine of the pool training" in output
    (number,) = versions(containers) - known
    challenger = Project(containers.settings, FLIGHTS).registry.numbered(number)
    assert challenger.cutoff.isoformat() == MARCH and challenger.tag("stack.host") == host(trainer, "trainer")
    tried = trials(containers, challenger.run_id)
    assert len(tried) == FLIGHTS.training.trials + 1  # and the baseline
    assert {tags["stack.host"] for tags in tried} == {host(trainer, "dask-workers")}
    query = "SELECT kind, champion, numbers FROM decisions WHERE state = 'done' AND version = '{}'"
    ((kind, champion, numbers),) = [line.split("|", 2) for line in containers.sql(query.format(challenger.version))]
    judged = json.loads(numbers)
    assert champion == before.version and kind == ("promote" if judged["passed"] else "refuse")
    assert {"auc", "brier_skill", "bias"} <= {reason["name"] for reason in judged["reasons"]}
    live = Project(containers.settings, FLIGHTS).registry.require_champion()
    assert live.version == (challenger.version if judged["passed"] else before.version)


def test_the_two_share_no_volume_and_no_network(containers: Containers, trainer: Containers) -> None:
    there = docker.inspect([row.name for row in docker.containers(trainer.settings).values()])
    here = docker.inspect([row.name for row in docker.containers(containers.settings).values()])

    def written(containers: list[Any]) -> set[str]:
        return {
            mount.get("Name", mount["Source"])
            for container in containers
            for mount in container["Mounts"]
            if mount["RW"]
        }

    def networks(containers: list[Any]) -> set[str]:
        return {name for container in containers for name in container["NetworkSettings"]["Networks"]}

    assert len(there) == 3 and not written(here) & written(there) and not networks(here) & networks(there)
    assert written(there) == {f"{trainer.settings.name}_state"}


def test_rows_are_gone_when_the_training_is_done(containers: Containers) -> None:
    left = docker.inside(containers.settings, "find", "/var/lib/stack/artifacts/parcels")

    assert "parcels/flights-20130308T000000Z" in left and ".parquet" not in left


def test_processes_join_too_and_one_that_comes_late_registers_nothing(
    containers: Containers, trainer: Containers, invitation: tuple[str, ...], tmp_path: Path
) -> None:
    known = versions(containers)
    assert trainer.stack("down").startswith("stopped: dask-scheduler, dask-workers, trainer")
    (completed,) = fits(containers)
    joined, runs = machine(tmp_path, invitation, "local", "scale"), Runs(containers.settings)
    try:
        joined.stack("join", *invitation)
        assert "trainer" in joined.stack("status")
        lines: list[str] = []
        outcome = runs.follow(runs.start("fit", "flights", completed["parameters"]), lines.append)
    finally:
        joined.stack("down")

    assert outcome.state == "COMPLETED", outcome.message
    assert any("nothing to train" in line for line in lines)
    assert versions(containers) == known


def test_a_rollback_goes_back_and_stands_in_the_audit(containers: Containers) -> None:
    newest = max(versions(containers), key=int)
    Project(containers.settings, FLIGHTS).registry.set_champion(newest)  # whatever the gate decided

    containers.stack("rollback", "flights", "--reason", "a test")

    assert Project(containers.settings, FLIGHTS).registry.require_champion().version == "1"
    assert f"rollback 1 after {newest}: a test" in containers.stack("audit", "flights").splitlines()[-1]
    eventually(lambda: containers.predict()["model_version"] == "1")
