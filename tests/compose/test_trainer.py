"""A machine that shares nothing with the first one but its gateway trains for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest

from stack import project
from stack.promotion import registry
from stack.runtime import docker, lan
from stack.runtime.runs import Runs
from tests.compose.conftest import PASSWORD, Containers, eventually
from tests.conftest import own_environment

pytestmark = pytest.mark.services
FLIGHTS = project.load("flights")
MARCH = "2013-03-08T00:00:00+00:00"


@pytest.fixture(scope="module")
def trainer(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """A stack of another name that has joined."""
    url = containers.settings.through_gateway("portal", lan.address(containers.settings))
    key = f"{lan.fingerprint(containers.settings)}.{PASSWORD}"
    own = own_environment(tmp_path_factory.mktemp("trainer"))
    own |= {"STACK_RUNTIME": "compose", "STACK_NAME": f"stack-trainer-{os.getpid()}", "STACK_PROFILES": "scale"}
    other = Containers(os.environ | own | {"STACK_JOIN_URL": url, "STACK_JOIN_KEY": key})
    try:
        other.stack("join", "--url", url, "--key", key)
        yield other
    finally:
        other.stack("clean", "--yes")


def test_it_trains_what_the_first_machine_then_judges(containers: Containers, trainer: Containers) -> None:
    runs = Runs(containers.settings)
    eventually(lambda: runs.online("training"), 60)
    before = registry.require_champion(containers.settings, FLIGHTS)

    containers.stack("ingest", "flights", "--until", MARCH)
    told = containers.stack("train", "flights", "--until", MARCH)

    last = httpx.post(
        f"{containers.settings.prefect_url}/api/flow_runs/filter",
        json={"flows": {"name": {"any_": ["fit"]}}},
        trust_env=False,
    ).json()
    assert [run["state_type"] for run in last] == ["COMPLETED"]
    assert last[0]["work_pool_name"] == "training" and "sent to a machine of the pool training" in told
    decided = containers.stack("audit", "flights").splitlines()[-1]
    assert f" {int(before.version) + 1} after {before.version}" in decided


def test_the_two_share_no_volume_and_no_network(containers: Containers, trainer: Containers) -> None:
    (there,) = docker.inspect([one.name for one in docker.containers(trainer.settings).values()])
    here = docker.inspect([one.name for one in docker.containers(containers.settings).values()])

    mounted = {mount.get("Name", mount["Source"]) for one in here for mount in one["Mounts"]}
    assert not mounted & {mount.get("Name", mount["Source"]) for mount in there["Mounts"]}
    networks = {name for one in here for name in one["NetworkSettings"]["Networks"]}
    assert not networks & set(there["NetworkSettings"]["Networks"])


def test_rows_are_gone_when_the_training_is_done(containers: Containers) -> None:
    left = docker.inside(containers.settings, "find", "/var/lib/stack/artifacts/parcels")

    assert "parcels/flights-20130308T000000Z" in left and ".parquet" not in left


def test_a_rollback_goes_back_and_stands_in_the_audit(containers: Containers) -> None:
    registry.promote(containers.settings, FLIGHTS, "2")  # whatever the gate has said

    containers.stack("rollback", "flights", "--reason", "a test")

    assert registry.require_champion(containers.settings, FLIGHTS).version == "1"
    assert "rollback 1 after 2: a test" in containers.stack("audit", "flights").splitlines()[-1]
    eventually(lambda: containers.predict()["model_version"] == "1", 10)
