"""A backup of the running stack, restored into another home on other ports, is the same stack."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from pandas.testing import assert_frame_equal

from stack.core import settings
from stack.core.settings import Settings
from stack.features import features
from stack.lake import lake
from stack.project import Project, contract
from stack.specification import specs
from tests.polling import PATIENCE_SECONDS
from tests.stacks import own_environment

pytestmark = pytest.mark.services
FLIGHTS = specs.load("flights")
START = datetime(2013, 1, 1, tzinfo=UTC)


class Twins(NamedTuple):
    first: Settings
    archive: Path
    second: Settings
    output: str
    """Of the restore."""


def stack(of: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stack", *words]
    environ = os.environ | of.environment()
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def twins(running: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """The running stack, after 50 answers, and the one restored from its backup."""
    ask(running, 50)
    folder = tmp_path_factory.mktemp("restored")
    backup = stack(running, "backup", "--out", str(folder / "backup.tar.gz"))
    assert backup.returncode == 0, backup.stderr
    second = settings.load(os.environ | own_environment(folder / "home"), env_file=Path("/dev/null"))
    restored = stack(second, "restore", str(folder / "backup.tar.gz"))
    assert restored.returncode == 0, restored.stderr
    try:
        started = stack(second, "up", "--no-pipeline")
        assert started.returncode == 0, started.stderr
        yield Twins(running, folder / "backup.tar.gz", second, restored.stdout)
    finally:
        stack(second, "down")


def ask(of: Settings, count: int) -> list[float]:
    """The probabilities of as many requests of the project."""
    now = Project(of, FLIGHTS).clock.now()
    requests = contract.request_source(FLIGHTS.name).requests(
        datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 4, tzinfo=UTC)
    )
    text = requests.head(count)[list(FLIGHTS.request)].to_json(orient="records", date_format="iso", date_unit="us")
    rows, answers = json.loads(text), []
    for start in range(0, count, 200):
        body = {"rows": rows[start : start + 200]}
        answer = httpx.post(f"{of.prediction_url}/flights/predict", json=body, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
        answers += [row["probability"] for row in answer.json()]
    assert Project(of, FLIGHTS).clock.now() == now and len(answers) == count
    return answers


def runs(of: Settings) -> list[str]:
    body = {"experiment_ids": ["1"], "max_results": 1000}
    answer = (
        httpx.post(f"{of.mlflow_url}/api/2.0/mlflow/runs/search", json=body, timeout=PATIENCE_SECONDS)
        .raise_for_status()
        .json()
    )
    return sorted(run["info"]["run_id"] for run in answer["runs"])


def test_state_is_the_same(twins: Twins) -> None:
    first, second = twins.first, twins.second

    assert Project(second, FLIGHTS).registry.require_champion() == Project(first, FLIGHTS).registry.require_champion()
    assert len(runs(second)) > 0
    assert runs(second) == runs(first)
    assert lake.newest_revision(second) == lake.newest_revision(first)
    assert Project(second, FLIGHTS).clock.now() == Project(first, FLIGHTS).clock.now()
    until = Project(first, FLIGHTS).clock.now()
    logged = Project(first, FLIGHTS).log.read(START, until)
    restored = Project(second, FLIGHTS).log.read(START, until)
    # Its start has asked an example of its own since.
    assert_frame_equal(restored[restored["id"].isin(logged["id"])].reset_index(drop=True), logged)
    assert f"{len(logged)} predictions" in twins.output


def test_thousand_predictions_are_the_same(twins: Twins) -> None:
    assert ask(twins.second, 1000) == ask(twins.first, 1000)


def test_training_sets_are_the_same(twins: Twins) -> None:
    requests = contract.request_source(FLIGHTS.name).requests(
        datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 2, 3, tzinfo=UTC)
    )
    events = requests.assign(event_timestamp=requests["asked_at"].dt.as_unit("us"))

    first, second = (features.training_set(Project(stack, FLIGHTS), events) for stack in (twins.first, twins.second))

    assert first["origin_delay_2h"].notna().any()
    assert_frame_equal(second, first)


def test_running_stack_is_not_restored_over(twins: Twins) -> None:
    refused = stack(twins.second, "restore", "--yes", str(twins.archive))

    assert refused.returncode == 1
    assert "the stack runs" in refused.stderr
    assert twins.second.home.is_dir()


def test_truncated_backup_is_refused_before_anything_is_touched(twins: Twins, tmp_path: Path) -> None:
    (tmp_path / "cut.tar.gz").write_bytes(twins.archive.read_bytes()[:-1000])
    target = settings.load(os.environ | own_environment(tmp_path / "home"), env_file=Path("/dev/null"))

    refused = stack(target, "restore", str(tmp_path / "cut.tar.gz"))

    assert refused.returncode == 1
    assert "cut.tar.gz" in refused.stderr
    assert not target.home.exists()
