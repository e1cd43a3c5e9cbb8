"""Batch scoring of a large file with its features: in one process, by two Dask workers, and by pandas and ONNX.

``python -m bench.scoring [ROWS ...]``. The project is that of :mod:`bench.growth`, trained on fewer rows. Each way runs
in a process of its own; the workers of Dask have been started, and have imported what they need.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster

from bench import growth
from bench.growth import BLOCK, FIRST, NAME, SPAN
from bench.table import Cost, Row, print_rows, ratio
from stack.core.settings import settings
from stack.core.workers import Workers
from stack.features import feature_tables
from stack.project import Project
from stack.serving import scoring

TRAINED, SIZES = 20_000, (2_000_000,)
NOW = datetime(2025, 6, 1, tzinfo=UTC)
WORKERS = 2
MINUTE, FASTER = 60.0, 1.7
"""Bars: seconds of one process for a million rows, and times as fast, by the clock and by core seconds."""


def compare(sizes: Sequence[int] = SIZES) -> list[Row]:
    """Train a project, and score files of these sizes."""
    rows = []
    with growth.home(TRAINED) as home:
        for step in ("new", "ingest", "features", "train", "promote"):
            home.run("bench.growth", step)
        for size in sizes:
            write(home.table.with_name(f"{size}.parquet"), size)
            # A frame of the whole: more than some millions of rows do not fit.
            ways = list(WAYS) if size <= max(SIZES) else ["here", "there"]
            costs = {way: home.run("bench.scoring", way, str(size)) for way in ways}
            rows += _rows(size, costs)
    return rows


def _rows(size: int, costs: dict[str, Cost]) -> list[Row]:
    here, there, whole = (costs.get(way) for way in ("here", "there", "whole"))
    assert here and there
    bar = MINUTE * size / 1e6
    against = (f"{whole} by merge_asof and ONNX", ratio(here.cpu, whole.cpu)) if whole else ("", "")
    faster = here.wall / there.wall
    return [
        Row(f"{size:,} rows scored", str(here), *against, f"<= {bar:.0f} s", here.wall <= bar),
        Row(
            f"{size:,} rows scored by {WORKERS} workers",
            str(there),
            str(here),
            f"{faster:.2f} times as fast",
            f">= {FASTER}",
            faster >= FASTER,
        ),
        # What the time comes to where each process has a core, whatever else the machine does.
        Row(
            f"the busiest of {WORKERS} workers and their client",
            f"{there.busiest:.1f} core s",
            f"{here.cpu:.1f}",
            f"{here.cpu / there.busiest:.2f} times as little",
            f">= {FASTER}",
            here.cpu / there.busiest >= FASTER,
        ),
    ]


def write(path: Path, rows: int) -> None:
    """Write rows to be scored, each asked about at its own instant, in the order of time."""
    with pq.ParquetWriter(path, _timed(growth.block(0, 1, FIRST, SPAN)).schema) as writer:
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            writer.write_table(_timed(growth.block(start, count, FIRST + SPAN * (start / rows), SPAN * (count / rows))))


def _timed(table: pa.Table) -> pa.Table:
    return table.append_column("asked_at", table["at"])


Each = Callable[[Callable[[], float]], list[float]]
"""Calls a function in every process that works."""


@contextmanager
def here() -> Iterator[tuple[Callable[..., object], Each]]:
    """Score in this process."""
    yield partial(scoring.file, now=NOW, report=lambda _: None), lambda function: [function()]


@contextmanager
def there() -> Iterator[tuple[Callable[..., object], Each]]:
    """Score by Dask."""
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for module in ("stack.features.offline_store", "stack.serving.scoring"):
            client.run(import_module, module)

        def on_each(function: Callable[[], Any]) -> list[Any]:
            return list(client.run(function).values())

        workers = Workers(client.get_executor(), on_each=on_each, slots=WORKERS)
        yield (
            partial(scoring.file, now=NOW, report=lambda _: None, workers=workers),
            lambda function: [function(), *on_each(function)],
        )


@contextmanager
def whole() -> Iterator[tuple[Callable[..., object], Each]]:
    """Score one frame of all rows by pandas and ONNX Runtime."""
    yield _whole, lambda function: [function()]


def _whole(project: Project, source: Path, target: Path) -> None:
    spec, frame = project.spec, pd.read_parquet(source).sort_values("asked_at")
    (name,) = (path.name for path in feature_tables.folder(project).iterdir() if path.is_dir())
    table = pd.read_parquet(feature_tables.folder(project) / name).sort_values(feature_tables.TIME)
    joined = pd.merge_asof(frame, table, left_on="asked_at", right_on=feature_tables.TIME, by="customer")
    asked = {field: joined[field].astype(object).tolist() for field in spec.request if field != "at"}
    asked["at"] = [at.to_pydatetime() for at in joined["at"]]
    joined = joined.assign(**project.features.on_request(asked))
    with scoring.loaded(project.settings, project.registry.require_champion()) as model:
        joined["probability"] = model.predict({column: joined[column] for column in spec.features.columns})[:, 0]
    joined.to_parquet(target)


WAYS = {way.__name__: way for way in (here, there, whole)}


def gigabytes() -> float:
    """Return the peak of this process."""
    return getrusage(RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main(way: str, folder: Path, size: int) -> None:
    """Score a file one way, and print what it took: core seconds of all processes, the highest peak of one."""
    project, target = Project.open(NAME, settings()), folder / f"{way}.parquet"
    with WAYS[way]() as (score, each):
        began, before = time.perf_counter(), each(time.process_time)
        score(project, folder / f"{size}.parquet", target)
        wall = time.perf_counter() - began
        cpu = [after - before for after, before in zip(each(time.process_time), before, strict=True)]
        cost = Cost(wall, sum(cpu), max(each(gigabytes)), max(cpu))
    print(json.dumps(cost))


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] in WAYS:
        main(sys.argv[1], Path(sys.argv[2]).parent, int(sys.argv[3]))
    else:
        print_rows(compare(tuple(int(float(size)) for size in sys.argv[1:]) or SIZES))
