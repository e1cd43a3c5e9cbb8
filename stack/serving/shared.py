"""A file scored by the workers of a cluster, part by part, out of storage that they share with this machine.

What they need is in a hidden folder beside the target: the model, and the definitions of the features. They leave there
what they have scored. They are told no address and no password.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pyarrow as pa

from stack.core import code, files
from stack.core.workers import Workers
from stack.features import feature_tables, features
from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving import chunks
from stack.serving.rows import Rows, Scorer, shares
from stack.serving.served import ServedModel

MODEL, DEFINITIONS = "served", "registry.db"
Scored = Iterator[tuple[pa.Table, float]]
"""Scored rows, part by part, each with the share of all rows that is in it or before it."""


@dataclass(frozen=True)
class Job:
    """What scoring a part of a file takes, in any process that sees the folder."""

    token: str
    """Of this job alone."""
    rows: Rows = field(compare=False)
    folder: Path = field(compare=False)
    version: str = field(compare=False)
    correction: float = field(compare=False)

    def score(self, part: chunks.Part) -> Path:
        """Score a part; return the file with its rows, of a name that no other attempt has."""
        path = self.folder / f"{part.before}-{uuid4()}.arrow"
        table = _opened(self).score(chunks.load(part), part.before)
        with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(table)
        return path

    def scored(self, workers: Workers) -> Scored:
        """Yield the parts in order, each when it and those before it are scored; what is read is deleted."""
        parts = chunks.parts(self.rows.source)
        for path, share in zip(workers.in_order(self.score, parts), shares(parts), strict=True):
            with pa.memory_map(str(path)) as file:
                yield pa.ipc.open_file(file).read_all(), share
            path.unlink()


class Seen(NamedTuple):
    """What a process sees of a project and of shared storage."""

    code: str
    """Digest of the code and the project."""
    files: list[tuple[int, int] | None]
    """Size and time of change of each file; None where it is missing."""


def scored(
    scorer: Scorer,
    version: Version,
    project: Project,
    target: Path,
    workers: Workers | None,
    report: Callable[[str], object],
) -> Scored:
    """Yield the scored rows of a file in order: by the workers where they can read what they need, else here."""
    if workers is None or scorer.rows.is_csv:
        yield from scorer.scored()
        return
    with _folder(target) as folder:
        artifacts.download(project.settings, version, MODEL, folder / MODEL)
        features.record(features.store(project.settings), folder / DEFINITIONS)
        if missing := _missing(project, [folder, scorer.rows.source, feature_tables.folder(project)], workers):
            report(f"scored here: a worker of the cluster {missing}")
            yield from scorer.scored()
        else:
            job = Job(uuid4().hex, scorer.rows, folder, version.version, scorer.model.correction)
            yield from job.scored(workers)


def _missing(project: Project, places: list[Path], workers: Workers) -> str:
    """Return what a worker has not as this process has it; empty where all have."""
    paths = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.*")))]
    here = seen(project.name, paths)
    for other in workers.on_each(partial(seen, project.name, paths)):
        if other.code != here.code:
            return f"has other code in stack/, projects/{project.name}/ or feature_repo/"
        for path, own, its in zip(paths, here.files, other.files, strict=True):
            if own != its:
                return f"does not see {path} as it is here"
    return ""


def seen(project: str, paths: list[Path]) -> Seen:
    """Return what this process sees of a project's code, and of files."""
    stats = [path.stat() if path.exists() else None for path in paths]
    return Seen(code.digest(project), [(stat.st_size, stat.st_mtime_ns) if stat else None for stat in stats])


@contextmanager
def _folder(target: Path) -> Iterator[Path]:
    """Make a hidden folder beside the target, for the time of the context; what a killed run has left there is gone."""
    folder = files.partial(target.with_name(f"{target.name}.parts"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@lru_cache(maxsize=1)
def _opened(job: Job) -> Scorer:
    """Open model and definitions once in a process."""
    model, feast = ServedModel(job.folder / MODEL), features.recorded(job.folder / DEFINITIONS)
    model.correction = job.correction
    return Scorer(job.rows, partial(features.joined, feast, job.rows.spec), model, job.version)
