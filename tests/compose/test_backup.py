"""A backup of the running containers, restored under another project name, gives the same answers."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from stack.ops import credentials
from stack.ops.compose import docker
from stack.project import Project
from stack.specification import specs
from tests.compose.conftest import Containers, Upgraded, probabilities, runs
from tests.stacks import own_environment

pytestmark = pytest.mark.services
FLIGHTS = specs.load("flights")


class Twins(NamedTuple):
    first: Containers
    second: Containers
    output: str
    """Of the restore."""


@pytest.fixture(scope="module")
def twins(containers: Containers, upgraded: Upgraded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """The running stack, and one restored from its backup, of which only what answers is started."""
    folder = tmp_path_factory.mktemp("restored")
    own = own_environment(folder) | {"STACK_RUNTIME": "compose", "STACK_NAME": f"stack-restored-{os.getpid()}"}
    # Other passwords: they are of the machine, and not in the archive.
    own |= {f"STACK_{name}".upper(): f"other-{name}" for name in credentials.FIELDS}
    second = Containers(os.environ | own)
    try:
        output = second.stack("restore", str(upgraded.archive))
        docker.compose(second.settings, "up", "--detach", "--wait", "mlflow", "prediction")
        yield Twins(containers, second, output)
    finally:
        second.stack("clean", "--yes")


def test_champion_runs_and_the_log_are_the_same(twins: Twins, upgraded: Upgraded) -> None:
    assert Project(twins.second.settings, FLIGHTS).registry.require_champion() == upgraded.champion
    assert runs(twins.second.settings) == upgraded.runs
    assert twins.second.sql("SELECT count(*) FROM predictions") == [str(upgraded.predictions)]
    assert f"{upgraded.predictions} predictions" in twins.output


def test_thousand_predictions_are_the_same(twins: Twins) -> None:
    assert probabilities(twins.second.settings) == probabilities(twins.first.settings)


def test_containers_back_themselves_up_and_try_the_archive(containers: Containers) -> None:
    own = ("--env", "STACK_BACKUP_DAILY=7", "--env", "STACK_BACKUP_FOLDER=/tmp/backups")
    since = '{"since": "2026-01-01T00:00:00Z"}'
    script = (
        f"echo '{since}' > $STACK_HOME/run/backup.json; python -m stack.ops.scheduled; cat $STACK_HOME/run/backup.json"
    )
    command = ["docker", "exec", *own, docker.container(containers.settings, "backups"), "sh", "-c", script]

    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    record = json.loads(ran.stdout.partition("\n")[2])
    assert record["problem"] is record["verify_problem"] is None, ran.stderr
    assert record["verified_at"] == record["at"]
    assert "logged answers are the same" in ran.stderr


def test_volumes_that_exist_are_not_restored_over(twins: Twins, upgraded: Upgraded) -> None:
    before = docker.volumes(twins.second.settings)

    with pytest.raises(subprocess.CalledProcessError):
        twins.second.stack("restore", "--yes", str(upgraded.archive))

    assert docker.volumes(twins.second.settings) == before
    assert twins.second.predict()["model_version"] == upgraded.champion.version
