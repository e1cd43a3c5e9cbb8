"""A real stack for the tests that need one: its own home, free ports, the real first pipeline."""

import gc
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from stack.authoring import workspace
from stack.core import migrations, settings
from stack.core.settings import ROOT, Settings
from tests.forks import Forks
from tests.polling import PATIENCE_SECONDS
from tests.stacks import Service, own_environment

# As in every service: on a busy machine two threads of a fit wait for each other, and take a hundred times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What is imported stays: looking for garbage in it takes a fifth of the collection, and seconds in every later round.
gc.disable()


TESTS = Path(__file__).parent
OF_RUNNING_STACK = ("browser", "end_to_end", "services")
"""The folders of which `make test-running` collects the modules that name the fixture."""


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


def pytest_collection_finish() -> None:
    """Look for garbage from now on, and not among what is imported."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # pytest selects by marker in this hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the running stack.

    Raises:
        pytest.UsageError: such a test is in a folder that `make test-running` does not collect, so it would be missed.
    """
    for item in items:
        if "running" in getattr(item, "fixturenames", ()):
            item.add_marker("running")
            if item.path.relative_to(TESTS).parts[0] not in OF_RUNNING_STACK:
                raise pytest.UsageError(f"{item.nodeid} uses `running`, move it to {', '.join(OF_RUNNING_STACK)}")
            if "running" not in item.path.read_text():
                raise pytest.UsageError(f"{item.nodeid} uses `running`, and its module does not say so")


@pytest.fixture(scope="session", autouse=True)
def migrated() -> Iterator[None]:
    """Migrate a state database when a test opens it, as `make up` has done for a service."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "require_current", migrations.upgrade)
        yield


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a stack that `stack up` has started: services healthy, champion of flights live.

    Its workspace has copies of the checkout's projects, so that a test may add one.
    """
    folder = tmp_path_factory.mktemp("workspace")
    workspace.create(folder, [path.name for path in ROOT.glob("projects/[a-z]*")])
    environ = os.environ | own_environment(tmp_path_factory.mktemp("stack")) | {"STACK_WORKSPACE": str(folder)}
    command = [sys.executable, "-m", "stack"]
    try:
        subprocess.run([*command, "up", "--runtime", "local"], env=environ, check=True, timeout=1800)
        yield settings.load(environ, env_file=Path("/dev/null"))
    finally:
        subprocess.run([*command, "down"], env=environ, check=False, timeout=PATIENCE_SECONDS)


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Runs commands of the stack."""
    modules = ("stack.cli", "stack.authoring.rehearsal", "stack.validation.validation", "stack.training.candidates")
    started = Forks(os.environ, tmp_path_factory.mktemp("commands"), modules)
    yield started
    started.close()


@pytest.fixture(scope="session")
def mlflow_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """MLflow's server. A test registers its models under the name of a project of its own."""
    own = settings.load(own_environment(tmp_path_factory.mktemp("mlflow")), env_file=Path("/dev/null"))
    with Service(own, "mlflow", lambda: httpx.get(f"{own.mlflow_url}/health").is_success) as service:
        yield service


@pytest.fixture(scope="session")
def tracked(mlflow_service: Service) -> Settings:
    """Settings of a stack whose MLflow server runs."""
    return mlflow_service.settings


@pytest.fixture(scope="session")
def prefect_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Prefect's server, which remembers nothing of an earlier one."""
    own = settings.load(own_environment(tmp_path_factory.mktemp("prefect")), env_file=Path("/dev/null"))
    service = Service(own, "prefect", lambda: httpx.get(f"{own.prefect_url}/api/health").is_success)
    migrating = service.definition.environment | {"PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "true"}
    service.definition = replace(service.definition, environment=migrating)
    with service:
        yield service


@pytest.fixture(scope="session")
def prefect(prefect_service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prefect's server for the flows that a test calls in its own process."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogHandler
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_LOCAL_STORAGE_PATH,
        temporary_settings,
    )

    own = {
        PREFECT_API_URL: f"{prefect_service.settings.prefect_url}/api",
        PREFECT_API_AUTH_STRING: prefect_service.settings.prefect_key,
        PREFECT_LOCAL_STORAGE_PATH: tmp_path_factory.mktemp("results"),
    }
    with temporary_settings(own):
        yield
        APILogHandler().flush()
        EventsWorker.drain_all()
