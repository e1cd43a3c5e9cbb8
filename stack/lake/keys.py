"""The keys of all rows in the lake, as hashes: a row that comes twice is refused without reading the lake again."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from dvc.repo import Repo

from stack.core.errors import StackError
from stack.lake import repository
from stack.lake.repository import Snapshot
from stack.specification.specs import ProjectSpec, Table

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def identity(table: Table) -> list[str]:
    """Columns that identify a row of the lake: a key of a snapshot may come again later, with other values."""
    return [*table.key, table.available_at] if table.snapshot else table.key


def check(
    repo: Repo, known: Snapshot, spec: ProjectSpec, content: Mapping[str, pa.Table], batch: str
) -> dict[str, Hashes]:
    """Refuse a batch with keys that the lake has already.

    Returns:
        Table -> hashes of all its keys, old and new, ascending.
    """
    seen = _recall(repo, known, spec) or {name: _stored(known, name, spec) for name in spec.tables}
    for name, table in spec.tables.items():
        frame = content[name].select(identity(table)).to_pandas()
        new = _hashes(frame)
        twice = np.searchsorted(seen[name], new, side="right") > np.searchsorted(seen[name], new)
        if twice.any():
            first = ", ".join(f"{column} {frame.loc[twice, column].iloc[0]}" for column in table.key)
            raise StackError(
                f"batch {batch} of {spec.name}, table {name}",
                found=f"{twice.sum()} rows that the lake already has, one with {first}",
                expected="rows with new keys",
                todo="see whether the source delivers a window twice",
            )
        new.sort()
        seen[name] = np.insert(seen[name], np.searchsorted(seen[name], new), new)
    return seen


def remember(repo: Repo, spec: ProjectSpec, seen: Mapping[str, Hashes]) -> None:
    """Keep the hashes for the next append, with the version of the data that they belong to."""
    version = repository.version(repo, spec.name, repo.scm.get_rev())
    arrays: dict[str, Any] = {f"table {name}": hashes for name, hashes in seen.items()}
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, version=np.array(version), **arrays)
    repository.write(_file(repo, spec), lambda new: new.write_bytes(buffer.getvalue()))


def _recall(repo: Repo, known: Snapshot, spec: ProjectSpec) -> dict[str, Hashes] | None:
    """The kept hashes; None when they are of another version of the data, or unreadable."""
    try:
        with np.load(_file(repo, spec)) as kept:
            if str(kept["version"]) == known.version:
                return {name: kept[f"table {name}"] for name in spec.tables}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        pass
    return None


def _stored(known: Snapshot, name: str, spec: ProjectSpec) -> Hashes:
    files = [path for (table, _), path in known.files.items() if table == name]
    return np.sort(_hashes(repository.frame(files, identity(spec.tables[name]), only=True)))


def _hashes(frame: pd.DataFrame) -> Hashes:
    """64-bit hashes: among a million keys two are alike once in 37 million times."""
    return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)


def _file(repo: Repo, spec: ProjectSpec) -> Path:
    return Path(repo.tmp_dir, f"keys-{spec.name}.npz")
