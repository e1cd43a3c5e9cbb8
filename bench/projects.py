"""What a project more costs a stack: memory of the prediction service, and time of ``stack up``."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
import numpy as np
import pandas as pd

from bench import checkouts, processes
from bench.servers import free_port
from bench.table import Row, print_rows, ratio
from stack.core.settings import Settings, load

MORE = 9
FIRST = "small0"
ROWS = 2000
MEMORY_BAR, UP_BAR = 30.0, 2.0


class Size(NamedTuple):
    """What a stack of some projects takes."""

    mebibytes: float
    """Of the prediction service once it has answered for all of them."""
    start: float
    """Seconds of a ``stack up`` of the stopped stack that registers every project."""
    again: float
    """Seconds of a further ``stack up``."""


def compare(one: "Checkout") -> list[Row]:
    """Measure the stack of one project, and then with nine more, each with a champion of its own."""
    names = [f"small{number}" for number in range(1, MORE + 1)]
    alone = one.size([FIRST])
    for name in names:
        one.copy_project(name)
    all_ten = one.size([FIRST, *names])
    each = Size(*((ten - first) / MORE for ten, first in zip(all_ten, alone, strict=True)))
    ten, words = MORE + 1, "more for each project of"
    return [
        Row(
            f"memory of the prediction service, {words} {ten}",
            f"{each.mebibytes:.1f} MiB",
            f"{alone.mebibytes:.0f} MiB with one",
            ratio(all_ten.mebibytes, alone.mebibytes),
            f"<= {MEMORY_BAR:.0f} MiB",
            each.mebibytes <= MEMORY_BAR,
        ),
        Row(
            f"stack up after down, all registered anew, {words} {ten}",
            f"{each.start:.2f} s",
            f"{alone.start:.1f} s with one",
            ratio(all_ten.start, alone.start),
            f"<= {UP_BAR:.0f} s",
            each.start <= UP_BAR,
        ),
        Row(
            f"stack up again, {words} {ten}",
            f"{each.again:.2f} s",
            f"{alone.again:.1f} s with one",
            ratio(all_ten.again, alone.again),
            f"<= {UP_BAR:.0f} s",
            each.again <= UP_BAR,
        ),
    ]


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout, and a stack that runs from it."""

    folder: Path
    python: Path
    settings: Settings
    environ: Mapping[str, str]

    def run(self, *words: str) -> None:
        """Run a command of the stack."""
        command = [str(self.python), "-m", "stack", *words]
        subprocess.run(command, cwd=self.folder, env=self.environ, check=True, stdout=subprocess.DEVNULL)

    def size(self, projects: list[str]) -> Size:
        """Stop the stack, and measure what it takes with these projects."""
        self.run("down")
        # What a one-shot service has done is noted; without the note it registers all projects, as after a change.
        for note in self.settings.run.glob("*.done"):
            note.unlink()
        start = self.seconds_up()
        return Size(self.memory(projects), start, min(self.seconds_up() for _ in range(3)))

    def seconds_up(self) -> float:
        """How long ``stack up`` takes."""
        began = time.perf_counter()
        self.run("up")
        return time.perf_counter() - began

    def memory(self, projects: list[str]) -> float:
        """Mebibytes of the prediction service once it has answered for all these projects."""
        with httpx.Client(base_url=self.settings.prediction_url, timeout=30, trust_env=False) as client:
            for name in projects:
                self._ask(client, name)
        of_predictions = processes.of(self.settings, "services.prediction")
        return sum(process.memory_info().rss for process in of_predictions) / 2**20

    def copy_project(self, name: str) -> None:
        """Write a project like the first one, whose champion is a version of its own of the same run."""
        projects = self.folder / "projects"
        copied = shutil.copytree(projects / FIRST, projects / name)
        written = copied / "project.yaml"
        written.write_text(written.read_text().replace(FIRST, name))
        (copied / "data" / f"{FIRST}.csv").rename(copied / "data" / f"{name}.csv")
        self._mlflow("POST", "registered-models/create", json={"name": name})
        self.point(name, "champion", self.register(FIRST, name))

    def register(self, project: str, name: str) -> str:
        """Register the run of a project's champion once more, under a name; returns the version."""
        question = {"name": project, "alias": "champion"}
        found = self._mlflow("GET", "registered-models/alias", params=question)["model_version"]
        body = {"name": name, "source": f"models:/{project}/{found['version']}", "run_id": found["run_id"]}
        return str(self._mlflow("POST", "model-versions/create", json=body)["model_version"]["version"])

    def training_seconds(self, project: str) -> float:
        """How long the training of a project's champion took."""
        found = self._mlflow("GET", "registered-models/alias", params={"name": project, "alias": "champion"})
        info = self._mlflow("GET", "runs/get", params={"run_id": found["model_version"]["run_id"]})["run"]["info"]
        return (info["end_time"] - info["start_time"]) / 1000

    def point(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self._mlflow("POST", "registered-models/alias", json={"name": name, "alias": alias, "version": version})

    def rollout(self, name: str) -> str:
        """Who answers beside the champion: alone, shadow or canary."""
        found = httpx.get(f"{self.settings.prediction_url}/readyz", timeout=30, trust_env=False).json()["projects"][
            name
        ]
        return "shadow" if found["shadow"] else "canary" if found["canary"] else "alone"

    def _mlflow(self, method: str, path: str, **words: Any) -> Any:
        url = f"{self.settings.mlflow_url}/api/2.0/mlflow/{path}"
        return httpx.request(method, url, timeout=30, trust_env=False, **words).raise_for_status().json()

    def _ask(self, client: httpx.Client, name: str) -> None:
        body = json.dumps({"rows": [{f"x{number}": 0.5 for number in range(6)}]})
        eventually(lambda: client.post(f"/{name}/predict", content=body).is_success)
        for _ in range(50):
            client.post(f"/{name}/predict", content=body).raise_for_status()


def eventually(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def alone(compare: Callable[["Checkout"], list[Row]]) -> int:
    """Measure in a stack of its own and print the figures; the exit code is 1 when a bar is missed."""
    with small() as one:
        rows = compare(one)
    return 0 if print_rows(rows) else 1


@contextmanager
def small() -> Iterator[Checkout]:
    """A running stack of one small project, in a copy of the checkout: a stack that runs here does not see it."""
    with TemporaryDirectory(prefix="bench-projects-") as folder, _stack(Path(folder)) as one:
        one.run("up")
        yield one


@contextmanager
def _stack(folder: Path) -> Iterator[Checkout]:
    """A copy of the checkout with one generated project; what runs from it is stopped at the end."""
    checkout = folder / "checkout"
    python = checkouts.copy(checkout)
    ports = {f"STACK_{name}".upper(): str(free_port()) for name in Settings.model_fields if name.endswith("_port")}
    environ = os.environ | ports | {"STACK_HOME": str(folder / "home"), "STACK_RUNTIME": "local"}
    one = Checkout(checkout, python, load(environ, env_file=Path(os.devnull)), environ)
    _table().to_csv(folder / f"{FIRST}.csv", index=False)
    try:
        one.run(
            "new", FIRST, "--from", str(folder / f"{FIRST}.csv"), "--target", "y", "--time", "none", "--keys", "none"
        )
        yield one
    finally:
        one.run("down")


def _table() -> pd.DataFrame:
    """Six numbers and an outcome that follows from them."""
    random = np.random.default_rng(5)
    frame = pd.DataFrame(random.normal(size=(ROWS, 6)).round(4), columns=[f"x{number}" for number in range(6)])
    odds = frame["x0"] - frame["x1"] + 0.5 * frame["x2"]
    return frame.assign(y=(random.uniform(size=ROWS) < 1 / (1 + np.exp(-odds))).astype(int))
