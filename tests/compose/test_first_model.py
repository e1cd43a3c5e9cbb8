"""The first model is the same in both runtimes: data version, metrics, and the answers to a thousand requests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stack import project, settings
from stack.promotion import registry
from stack.runtime import docker
from stack.settings import Settings
from tests.compose.conftest import Containers, probabilities
from tests.conftest import own_environment

pytestmark = pytest.mark.services
FLIGHTS = project.load("flights")


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A stack of processes with the champion of flights live."""
    own = own_environment(tmp_path_factory.mktemp("processes"))
    environ = os.environ | own | {"STACK_NAME": f"stack-processes-{os.getpid()}", "STACK_PROFILES": ""}
    command = [sys.executable, "-m", "stack"]
    try:
        subprocess.run([*command, "up", "--runtime", "local", "--no-pipeline"], env=environ, check=True)
        subprocess.run([*command, "run", "flights"], env=environ, check=True)
        yield settings.load(environ, env_file=Path("/dev/null"))
    finally:
        subprocess.run([*command, "down"], env=environ, check=False)


def metrics(of: Settings) -> dict[str, float]:
    """The metrics of the champion's run, as MLflow has them."""
    run = registry.require_champion(of, FLIGHTS).run_id
    answer = httpx.get(f"{of.mlflow_url}/api/2.0/mlflow/runs/get", params={"run_id": run}, trust_env=False)
    return {one["key"]: one["value"] for one in answer.raise_for_status().json()["run"]["data"]["metrics"]}


def test_the_first_model_is_the_same(containers: Containers, processes: Settings) -> None:
    tracked = "lake/flights/raw.dvc"
    # DVC's name of the data; that of a git commit holds its time too.
    assert (processes.home / tracked).read_text() == docker.inside(
        containers.settings, "cat", f"/var/lib/stack/{tracked}"
    )
    assert len(metrics(processes)) > 5
    assert metrics(processes) == pytest.approx(metrics(containers.settings), abs=1e-6, rel=0)
    assert probabilities(processes) == pytest.approx(probabilities(containers.settings), abs=1e-6, rel=0)
