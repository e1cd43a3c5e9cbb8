"""A stack in containers: it answers, comes back after a kill, and keeps everything over `down` and `up`."""

import subprocess
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.core.settings import ROOT
from stack.ops import compose_file
from stack.ops.compose import docker, ownership
from stack.ops.compose.runtime import ComposeRuntime
from stack.project import Project, contract
from stack.specification import specs
from tests.compose.conftest import Containers, Upgraded, runs
from tests.polling import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.services
FLIGHTS = specs.load("flights")


def test_every_service_is_healthy_and_within_its_limit(containers: Containers) -> None:
    rows = {row.name: row for row in ComposeRuntime(containers.settings).status()}

    assert {row.name: row.health for row in rows.values() if not row.well} == {}
    assert {"postgres", "redis"} < set(rows)
    assert all(row.memory for name, row in rows.items() if name in containers.every())


def test_only_the_gateway_listens_beyond_this_machine(containers: Containers) -> None:
    published = {name: bindings(row.name) for name, row in containers.every().items()}
    gateway = published.pop("gateway")

    assert {address for address, _ in gateway} == {"0.0.0.0"}
    ours = {address for addresses in published.values() for address in addresses}
    assert ours == {
        ("127.0.0.1", str(port))
        for service in compose_file.services(containers.settings)
        for port in service.ports
        if service.name != "gateway"
    }


def bindings(container: str) -> set[tuple[str, str]]:
    """Addresses and ports of this machine that lead into a container."""
    ports = docker.inspect([container])[0]["NetworkSettings"]["Ports"] or {}
    return {(binding["HostIp"], binding["HostPort"]) for bindings in ports.values() for binding in bindings or []}


def test_another_checkout_of_this_name_touches_nothing(containers: Containers, monkeypatch: pytest.MonkeyPatch) -> None:
    before = docker.containers(containers.settings)
    assert ownership.labels(containers.settings)[ownership.LABEL] == str(ROOT)
    monkeypatch.setattr(ownership, "other", partial(ownership.other, own=Path("/elsewhere")))

    runtime = ComposeRuntime(containers.settings)
    for command in (runtime.down, runtime.clean, runtime.status, partial(runtime.up, print)):
        with pytest.raises(StackError, match=f"containers and volumes of {ROOT}"):
            command()
    assert not runtime.running() and not runtime.state_location()
    assert docker.containers(containers.settings).keys() == before.keys()


@pytest.mark.parametrize("name", ["portal", "prefect", "mlflow", "monitoring"])
def test_a_browser_gets_the_page_of_a_tool_whose_packages_are_read_only(containers: Containers, name: str) -> None:
    page = httpx.get(
        containers.settings.address(name), trust_env=False, timeout=PATIENCE_SECONDS, follow_redirects=True
    )

    assert page.status_code == 200 and "</html>" in page.text.lower()


def test_an_answered_prediction_is_in_the_log(containers: Containers) -> None:
    answer = containers.predict()

    assert 0 < float(str(answer["probability"])) < 1
    assert containers.sql(f"SELECT model_version FROM predictions WHERE id = '{answer['prediction_id']}'") == [
        answer["model_version"]
    ]


@pytest.mark.parametrize("service", ["prediction", "redis", "postgres"])
def test_a_killed_container_comes_back_and_no_acknowledged_prediction_is_lost(
    containers: Containers, service: str
) -> None:
    before = containers.every()[service].restarts
    with containers.asked() as answered:
        eventually(lambda: len(answered) > 20)
        containers.kill(service)
        eventually(lambda: containers.every()[service].restarts > before)
        # Only the service of the backups has no health check.
        well = {"healthy", "running"}
        eventually(lambda: {row.health or row.state for row in containers.every().values()} == well)
        after = len(answered)
        eventually(lambda: len(answered) > after + 20)

    assert set(answered) <= set(containers.sql("SELECT id FROM predictions"))


def test_the_tools_commands_work_in_a_shell(containers: Containers) -> None:
    commands = "feast feature-services list && dvc list . flights --dvc-only"
    script = f"{containers.stack('env')}\n{commands}"
    output = subprocess.check_output(["bash", "-c", script], text=True, env=containers.environ)

    assert "flights_v1" in output and "2013-01" in output


def test_everything_is_still_there_after_an_upgrade(containers: Containers, upgraded: Upgraded) -> None:
    assert "to go back: make clean YES=1 && git checkout" in upgraded.output
    assert Project(containers.settings, FLIGHTS).registry.champion() == upgraded.champion
    assert runs(containers.settings) == upgraded.runs > 0
    assert int(containers.sql("SELECT count(*) FROM predictions")[0]) >= upgraded.predictions > 0
    assert containers.predict()["model_version"] == upgraded.champion.version


def test_a_file_is_scored_although_no_container_sees_it(containers: Containers, tmp_path: Path) -> None:
    asked, answers = tmp_path / "asked.csv", tmp_path / "answers.csv"
    day = datetime(2013, 3, 1, tzinfo=UTC)
    requests = contract.request_source("flights").requests(day, day + timedelta(days=1))
    requests.head(10).to_csv(asked, index=False)

    containers.stack("predict", "flights", "--input", str(asked), "--output", str(answers))

    assert pd.read_csv(answers)["probability"].between(0, 1).sum() == 10
