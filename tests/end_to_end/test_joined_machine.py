"""`make up PROFILES=lan` and `make join` as processes: a second stack trains for a first one by its gateway alone."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from stack.access import passwords
from stack.core import settings
from stack.core.settings import ROOT, Settings
from stack.ops.local import processes, supervisor
from stack.ops.local.runtime import LocalRuntime
from stack.ops.runs import Runs
from stack.project import Project
from stack.specification import specs
from tests.polling import eventually
from tests.stacks import own_environment, prefect_api

pytestmark = [pytest.mark.services, pytest.mark.slow]
PASSWORD = "of-the-gateway"


@dataclass
class Machine:
    """A stack of processes, and its own environment."""

    environ: dict[str, str]

    @property
    def settings(self) -> Settings:
        return settings.load(self.environ, Path("/dev/null"))

    def stack(self, *words: str, **more: str) -> str:
        """Run a command of ours; return what it prints."""
        command = [sys.executable, "-m", "stack", *words]
        environ = os.environ | self.environ | more
        ran = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, timeout=1200)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The stack that serves, with the gateway."""
    if not shutil.which("caddy"):
        pytest.skip("caddy is not installed")
    own = own_environment(tmp_path_factory.mktemp("first")) | {"STACK_PROFILES": "lan"}
    own |= {"STACK_LAN_HOST": "127.0.0.1", "STACK_LAN_ADDRESS": "127.0.0.1"}
    machine = Machine(own | {"STACK_LAN_PASSWORD_HASH": passwords.hashed(PASSWORD)})
    try:
        machine.stack("up", "--no-pipeline")
        yield machine
    finally:
        machine.stack("down")


@pytest.fixture(scope="module")
def key(first: Machine) -> str:
    """What the second machine joins with."""
    return first.stack("token", "--for", "train", "--name", "the second").split()[-1]


@pytest.fixture(scope="module")
def second(first: Machine, key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The stack that has joined: it has another Prefect key, and knows the first one's gateway and key alone."""
    url = first.settings.through_gateway("portal", "127.0.0.1")
    own = own_environment(tmp_path_factory.mktemp("second"))
    own |= {"STACK_PREFECT_KEY": "key-of-the-second", "STACK_ACCESS_KEY": "access-key-of-the-second"}
    machine = Machine(own | {"STACK_PROFILES": "scale", "STACK_JOIN_URL": url, "STACK_JOIN_KEY": key})
    try:
        machine.stack("join", "--url", url, JOIN_KEY=key)
        yield machine
    finally:
        machine.stack("down")


def test_the_gateway_is_one_of_the_services(first: Machine) -> None:
    rows = {row.name: row.health for row in LocalRuntime(first.settings).status()}
    assert (rows["gateway"], rows["access"]) == ("healthy", "healthy")
    assert (first.settings.home / "gateway/caddy/pki/authorities/local/root.crt").exists()
    (gateway,) = processes.by_service(supervisor.address(first.settings))["gateway"]
    assert gateway.name() == "caddy"


def test_it_trains_what_the_first_one_judges(first: Machine, second: Machine) -> None:
    runs = Runs(first.settings)
    eventually(lambda: runs.online("training"))

    output = first.stack("run", "flights")

    assert "sent to a machine of the pool training" in output
    question = {"flows": {"name": {"any_": ["fit"]}}}
    fits = prefect_api(first.settings).post("/flow_runs/filter", json=question).raise_for_status().json()
    assert [(run["state_type"], run["work_pool_name"]) for run in fits] == [("COMPLETED", "training")]
    champion = Project(first.settings, specs.load("flights")).registry.require_champion()
    assert champion.tag("stack.host") == socket.gethostname()
    log = (second.settings.logs / "trainer.log").read_text()
    assert "fit flights" in log and not re.search("HTTP 40|Unauthorized|Unable to connect", log), log


def test_no_secret_of_the_first_is_on_the_second_and_none_in_a_command_line(
    first: Machine, second: Machine, key: str
) -> None:
    trainer = processes.by_service(supervisor.address(second.settings))["trainer"]
    secrets = {first.settings.prefect_key, first.settings.access_key, PASSWORD}
    for process in trainer:
        assert not secrets & set(process.environ().values())
    everybody = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [words for words in everybody if key.rpartition(".")[2] in words or PASSWORD in words]


def test_a_revoked_machine_trains_no_more(first: Machine, second: Machine) -> None:
    listed = first.stack("tokens")
    (identity,) = re.findall(r"^(\w+) +the second +all +train ", listed, re.MULTILINE)
    assert "never" not in listed
    first.stack("token", "--revoke", identity)
    eventually(lambda: not Runs(first.settings).online("training"))
