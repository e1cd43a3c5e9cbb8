"""A file scored by the workers of a cluster, part by part, out of storage that they share with this machine.

What they need is in a hidden folder beside the target: the model, and the definitions of the features. They leave there
what they have scored. They are sent no address and no password.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import pyarrow as pa

from stack.core import shared
from stack.core.notices import Reporter
from stack.core.workers import Workers
from stack.features import feature_tables, features
from stack.features import remote as parts
from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving import chunks
from stack.serving.rows import Rows, Scorer, shares
from stack.serving.served import ServedModel

MODEL = "served"
Scored = Iterator[tuple[pa.Table, float]]
"""Scored rows, part by part, each with the share of all rows that is in it or before it."""


@dataclass(frozen=True)
class Job:
    """What scoring a part of a file takes, in any process that sees the folder."""

    folder: Path
    """Of this job alone, with the model and the definitions of the features."""
    rows: Rows = field(compare=False)
    version: str = field(compare=False)
    correction: float = field(compare=False)

    def score(self, part: chunks.Part) -> Path:
        """Score a part; return the file with its rows, of a name that no other attempt has."""
        return parts.write(_opened(self).score(chunks.load(part), part.before), self.folder)

    def scored(self, workers: Workers) -> Scored:
        """Yield the parts in order, each when it and those before it are scored; what is read is deleted."""
        of_file = chunks.parts(self.rows.source)
        yield from zip(parts.taken(workers.in_order(self.score, of_file)), shares(of_file), strict=True)


def scored(
    scorer: Scorer,
    version: Version,
    project: Project,
    target: Path,
    workers: Workers | None,
    report: Reporter,
) -> Scored:
    """Yield the scored rows of a file in order: by the workers where they can read what they need, else here."""
    if workers is None or scorer.rows.is_csv:
        yield from scorer.scored()
        return
    with shared.folder(target) as folder:
        artifacts.download(project.settings, version, MODEL, folder / MODEL)
        features.record(features.store(project.settings), folder / parts.DEFINITIONS)
        places = [folder, scorer.rows.source, feature_tables.folder(project)]
        if missing := shared.missing(project.name, places, workers):
            report(f"scored here: a worker of the cluster {missing}")
            yield from scorer.scored()
        else:
            job = Job(folder, scorer.rows, version.version, scorer.model.correction)
            yield from job.scored(workers)


@lru_cache(maxsize=1)
def _opened(job: Job) -> Scorer:
    """Open model and definitions once in a process."""
    model = ServedModel(job.folder / MODEL)
    model.correction = job.correction
    return Scorer(job.rows, partial(features.joined, parts.store(job.folder), job.rows.spec), model, job.version)
