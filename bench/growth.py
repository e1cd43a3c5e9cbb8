"""What a project costs at 10, 100, ... times the rows: from ``make new`` to a live model, and one more small batch.

``python -m bench.growth [ROWS ...]``. A size is a table of 12 columns and 5,000 keys over 120 days, whatever its
rows, in a home and a copy of the checkout of its own. Each step runs in a process of its own, so that its peak of
memory is its own.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.checkouts import copy
from bench.servers import free_port, stop, wait
from bench.table import Cost, Row, print_rows, ratio
from stack.core import migrations
from stack.core.settings import Settings, settings
from stack.core.workers import Workers
from stack.project import Project

NAME = "orders"
SIZES = (20_000, 200_000)
FIRST, SPAN, MORE = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=120), 1000
KEYS, BLOCK = 5000, 250_000
BAR_MORE = 1.5
"""Times the smallest table's, for one more batch of `MORE` rows."""
GROWTH = 1.2
"""Times the growth of the rows, for all steps together: linear, and a noisy machine."""


def compare(sizes: tuple[int, ...] = SIZES) -> list[Row]:
    """Measure every step at each size, against the size before."""
    rows, former, first = [], dict[str, Cost](), None
    for size in sizes:
        found = measure(size)
        first = first or (size, found)
        for name, cost in found.items():
            against = former.get(name)
            row = Row(f"{size:,} rows: {name}", str(cost))
            if against:
                row = Row(f"{size:,} rows: {name}", str(cost), str(against), ratio(cost.cpu, against.cpu))
            rows.append(row)
        former = found
    if first and len(sizes) > 1:
        rows += _bars(first, (sizes[-1], former))
    return rows


def _bars(small: tuple[int, dict[str, Cost]], large: tuple[int, dict[str, Cost]]) -> Iterator[Row]:
    one, other = small[1]["more"].cpu, large[1]["more"].cpu
    times = f"<= {BAR_MORE} times"
    yield Row(
        f"{MORE:,} rows more", f"{other:.1f} core s", f"{one:.1f}", ratio(other, one), times, other <= BAR_MORE * one
    )
    one, other = (sum(cost.cpu for name, cost in size[1].items() if name != "more") for size in (small, large))
    bar = GROWTH * large[0] / small[0]
    yield Row(
        "all before", f"{other:.1f} core s", f"{one:.1f}", ratio(other, one), f"<= {bar:.0f} times", other <= bar * one
    )


def measure(size: int) -> dict[str, Cost]:
    """Run the steps on a table of so many rows: step -> its cost."""
    costs = {}
    with home(size) as one:
        for step in STEPS:
            if step == "more":
                _write(one.place / "checkout/projects" / NAME / "data" / one.table.name, size, MORE)
            costs[step] = one.run("bench.growth", step)
            print(f"{size:,} rows: {step} {costs[step]}", flush=True)
    return costs


