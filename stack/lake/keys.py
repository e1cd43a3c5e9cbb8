"""The hashes of the keys of all rows in the lake: a repeated row is refused without reading the lake again."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from dvc.repo import Repo

from stack.core.errors import StackError
from stack.lake import contents, history, repository
from stack.specification.specs import ProjectSpec

Hashes = np.ndarray[Any, np.dtype[np.int64]]
CHUNK = 100_000
"""Hashes of which there are Python objects at a time."""
SCHEMA = "CREATE TABLE seen (hash INTEGER PRIMARY KEY); CREATE TABLE state (version TEXT NOT NULL)"


def check(repo: Repo, spec: ProjectSpec, content: Mapping[str, pa.Table], batch: str) -> list[Hashes]:
    """Refuse a batch with keys that the lake has already; return the hashes of its keys."""
    new: list[Hashes] = []
    with closing(_current(repo, spec)) as index:
        for name, table in spec.tables.items():
            frame = content[name].select(table.identity).to_pandas()
            hashes = _hashes(frame, name)
            known = frame[np.isin(hashes, list(_seen(index, hashes)))]
            if len(known):
                raise StackError(
                    f"batch {batch} of {spec.name}, table {name}",
                    found=f"{len(known)} rows that the lake already has, one with {contents.first_key(known, table)}",
                    expected="rows with new keys",
                    todo="see whether the source delivers a window twice",
                )
            new.append(hashes)
    return new


def remember(repo: Repo, spec: ProjectSpec, new: Iterable[Hashes]) -> None:
    """Store the hashes for the next append, as those of the present version of the data."""
    with closing(sqlite3.connect(_file(repo, spec))) as index:
        _add(index, new, _version(repo, spec))


def forget(repo: Repo, project: str) -> None:
    """Delete the hashes of a project that was removed."""
    for path in repository.scratch(repo).glob(f"keys-{project}.db*"):
        path.unlink()


def _current(repo: Repo, spec: ProjectSpec) -> sqlite3.Connection:
    """Open the stored hashes; those of another version of the data, or unreadable ones, are rebuilt."""
    path, version = _file(repo, spec), _version(repo, spec)
    index = sqlite3.connect(path)
    with suppress(sqlite3.DatabaseError):
        if index.execute("SELECT version FROM state").fetchall() == [(version,)]:
            return index
    index.close()
    for stale in path.parent.glob(f"{path.name}*"):
        stale.unlink()
    index = sqlite3.connect(path)
    index.executescript(SCHEMA)
    files = repository.snapshot(repo, spec.name, "HEAD").items()
    frames = (
        (repository.frame([file], spec.tables[name].identity, only=True), name)
        for (name, _), file in files
        if name in spec.tables
    )
    _add(index, (_hashes(frame, name) for frame, name in frames), version)
    return index


def _seen(index: sqlite3.Connection, hashes: Hashes) -> Iterator[int]:
    """Yield the hashes that the index has."""
    query = "SELECT hash FROM seen WHERE hash IN (SELECT value FROM json_each(?))"
    for start in range(0, len(hashes), CHUNK):
        yield from (seen for (seen,) in index.execute(query, [json.dumps(hashes[start : start + CHUNK].tolist())]))


def _add(index: sqlite3.Connection, new: Iterable[Hashes], version: str) -> None:
    """Add the hashes that make the index that of a version of the data."""
    for hashes in map(np.sort, new):  # in order, SQLite fills a page after the other
        for start in range(0, len(hashes), CHUNK):
            keys = ((key,) for key in hashes[start : start + CHUNK].tolist())
            index.executemany("INSERT OR IGNORE INTO seen VALUES (?)", keys)
    index.execute("DELETE FROM state")
    index.execute("INSERT INTO state VALUES (?)", [version])
    index.commit()


def _version(repo: Repo, spec: ProjectSpec) -> str:
    """Identify the source of the hashes: git's hash of all that DVC tracks of the project, and the hashed columns."""
    tree = history.entry(repo.scm, "HEAD", spec.name)
    columns = {name: table.identity for name, table in spec.tables.items()}
    return json.dumps([tree.sha if tree else None, columns])


def _hashes(frame: pd.DataFrame, name: str) -> Hashes:
    """Return 64-bit hashes: a million keys have two equal ones once in 37 million times."""
    salt = np.frombuffer(hashlib.blake2b(name.encode(), digest_size=8).digest(), dtype=np.uint64)
    return (np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64) ^ salt).view(np.int64)


def _file(repo: Repo, spec: ProjectSpec) -> Path:
    return repository.scratch(repo) / f"keys-{spec.name}.db"
