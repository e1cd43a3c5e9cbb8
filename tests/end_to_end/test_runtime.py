"""A running stack: killed services come back, the tools' own commands work, a second `up` changes nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from stack.core.settings import Settings
from stack.ops import compose_file
from stack.ops.local.runtime import LocalRuntime
from stack.ops.local.supervisor import Supervisor
from stack.ops.status import Row
from stack.ops.welcome import addresses
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import prefect_api, shell

pytestmark = pytest.mark.services
KILLED = ["mlflow", "prefect", "features", "prediction", "monitoring", "portal"]
SERVICES = [*KILLED, "worker", "backups"]
COMMANDS = [
    ("mlflow models --help", "serve"),
    ("mlflow experiments search", "flights"),
    ("feast feature-views list", "origin_stats"),
    ("feast feature-services list", "flights_v1"),
    ("prefect deployment ls", "pipeline/flights"),
    ("prefect automation ls", "Retrain flights on drift"),
    ("dvc data status", "No changes"),
    ("dvc list . flights --dvc-only", "2013-01"),
]
Completed = subprocess.CompletedProcess[str]


def rows(settings: Settings) -> dict[str, Row]:
    return {row.name: row for row in LocalRuntime(settings).status()}


@pytest.fixture(scope="module")
def weekly(running: Settings) -> Iterator[str]:
    """A deployment with a schedule. Prefect looks for such once a minute: the first test of this file asks for it."""
    api = prefect_api(running)
    deployment = api.get("/deployments/name/skew/flights").json()["id"]
    schedules = f"/deployments/{deployment}/schedules"
    weekly = [{"active": True, "schedule": {"cron": "0 0 * * 0"}}]
    (schedule,) = api.post(schedules, json=weekly).raise_for_status().json()
    yield deployment
    api.delete(f"{schedules}/{schedule['id']}")


@pytest.mark.usefixtures("weekly")
def test_every_service_of_the_list_is_healthy(running: Settings) -> None:
    assert {row.name: row.health for row in rows(running).values() if not row.well} == {}
    assert {service.name for service in compose_file.services(running) if not service.once} == set(SERVICES)


@pytest.fixture(scope="module")
def restarts(running: Settings) -> dict[str, int]:
    """How often each service had been restarted before all but the worker were killed at once."""
    before = {name: row.restarts for name, row in rows(running).items()}
    for name, state in Supervisor(running).states().items():
        if name in KILLED:
            os.kill(state.pid, signal.SIGKILL)
    return before


@pytest.mark.parametrize("service", KILLED)
def test_killed_service_comes_back_and_the_restart_is_shown(
    running: Settings, restarts: dict[str, int], service: str
) -> None:
    def is_back() -> bool:
        row = rows(running)[service]
        return row.restarts > restarts[service] and row.health == "healthy"

    # The bar is 20 s on an idle machine, measured by the benchmark; here others may work too.
    eventually(is_back)


def test_a_run_that_died_with_the_worker_does_not_block_the_next_ones(running: Settings) -> None:
    api = prefect_api(running)
    deployment = api.get("/deployments/name/report/flights").json()["id"]
    # As a power cut leaves it: taken up by a worker, no process yet, so no heartbeat that could stop.
    taken = {"state": {"type": "PENDING"}, "parameters": {"project": "flights"}}
    run = api.post(f"/deployments/{deployment}/create_flow_run", json=taken).raise_for_status().json()["id"]
    before = rows(running)["worker"].restarts
    os.kill(Supervisor(running).states()["worker"].pid, signal.SIGKILL)

    eventually(lambda: api.get(f"/flow_runs/{run}").json()["state"]["type"] == "CRASHED")
    eventually(lambda: rows(running)["worker"].restarts > before and rows(running)["worker"].health == "healthy")


def test_a_schedule_plans_runs_and_no_more_than_three(running: Settings, weekly: str) -> None:
    """After a week off, three late runs are all that wait."""
    api = prefect_api(running)
    planned = {"deployments": {"id": {"any_": [weekly]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    eventually(lambda: api.post("/flow_runs/count", json=planned).json() == 3)


def test_every_printed_address_answers(running: Settings) -> None:
    urls = addresses(running).values()
    codes = {url: httpx.get(url, follow_redirects=True, timeout=PATIENCE_SECONDS).status_code for url in urls}
    assert {url: code for url, code in codes.items() if code != 200} == {}


def test_second_up_restarts_nothing(running: Settings) -> None:
    before = {name: state.pid for name, state in Supervisor(running).states().items()}
    subprocess.run(
        [sys.executable, "-m", "stack", "up", "--runtime", "local"],
        env=os.environ | running.environment(),
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    assert {name: state.pid for name, state in Supervisor(running).states().items()} == before


@pytest.fixture(scope="module")
def processes(running: Settings) -> Iterator[dict[str, Future[Completed]]]:
    """The tools' own commands in the shell of a user, as many at a time as there are cores."""
    environ = shell(running) | {"COLUMNS": "200"}
    run = partial(
        subprocess.run, env=environ, cwd=running.lake, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {command: pool.submit(run, command.split()) for command, _ in COMMANDS}


@pytest.mark.parametrize(("command", "shows"), COMMANDS)
def test_tools_own_commands_work_on_the_running_stack(
    processes: dict[str, Future[Completed]], command: str, shows: str
) -> None:
    process = processes[command].result()
    assert process.returncode == 0, process.stderr
    assert shows in process.stdout.replace("\n", "")
