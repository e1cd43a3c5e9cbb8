"""Try an archive out: restore it into a scratch folder, and compare what came back with what the archive says."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from sqlalchemy import NullPool, create_engine, select, text

from stack.core import disk
from stack.core.database import predictions
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.lake import integrity
from stack.ops import archive, backups, databases, servers
from stack.ops.archive import Manifest
from stack.serving.served import ServedModel
from stack.specification import tasks

PREFIX = ".rehearsal-"
ROWS = 50
"""Logged answers of each champion that it has to give again."""
RUN = text("SELECT run_id FROM model_versions WHERE name = :name AND version = :version")


def rehearse(stack: Settings, file: Path, report: Reporter) -> None:
    """Restore an archive below the home and compare; nothing of it is left there.

    Raises:
        StackError: what does not come back as it was.
    """
    manifest = archive.verify(file)
    needed = manifest.size + disk.RESERVE
    backups.require_room(stack.home, needed, " for trying out a restore, and the reserve", "another STACK_HOME")
    with _scratch(stack) as scratch:
        backups.put_files(scratch, file, manifest, partial(_load, scratch, file, manifest))
        for problem in integrity.check(scratch):
            raise problem
        for name, version in manifest.counts.champions.items():
            same = _require_same_answers(stack if servers.used(stack) else scratch, scratch, name, version)
            report(f"  {name} version {version} loads; {same}")
    report(f"{file} can be restored: {len(manifest.members):,} files, {manifest.summary}")


@contextmanager
def _scratch(stack: Settings) -> Iterator[Settings]:
    """Give a home for the time of the context, and delete those that a killed rehearsal has left."""
    for leftover in stack.home.glob(f"{PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(mkdtemp(prefix=PREFIX, dir=stack.home))
    try:
        yield Settings(home=folder / "home", workspace=stack.workspace)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _load(scratch: Settings, file: Path, manifest: Manifest, unpacked: Path) -> None:
    """Open the databases of an unpacked archive; the dumps of a server are read whole, as there is no other server."""
    if servers.KIND in manifest.databases.values():
        for name in manifest.databases:
            servers.check(unpacked / "databases" / name)
    else:
        databases.put(scratch, file, manifest, unpacked)


def _require_same_answers(source: Settings, scratch: Settings, name: str, version: str) -> str:
    """Load a champion from restored files and compare its answers with those in the log; say how many.

    The databases are those of `source`.
    """
    with create_engine(source.mlflow_database, poolclass=NullPool).connect() as connection:
        run = connection.execute(RUN, {"name": name, "version": version}).scalar_one()
    found = list(Path(scratch.artifacts).glob(f"*/{run}/artifacts/served"))
    if not found:
        raise StackError(
            f"{name} version {version}, run {run}", found="no served form", expected="its artifacts in the archive"
        )
    model = ServedModel(found[0])
    task = tasks.answering(model.contract.task, model.outputs)
    logged = [row for row in _logged(source, name, version) if row[0].keys() >= model.columns.keys()]
    if not logged:
        return "no answer of it is logged"
    given = model.predict({column: [features[column] for features, _ in logged] for column in model.columns})
    before = np.array([[task.columns(answer)[output] for output in task.outputs] for _, answer in logged])
    different = int((~np.isclose(given, before, rtol=1e-5, atol=1e-7, equal_nan=True)).any(axis=1).sum())
    if different:
        raise StackError(
            f"{name} version {version}",
            found=f"{different} of {len(logged)} logged answers differ from those of the restored model",
            expected="the same answers",
            todo="compare the packages with those that trained it: make doctor",
        )
    return f"{len(logged)} logged answers are the same"


def _logged(source: Settings, name: str, version: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    columns = predictions.c.features, predictions.c.answer
    of_version = predictions.c.project == name, predictions.c.model_version == version
    query = select(*columns).where(*of_version).order_by(predictions.c.asked_at.desc()).limit(ROWS)
    with create_engine(source.state_database, poolclass=NullPool).connect() as connection:
        return [(row.features, row.answer) for row in connection.execute(query)]
