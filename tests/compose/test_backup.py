"""A backup of the running containers, restored under another project name, gives the same answers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stack import project, registry
from stack.runtime import credentials, docker
from tests.compose.conftest import Containers
from tests.conftest import own_environment

pytestmark = pytest.mark.services
FLIGHTS = project.load("flights")


class Twins(NamedTuple):
    first: Containers
    second: Containers
    archive: Path
    asked: str
    """Id of a prediction that the first one had answered before the backup."""


@pytest.fixture(scope="module")
def twins(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """The running stack, and one restored from its backup, of which only what answers is started."""
    folder = tmp_path_factory.mktemp("restored")
    asked = str(containers.predict()["prediction_id"])
    archive = folder / "backup.tar.gz"
    containers.stack("backup", "--out", str(archive))
    own = own_environment(folder) | {"STACK_RUNTIME": "compose", "STACK_NAME": f"stack-restored-{os.getpid()}"}
    # Other passwords: they are of the machine, and not in the archive.
    own |= {f"STACK_{name}".upper(): f"other-{name}" for name in credentials.FIELDS}
    second = Containers(os.environ | own)
    try:
        second.stack("restore", str(archive))
        docker.compose(second.settings, "up", "--detach", "--wait", "mlflow", "prediction")
        yield Twins(containers, second, archive, asked)
    finally:
        second.stack("clean", "--yes")


def test_champion_and_predictions_are_the_same(twins: Twins) -> None:
    first, second = twins.first, twins.second

    assert registry.require_champion(second.settings, FLIGHTS) == registry.require_champion(first.settings, FLIGHTS)
    assert second.predict()["probability"] == first.predict()["probability"]
    assert second.sql(f"SELECT count(*) FROM predictions WHERE id = '{twins.asked}'") == ["1"]


def test_volumes_that_exist_are_not_restored_over(twins: Twins) -> None:
    before = docker.volumes(twins.second.settings)

    with pytest.raises(subprocess.CalledProcessError):
        twins.second.stack("restore", "--yes", str(twins.archive))

    assert docker.volumes(twins.second.settings) == before
    assert twins.second.predict()["model_version"] == twins.first.predict()["model_version"]
