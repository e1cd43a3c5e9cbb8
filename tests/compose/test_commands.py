"""Containers do what processes do: a project comes and goes beside the others, and the notebook runs."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.datasets import load_iris

from stack.core.settings import ROOT
from stack.ops import versions
from stack.ops.compose import docker, image
from stack.ops.compose.runtime import NOTEBOOK, ComposeRuntime
from tests.compose.conftest import Containers
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import prefect_api

pytestmark = pytest.mark.services
NAME = "new_flowers"


@pytest.fixture
def flowers(containers: Containers, tmp_path: Path) -> Iterator[str]:
    """What ``stack new`` says of a table never seen before; the project is gone afterwards."""
    table = tmp_path / "flowers.csv"
    load_iris(as_frame=True).frame.to_csv(table, index=False)
    try:
        yield containers.stack("new", NAME, "--from", str(table), "--target", "target")
    finally:
        remove()


def remove() -> None:
    shutil.rmtree(ROOT / "projects" / NAME, ignore_errors=True)
    (ROOT / "feature_repo" / f"{NAME}.py").unlink(missing_ok=True)
    versions.sources.cache_clear()


def began(containers: Containers) -> dict[str, tuple[str, str]]:
    """Which container each service has, and when it was started."""
    states = docker.inspect([row.name for row in containers.every().values()])
    return {state["Name"]: (state["Id"], state["State"]["StartedAt"]) for state in states}


def served(containers: Containers) -> dict[str, Any]:
    """The projects that the prediction service knows."""
    answer = httpx.get(f"{containers.settings.prediction_url}/readyz", trust_env=False, timeout=PATIENCE_SECONDS)
    return dict(answer.raise_for_status().json()["projects"])


def test_a_project_comes_and_goes_and_no_container_is_started_again(containers: Containers, flowers: str) -> None:
    before = began(containers)
    assert f"wrote {ROOT / 'projects' / NAME}" in flowers
    eventually(lambda: NAME in served(containers))

    versions.sources.cache_clear()
    ComposeRuntime(containers.settings).apply_changes(print)
    assert prefect_api(containers.settings).get(f"/deployments/name/pipeline/{NAME}").status_code == 200
    remove()
    eventually(lambda: NAME not in served(containers))

    assert began(containers) == before
    assert not image.outdated()


def test_the_notebook_runs_where_the_databases_are(containers: Containers) -> None:
    image.build_with_jupyter()
    words = ["nbconvert", "--execute", "--to", "markdown", "--stdout", "/app/notebooks/stack.ipynb"]
    command, environ = ComposeRuntime(containers.settings).notebook_command(NOTEBOOK, "python", "-m", *words)
    process = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=ROOT)
    assert process.returncode == 0, process.stderr[-2000:]
    assert re.search(r"version \d+ is live; `make reproduce RUN=[0-9a-f]{32}`", process.stdout)
