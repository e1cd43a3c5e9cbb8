"""A toy project whose outcome follows from its columns."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from stack.core import database
from stack.core.settings import Settings
from stack.project import Project
from stack.registry.registry import CHALLENGER, CHAMPION, PREVIOUS
from stack.specification import specs
from stack.specification.specs import ProjectSpec
from tests.polling import eventually

START = pd.Timestamp("2024-01-01", tz="UTC")
DAYS = 20


@pytest.fixture(scope="session")
def toy() -> ProjectSpec:
    """Two numbers and a category, in an order that mixes their kinds; five trials on two folds."""
    raw = {
        "name": "toy",
        "title": "Will it rain?",
        "label": "rain",
        "clock": {"start": START.isoformat()},
        "tables": {"days": {"key": ["day"]}},
        "request": {"town": {"type": "string", "description": "Town", "example": "Bath"}},
        "features": {
            "service": "toy_v1",
            "entities": ["town"],
            "columns": {"wet": "number", "town_id": "category", "cold": "number"},
        },
        "training": {"candidates": ["dummy", "gradient_boosting", "linear"], "trials": 5},
        "gate": {"limits": {"auc": [0.6, 0.99]}, "slices": {"town_id": 0.55}, "max_loss_increase": 0.002},
        "monitoring": {"max_bias": 0.04},
    }
    return specs.parse(raw, Path("projects/toy/project.yaml"))


@pytest.fixture(scope="session")
def toy_rows() -> Callable[..., DataFrame]:
    """Make labelled rows; a label is known six hours after its row was asked about."""

    def make(count: int = 3000, days: float = DAYS, seed: int = 3) -> DataFrame:
        random = np.random.default_rng(seed)
        asked = START + pd.to_timedelta(np.sort(random.uniform(0, days, count)), unit="D")
        wet, cold = random.normal(size=(2, count)).astype("float32")
        town = random.choice(["Bath", "Cork", "Oban"], count)
        odds = 1.5 * wet - 0.8 * cold + 0.7 * (town == "Oban") - 1
        wet[random.uniform(size=count) < 0.1] = np.nan
        rows = {
            "event_id": [f"{seed}-{number}" for number in range(count)],
            "event_timestamp": asked.as_unit("us"),
            "label_available_at": (asked + pd.Timedelta(hours=6)).as_unit("us"),
            "wet": wet,
            "town_id": town,
            "cold": cold,
            "rain": (random.uniform(size=count) < 1 / (1 + np.exp(-odds))).astype("int64"),
        }
        return pd.DataFrame(rows)

    return make


@pytest.fixture(scope="session")
def client(tracked: Settings) -> Any:
    """MLflow's own client of the server."""
    import mlflow  # 4 s that tests without the server need not spend

    return mlflow.MlflowClient(tracked.mlflow_url)


@pytest.fixture
def town(toy: ProjectSpec, request: pytest.FixtureRequest) -> ProjectSpec:
    """A project of the test's own."""
    return toy.model_copy(update={"name": f"town_{abs(hash(request.node.nodeid))}"})


def aliases(settings: Settings, spec: ProjectSpec) -> tuple[str | None, ...]:
    """Return the versions that are champion, challenger and previous."""
    versions = [Project(settings, spec).registry.aliased(alias) for alias in (CHAMPION, CHALLENGER, PREVIOUS)]
    return tuple(version.version if version else None for version in versions)


@pytest.fixture
def postgres(tmp_path_factory) -> Iterator[str]:
    """URL of an empty database on a PostgreSQL server of its own, where its programs are installed."""
    debian = map(str, Path("/usr/lib/postgresql").glob("*/bin"))  # not on the PATH there
    if not (initdb := shutil.which("initdb", path=os.pathsep.join([os.environ["PATH"], *debian]))):
        pytest.skip("PostgreSQL is not installed")
    with TemporaryDirectory() as folder:
        user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
        if user:
            shutil.chown(folder, user)
        words = {"user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        subprocess.run([initdb, "-D", f"{folder}/data", "-U", "state", "-A", "trust"], check=True, **words)
        server = Path(initdb).resolve().with_name("postgres")
        command = [server, "-D", f"{folder}/data", "-k", folder, "-c", "listen_addresses=", "-F"]
        process = subprocess.Popen(command, **words)
        url = f"postgresql+psycopg://state@/postgres?host={folder}"
        try:
            eventually(lambda: answers(url), alive=lambda: process.poll() is None)
            yield url
        finally:
            database.engine.cache_clear()
            process.send_signal(signal.SIGINT)  # the one that does not wait for connections
            process.wait(20)


def answers(url: str) -> bool:
    try:
        create_engine(url).connect().close()
    except OperationalError:
        return False
    return True