@dataclass(frozen=True)
class Home:
    """A stack of one project: a home, and a copy of the checkout that has no other."""

    place: Path
    table: Path
    python: Path
    environ: Mapping[str, str]

    def run(self, module: str, step: str, *words: str) -> Cost:
        """Run a step in a process of its own."""
        command = [str(self.python), "-m", module, step, str(self.table), *words]
        output = subprocess.run(
            command, cwd=self.place / "checkout", env=self.environ, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        return Cost(*json.loads(output.splitlines()[-1]))


@contextmanager
def home(size: int) -> Iterator[Home]:
    """Write a table of so many rows, into a folder with a home and a copy of the checkout; run an MLflow server."""
    with TemporaryDirectory(prefix="bench-growth-", dir=os.environ.get("GROWTH_FOLDER")) as folder:
        place = Path(folder)
        python, table = copy(place / "checkout"), place / f"{NAME}.parquet"
        _write(table, size)
        port = str(free_port())
        environ = os.environ | {"STACK_HOME": str(place / "home"), "STACK_MLFLOW_PORT": port, "OMP_NUM_THREADS": "1"}
        environ |= {"STACK_RUNTIME": "local", "PYTHONWARNINGS": "ignore"}
        with _mlflow(python, place, environ):
            yield Home(place, table, python, environ)


@contextmanager
def _mlflow(python: Path, place: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Run the stack's MLflow server."""
    (place / "home/mlflow").mkdir(parents=True)
    log, given = place / "mlflow.log", {**environ, **Settings(home=place / "home").environment(), **environ}
    given |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [str(python), "-m", "services.tracking"]
    with log.open("ab") as output:
        server = subprocess.Popen(
            command, cwd=place / "checkout", env=given, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait(f"http://127.0.0.1:{environ['STACK_MLFLOW_PORT']}/health", server, log)
        yield
    finally:
        stop(server)


def _write(path: Path, rows: int, more: int = 0) -> None:
    """Write the table, in the order of time; `more` rows come in the day after it."""
    parts = [(start, min(BLOCK, rows - start), FIRST + SPAN * (start / rows)) for start in range(0, rows, BLOCK)]
    with pq.ParquetWriter(path, block(0, 1, FIRST, SPAN).schema) as writer:
        for start, count, since in parts:
            writer.write_table(block(start, count, since, SPAN * (count / rows)))
        if more:
            writer.write_table(block(rows, more, FIRST + SPAN, timedelta(days=1)))


def block(start: int, count: int, since: datetime, span: timedelta) -> pa.Table:
    """Return rows that follow from the number of the first: an outcome of their numbers, category and key."""
    random = np.random.default_rng(start + 1)
    seconds = np.sort(random.integers(1, span // timedelta(seconds=1) - 1, count)) + int(since.timestamp())
    customer, channel = random.integers(0, KEYS, count), random.integers(0, 4, count)
    numbers = {name: random.normal(size=count).round(4) for name in ("price", "weight", "age", "score", "distance")}
    odds = numbers["price"] - 0.7 * numbers["score"] + 0.5 * (channel == 2) + (customer % 7 - 3) / 3 - 1
    channels, towns = pa.array(["web", "shop", "phone", "app"]), pa.array([f"town{at}" for at in range(20)])
    return pa.table(
        {
            "order_id": np.arange(start, start + count),
            "at": pa.array(seconds * 1_000_000, pa.timestamp("us", "UTC")),
            "customer": customer,
            **numbers,
            "pieces": random.integers(1, 9, count),
            "channel": channels.take(pa.array(channel)),
            "town": towns.take(pa.array(random.integers(0, 20, count))),
            "returned": (random.uniform(size=count) < 1 / (1 + np.exp(-odds))).astype("int64"),
        }
    )


def new(table: Path, _: Settings) -> None:
    """Do what ``make new`` does."""
    from stack.authoring import check
    from stack.authoring.scaffold import project
    from stack.authoring.scaffold.wishes import Wishes

    now = datetime(2025, 6, 1, tzinfo=UTC)
    wishes = Wishes(target="returned", time="at", keys="customer")
    project.write(NAME, table, wishes, now, lambda _, default, __: default)
    assert not check.findings(NAME, now)


def ingest(_: Path, own: Settings) -> None:
    """Fetch, check and append all rows."""
    migrations.upgrade(own.state_database)
    _add(Project.open(NAME, own), Project.open(NAME, own).spec.clock.start, FIRST + SPAN)


def features(_: Path, own: Settings) -> None:
    """Compute the feature tables, and bring them online."""
    from stack.features import features

    project = Project.open(NAME, own)
    features.apply_alone(project)
    _serve(project, project.spec.clock.start, FIRST + SPAN)


def train(_: Path, own: Settings) -> None:
    """Build the training set, search, and register the challenger."""
    from stack.features import datasets
    from stack.promotion import challengers
    from stack.training.training import TrainingSet

    project, cutoff = Project.open(NAME, own), FIRST + SPAN
    data = TrainingSet(datasets.labelled(project, cutoff), cutoff, project.lake.revision(), "bench")
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        challengers.train(project, data, lambda _: None, Workers(threads))


def promote(_: Path, own: Settings) -> None:
    """Judge the challenger, and make it champion."""
    from stack.promotion import decisions, gate

    project, now = Project.open(NAME, own), datetime.now(UTC)
    decisions.promote(project, gate.run(project), decisions.DecisionTime(FIRST + SPAN, now))


def report(_: Path, own: Settings) -> None:
    """Report on the last window."""
    from monitoring import review

    review.champion(Project.open(NAME, own), FIRST + SPAN, datetime.now(UTC))


def more(_: Path, own: Settings) -> None:
    """Ingest one more day of a few rows, from the source to the online store."""
    from stack.features import datasets, feature_tables

    project, until = Project.open(NAME, own), FIRST + SPAN + timedelta(days=1)
    _add(project, datasets.ingested_until(project), until)
    _serve(project, feature_tables.served_until(project), until)


STEPS: dict[str, Callable[[Path, Settings], None]] = {
    step.__name__: step for step in (new, ingest, features, train, promote, report, more)
}


def _add(project: Project, since: datetime, until: datetime) -> None:
    from stack.validation import batches

    for start, end in batches.windows(project, since, until):
        result = batches.validate(project, batches.fetch(project, start, end), start, end)
        batches.require_accepted(project, result)
        project.lake.append(result.tables, start, end)
        batches.alert_stale(project, result.tables, start, end)


def _serve(project: Project, since: datetime, until: datetime) -> None:
    from stack.features import feature_tables, features
    from stack.serving import observed

    features.update(project, since, until)
    observed.label(project, since, until)
    features.materialise(project, since, until)
    feature_tables.mark_served(project, until)


def main(step: str, table: Path) -> None:
    """Run a step, and print what it took."""
    began = time.perf_counter()
    STEPS[step](table, settings())
    own, others = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    print(json.dumps([time.perf_counter() - began, cpu, own.ru_maxrss * 1024 / 1e9]))


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in STEPS:
        main(sys.argv[1], Path(sys.argv[2]))
    else:
        print_rows(compare(tuple(int(float(size)) for size in sys.argv[1:]) or SIZES))
