"""A real stack for the tests that need one: its own home, free ports, the real first pipeline."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from stack.core import migrations, settings
from stack.core.settings import Settings
from stack.ops import compose_file
from stack.specification import specs

# As in every service: on a busy machine two threads of a fit wait for each other, and take a hundred times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PORTS = [name for name in Settings.model_fields if name.endswith("_port")]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of CI, where everything that a test needs is installed."""
    parser.addoption("--no-skips", action="store_true", help="fail a test that is skipped, as what it needs is missing")


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around the hook of pytest that turns an exception into a skip
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped test where all are required."""
    report = yield
    if item.config.getoption("--no-skips") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, although --no-skips is set: {report.longrepr[2]}"
    return report


@pytest.hookimpl(tryfirst=True)  # pytest selects by marker in this hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the running stack; those that change the checkout's projects come last."""
    for item in items:
        if "running" in getattr(item, "fixturenames", ()):
            item.add_marker("running")
    items.sort(key=lambda item: "projects_alone" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def migrated() -> Iterator[None]:
    """Migrate a state database when a test opens it, as `make up` has done for a service."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "require_current", migrations.upgrade)
        yield


@pytest.fixture(scope="session", autouse=True)
def projects_read() -> Iterator[int]:
    """The checkout's folder of projects, locked: while others read it, no test of another process changes it."""
    folder = os.open(specs.PROJECTS, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_SH)
    yield folder
    os.close(folder)


@pytest.fixture(scope="module")
def projects_alone(projects_read: int) -> Iterator[None]:
    """Change the checkout's projects: waits until no other process tests."""
    fcntl.flock(projects_read, fcntl.LOCK_EX)
    yield
    fcntl.flock(projects_read, fcntl.LOCK_SH)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a stack that `stack up` has started: services healthy, champion of flights live."""
    environ = os.environ | own_environment(tmp_path_factory.mktemp("stack"))
    command = [sys.executable, "-m", "stack"]
    try:
        subprocess.run([*command, "up", "--runtime", "local"], env=environ, check=True, timeout=900)
        yield settings.load(environ, env_file=Path("/dev/null"))
    finally:
        subprocess.run([*command, "down"], env=environ, check=False, timeout=120)


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Prefect server for the flows that a test calls in its own process; it remembers nothing of an earlier one."""
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, PREFECT_SERVER_ANALYTICS_ENABLED, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    own = {PREFECT_LOCAL_STORAGE_PATH: tmp_path_factory.mktemp("results"), PREFECT_SERVER_ANALYTICS_ENABLED: False}
    with temporary_settings(own), prefect_test_harness(server_startup_timeout=120):
        yield


def own_environment(home: Path) -> dict[str, str]:
    """STACK_* keys of a stack that shares nothing with another one."""
    ports = zip(PORTS, free_ports(len(PORTS)), strict=True)
    own = {"STACK_HOME": str(home), "STACK_RUNTIME": "local", "STACK_PREFECT_KEY": "key-of-the-tests"}
    return own | {f"STACK_{name}".upper(): str(port) for name, port in ports}


def shell(settings: Settings) -> dict[str, str]:
    """The environment of a user's shell after ``eval "$(make env)"``."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | compose_file.environment(settings) | {"PATH": path}


def prefect_api(settings: Settings) -> httpx.Client:
    """A client of a stack's Prefect API, with its key."""
    url = f"{settings.prefect_url}/api"
    return httpx.Client(base_url=url, headers=settings.prefect_headers, trust_env=False, timeout=30)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, held open together so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        return [bound.getsockname()[1] for bound in sockets]
