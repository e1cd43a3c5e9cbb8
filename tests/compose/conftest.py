"""The stack in containers, with its gateway: its own project name, free ports, the real first pipeline of flights."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from stack.access import passwords
from stack.core import settings
from stack.core.settings import ROOT, Settings
from stack.ops import compose_file, credentials, welcome
from stack.ops.compose import docker
from stack.ops.compose.docker import Container
from stack.project import Project, contract
from stack.registry.registry import Version
from stack.specification import example, specs
from tests.polling import PATIENCE_SECONDS
from tests.stacks import own_environment

RATE = 20
"""Requests a second while something is killed."""
PASSWORD = "of-the-gateway"
TRACKED = "lake/flights/2013-01/month.dvc"


class Containers:
    """A running stack, and what a test does to it."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.settings: Settings = settings.load(environ, env_file=Path("/dev/null"))

    def stack(self, *words: str) -> str:
        """Run a command of ours; give what it prints."""
        command = [sys.executable, "-m", "stack", *words]
        process = subprocess.run(command, cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, text=True, check=True)
        return process.stdout

    def every(self) -> dict[str, Container]:
        """The containers that stay up, by service."""
        once = {service.name for service in compose_file.services(self.settings) if service.once}
        return {name: row for name, row in docker.containers(self.settings).items() if name not in once}

    def kill(self, service: str) -> None:
        """Send SIGKILL to a container's first process from outside, as the kernel does when memory runs out."""
        state = docker.inspect([self.every()[service].name])[0]["State"]
        kill = f"import os; os.kill({state['Pid']}, 9)"
        outside = [
            "docker",
            "run",
            "--rm",
            "--pid",
            "host",
            "--user",
            "0",
            compose_file.image("worker"),
            "python",
            "-c",
            kill,
        ]
        subprocess.run(outside, check=True)

    def sql(self, query: str) -> list[str]:
        """Ask the state database; give the lines of the answer."""
        inside = ["psql", "--username=postgres", "--dbname=state", "--tuples-only", "--no-align", "--command", query]
        answer = subprocess.check_output(["docker", "exec", f"{self.settings.name}-postgres-1", *inside], text=True)
        return answer.splitlines()

    def predict(self) -> dict[str, object]:
        """Ask for the example's prediction."""
        body = example.body(specs.load("flights"))
        url = f"{self.settings.prediction_url}/flights/predict"
        answer = httpx.post(
            url, content=body, headers={"Content-Type": "application/json"}, trust_env=False, timeout=PATIENCE_SECONDS
        )
        return dict(json.loads(answer.raise_for_status().content)[0])

    @contextmanager
    def asked(self) -> Iterator[list[str]]:
        """Ask for predictions meanwhile; gives the ids of those that were answered."""
        answered: list[str] = []
        stop = threading.Event()

        def ask(first: float) -> None:
            time.sleep(first)
            while not stop.wait(4 / RATE):
                try:
                    answered.append(str(self.predict()["prediction_id"]))
                except (httpx.HTTPError, OSError):
                    continue

        threads = [threading.Thread(target=ask, args=(number / RATE,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield answered
        finally:
            stop.set()
            for thread in threads:
                thread.join()


class Upgraded(NamedTuple):
    """The state before an upgrade of the containers, and the archive that it has written."""

    champion: Version
    predictions: int
    runs: int
    archive: Path
    output: str


@pytest.fixture(scope="session")
def upgraded(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Upgraded:
    """`make upgrade` of the running containers: archive, down, packages, up."""
    archive = tmp_path_factory.mktemp("upgrade") / "backup.tar.gz"
    flights = specs.load("flights")
    before = Project(containers.settings, flights).registry.require_champion()
    predictions = int(containers.sql("SELECT count(*) FROM predictions")[0])
    output = containers.stack("upgrade", "--out", str(archive))
    return Upgraded(before, predictions, runs(containers.settings), archive, output)


def runs(of: Settings) -> int:
    """The number of MLflow's runs."""
    with httpx.Client(base_url=f"{of.mlflow_url}/api/2.0/mlflow", trust_env=False, timeout=PATIENCE_SECONDS) as client:
        experiments = (
            client.post("experiments/search", json={"max_results": 100}).raise_for_status().json()["experiments"]
        )
        body = {"experiment_ids": [experiment["experiment_id"] for experiment in experiments], "max_results": 1000}
        return len(client.post("runs/search", json=body).raise_for_status().json().get("runs", []))


def probabilities(of: Settings, count: int = 1000) -> list[float]:
    """The answers to the first requests of March, once the service has loaded its champion."""
    welcome.answer(Project(of, specs.load("flights")))
    flights, march = specs.load("flights"), datetime(2013, 3, 1, tzinfo=UTC)
    asked = contract.request_source(flights.name).requests(march, march.replace(day=4)).head(count)
    rows = json.loads(asked[list(flights.request)].to_json(orient="records", date_format="iso", date_unit="us"))
    answers = []
    for start in range(0, count, 200):
        body = {"rows": rows[start : start + 200]}
        answer = httpx.post(
            f"{of.prediction_url}/flights/predict", json=body, timeout=PATIENCE_SECONDS, trust_env=False
        )
        answers += [row["probability"] for row in answer.raise_for_status().json()]
    assert len(answers) == count
    return answers


class First(NamedTuple):
    """The first model of a stack: its data, its metrics, its answers."""

    data: str
    """DVC's name of it; that of a git commit holds its time too."""
    metrics: dict[str, float]
    answers: list[float]


def first_model(of: Settings, data: str) -> First:
    """Ask a running stack for its champion's metrics, as MLflow has them, and for a thousand answers."""
    flights = specs.load("flights")
    run = Project(of, flights).registry.require_champion().run_id
    answer = httpx.get(
        f"{of.mlflow_url}/api/2.0/mlflow/runs/get", params={"run_id": run}, timeout=PATIENCE_SECONDS, trust_env=False
    )
    metrics = answer.raise_for_status().json()["run"]["data"]["metrics"]
    return First(data, {metric["key"]: metric["value"] for metric in metrics}, probabilities(of))


def of_processes(folder: Path) -> First:
    """Start a stack of processes, make its first model, and stop it."""
    own = own_environment(folder) | {"STACK_NAME": f"stack-processes-{os.getpid()}", "STACK_PROFILES": ""}
    there = Containers(os.environ | own)
    try:
        there.stack("up", "--runtime", "local", "--no-pipeline")
        there.stack("run", "flights")
        return first_model(there.settings, (folder / TRACKED).read_text())
    finally:
        there.stack("down")


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Containers, First]]:
    """A stack that `stack up` has built and started, with the champion of flights live; and the same of processes.

    A pipeline keeps one core busy, so the processes make their model while the containers do.
    """
    if problem := docker.engine():
        pytest.skip(f"NOTHING OF DOCKER COMPOSE IS TESTED: {problem}")
    own = own_environment(tmp_path_factory.mktemp("compose"))
    own |= {"STACK_RUNTIME": "compose", "STACK_NAME": f"stack-test-{os.getpid()}"}
    own |= {f"STACK_{name}".upper(): f"of-{name}" for name in credentials.FIELDS}
    own |= {"STACK_PROFILES": "lan", "STACK_LAN_PASSWORD_HASH": passwords.hashed(PASSWORD)}
    own |= {"STACK_PREDICTION_COPIES": "2"}
    running = Containers(os.environ | own)
    try:
        running.stack("up", "--no-pipeline")
        with ThreadPoolExecutor(1) as beside:
            processes = beside.submit(of_processes, tmp_path_factory.mktemp("processes"))
            running.stack("run", "flights")
        yield running, processes.result()
    finally:
        running.stack("clean", "--yes")


@pytest.fixture(scope="session")
def containers(both: tuple[Containers, First]) -> Containers:
    """The stack in containers."""
    return both[0]
