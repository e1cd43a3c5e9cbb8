"""Features joined and computed by the workers of a cluster, part by part, out of storage that they share with it.

A part comes and goes as a file; a worker is sent no address and no password.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pyarrow as pa
from feast import FeatureStore
from pandas import DataFrame

from stack.core import shared
from stack.core.notices import Reporter
from stack.core.workers import Workers
from stack.features import feature_tables, features
from stack.lake.files import Files
from stack.project import Project, contract
from stack.specification.specs import ProjectSpec

DEFINITIONS = "registry.db"


def write(table: pa.Table, folder: Path) -> Path:
    """Write a table into a file of a new name in a folder."""
    path = folder / f"{uuid4().hex}.arrow"
    with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return path


def read(path: Path) -> pa.Table:
    """Read a file of :func:`write`."""
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def taken(paths: Iterable[Path]) -> Iterator[pa.Table]:
    """Yield the tables of files, and delete these."""
    for path in paths:
        yield read(path)
        path.unlink()


@dataclass(frozen=True)
class Join:
    """Joins events with features in any process that sees the folder."""

    folder: Path
    """Of this join alone, with the definitions of the features."""
    spec: ProjectSpec = field(compare=False)

    def __call__(self, inputs: Path) -> Path:
        """Join the events of a file; return the file with their features."""
        return write(features.join(store(self.folder), self.spec, read(inputs).to_pandas()), self.folder)


@lru_cache(maxsize=1)
def store(folder: Path) -> FeatureStore:
    """Open the definitions in a folder, once in a process."""
    return features.recorded(folder / DEFINITIONS)


def training_set(project: Project, events: DataFrame, workers: Workers, report: Reporter) -> DataFrame:
    """Return :func:`.features.training_set`: of many events joined by workers, where they see the feature tables."""
    if len(events) <= features.SHARED_BLOCK:
        return features.training_set(project, events)
    tables = feature_tables.folder(project)
    with shared.folder(tables / "joined") as folder:
        features.record(features.store(project.settings), folder / DEFINITIONS)
        if missing := shared.missing(project.name, [tables], workers):
            report(f"joined here: a worker of the cluster {missing}")
            return features.training_set(project, events)

        def blocks(inputs: Iterable[DataFrame]) -> Iterator[pa.Table]:
            written = (write(pa.Table.from_pandas(block, preserve_index=False), folder) for block in inputs)
            return taken(workers.in_order(Join(folder, project.spec), written))

        return features.training_set(project, events, blocks)


class Span(NamedTuple):
    """A part of the time for which feature tables are computed."""

    since: datetime
    until: datetime
    rows: Files
    """The raw rows that are known in it, and those that its features look back at."""


@dataclass(frozen=True)
class Build:
    """Computes feature tables in any process that sees the folder and the lake."""

    folder: Path
    project: str

    def __call__(self, span: Span) -> dict[str, Path]:
        """Return the file of each feature view with its rows of a span."""
        built = contract.features(self.project).build(span.rows.read(), span.since, span.until)
        tables = {view: pa.Table.from_pandas(frame, preserve_index=False) for view, frame in built.items()}
        return {view: write(table, self.folder) for view, table in tables.items()}


def update(project: Project, since: datetime, until: datetime, workers: Workers, report: Reporter) -> dict[str, int]:
    """Do what :func:`.features.update` does, by workers where they see the lake."""
    lookback = project.features.LOOKBACK
    spans = [
        Span(start, end, project.lake.files(start - lookback, end))
        for start, end in project.lake.spans(since, until, lookback)
    ]
    tables = feature_tables.folder(project)
    with shared.folder(tables / "built") as folder:
        (folder / "seen.txt").touch()
        places = [folder, *(path for span in spans for path in span.rows.paths)]
        if missing := shared.missing(project.name, places, workers):
            report(f"features are computed here: a worker of the cluster {missing}")
            return features.update(project, since, until)
        rows: Counter[str] = Counter()
        for span, built in zip(spans, workers.in_order(Build(folder, project.name), spans), strict=True):
            for view, table in zip(built, taken(built.values()), strict=True):
                feature_tables.replace(tables / view, table.to_pandas(), span.since, span.until)
                rows[view] += len(table)
        return dict(rows)
