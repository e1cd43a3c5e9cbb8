"""A table never seen before, as a new user brings it to a running stack: from the file to an answered request."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import numpy as np
import pandas as pd
import pytest

from stack.core.settings import ROOT, Settings
from stack.project import Project
from stack.specification import specs
from tests.end_to_end.test_titanic import run
from tests.forks import Forks
from tests.polling import PATIENCE_SECONDS
from tests.stacks import prefect_api, shell

pytestmark = pytest.mark.services
NAME = "new_rentals"


@pytest.fixture(scope="module")
def output(running: Settings, forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The output of ``stack new`` and ``stack run``; the project is gone afterwards."""
    file = tmp_path_factory.mktemp("table") / "rentals.csv"
    rentals().to_csv(file, index=False)
    try:
        written = run(forks, "new", NAME, "--from", str(file), "--target", "rented")
        yield written + run(forks, "run", NAME)
    finally:
        remove(running)


def rentals(rows: int = 3000, days: int = 90) -> pd.DataFrame:
    """Bicycles rented at stations in the weeks before today."""
    random = np.random.default_rng(4)
    last = pd.Timestamp(datetime.now(UTC)).floor("h")
    at = last - pd.to_timedelta(np.sort(random.uniform(0, days, rows))[::-1], unit="D")
    station, warm = random.choice([f"S{n}" for n in range(12)], rows), random.normal(12, 6, rows).round(1)
    lively = pd.Series(station).str[1:].astype(int).to_numpy()
    rented = (20 + 2 * lively + warm + random.normal(0, 3, rows)).round(1)
    return pd.DataFrame({"When": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "station": station, "warm": warm, "rented": rented})


def remove(running: Settings) -> None:
    shutil.rmtree(running.projects / NAME, ignore_errors=True)


def deployments(running: Settings) -> list[dict[str, object]]:
    question = {"deployments": {"tags": {"all_": [NAME]}}}
    answer = prefect_api(running).post("/deployments/filter", json=question)
    return answer.json()  # type: ignore[no-any-return]


def test_a_table_becomes_an_answered_request(running: Settings, output: str) -> None:
    spec = specs.read(running.projects / NAME / "project.yaml")
    assert (spec.task, spec.features.entities, spec.clock.kind) == ("regression", ["station"], "wall")
    (answer,) = json.loads(output.splitlines()[-1])
    assert 0 < answer["prediction"] < 100
    champion = Project(running, spec).registry.require_champion()
    assert champion.version == answer["model_version"]
    assert float(champion.tag("r2")) > 0.8
    assert list((running.pages / NAME).glob("*.html"))


def test_its_data_sets_are_listed(running: Settings, output: str) -> None:
    answer = httpx.get(f"{running.portal_url}/catalog/{NAME}.json", timeout=PATIENCE_SECONDS, trust_env=False)
    data_sets = {row["name"]: row for row in answer.json()}
    assert data_sets["rows"]["rows"] == 3000
    assert data_sets[f"{NAME}_station_past"]["rows"] > 500
    assert data_sets["of version 1"]["rows"] > 2900
    assert data_sets["predictions"]["rows"] == data_sets["drift"]["rows"] == 1


def test_its_schedules_stand_in_prefect(running: Settings, output: str) -> None:
    crons = {row["entrypoint"].rpartition(".")[2]: row["schedules"] for row in deployments(running)}  # type: ignore[attr-defined]
    assert crons["ingest"][0]["schedule"] == {"cron": "5 0 * * *", "timezone": "UTC", "day_or": True}
    assert [flow for flow, schedules in crons.items() if schedules] and not crons["train"]


def test_a_project_that_is_gone_is_withdrawn(running: Settings, output: str) -> None:
    assert deployments(running)
    remove(running)
    command = [sys.executable, "-m", "flows.deployments"]
    registered = subprocess.check_output(command, cwd=ROOT, env=shell(running), text=True, timeout=PATIENCE_SECONDS)
    assert f"deleted: deployments and automation of {NAME}" in registered
    assert deployments(running) == []
    question = {"automations": {"name": {"any_": [f"Retrain {NAME} on drift"]}}}
    answer = prefect_api(running).post("/automations/filter", json=question)
    assert answer.json() == []
