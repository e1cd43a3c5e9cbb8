"""The files of a version: its served form, its reference and holdout rows, whatever its run keeps."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING

import httpx

from stack.core import files
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.registry import _compat, rest
from stack.registry.registry import Version

if TYPE_CHECKING:
    from pandas import DataFrame

SERVED = "served"
HASHES = "stack.served"
"""Tag of a version: the SHA-256 of each file of its served form, a JSON object."""


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its path there."""
    digests = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def fetch(settings: Settings, version: Version, folder: Path) -> None:
    """Download a version's served form into a new or empty folder, whole or not at all."""
    download(settings, version, SERVED, folder)


def download(settings: Settings, version: Version, name: str, folder: Path) -> None:
    """Download an artifact folder of the version's run into `folder`: whole and on the disk, or not at all.

    Raises:
        StackError: the run has no such folder, or the served form is not the one that was registered.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with rest.client(settings) as client:
            root = _root(client, version)
            paths = list(_files(client, version.run_id, name))
            if not paths:
                raise StackError(
                    f"model {version.name}, version {version.version}, run {version.run_id}",
                    found=f"no artifacts below {name}/",
                    expected="a version that a training of the stack registered",
                    todo=f"make train PROJECT={version.name}",
                )
            for path in paths:
                target = aside / Path(path).relative_to(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                _save(client, root, path, target)
        if name == SERVED:
            _require_registered(version, hashes(aside))
        for written in (*aside.rglob("*"), aside):
            files.sync(written)
        # rename(2) replaces an empty folder in one step.
        aside.replace(folder)
        files.sync(folder.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def file(settings: Settings, version: Version, path: str) -> bytes:
    """Return the content of a file of the version's run."""
    with rest.client(settings) as client:
        answer = client.get(_compat.proxied(_root(client, version), path))
        rest.refuse(answer)
        return answer.content


def upload(settings: Settings, version: Version, name: str, files: Mapping[str, bytes]) -> None:
    """Add files to an artifact folder of the version's run."""
    with rest.client(settings) as client:
        root = _root(client, version)
        for file, content in files.items():
            rest.refuse(client.put(_compat.proxied(root, f"{name}/{file}"), content=content))


def reference(settings: Settings, version: Version) -> DataFrame:
    """Return a sample of the rows a version was trained on: features, label, predictions, event timestamp."""
    return _table(settings, version, "reference")


def holdout(settings: Settings, version: Version) -> DataFrame:
    """Return the holdout of a version's training: event, features, label, and the predictions before the refit."""
    return _table(settings, version, "holdout")


def _table(settings: Settings, version: Version, name: str) -> DataFrame:
    import pandas as pd  # 70 MB that the prediction service must not pay for

    with folder(settings, version, name) as downloaded:
        return pd.read_parquet(downloaded / f"{name}.parquet")


@contextmanager
def folder(settings: Settings, version: Version, name: str) -> Iterator[Path]:
    """Download an artifact folder of the version's run for the time of the context."""
    with TemporaryDirectory() as parent:
        downloaded = Path(parent) / name
        download(settings, version, name, downloaded)
        yield downloaded


def _require_registered(version: Version, found: Mapping[str, str]) -> None:
    """Refuse a served form of other content than was registered; a version of before the tag has no hashes."""
    recorded = json.loads(version.tags.get(HASHES, "{}"))
    for name in (name for name, digest in recorded.items() if found.get(name) != digest):
        raise StackError(
            f"model {version.name}, version {version.version}, run {version.run_id}, artifact {SERVED}/{name}",
            found=f"a damaged file, SHA-256 {found[name]}" if name in found else "no such file",
            expected=f"the file that was registered, SHA-256 {recorded[name]}",
            todo=f"run `make restore` with a backup from before the damage, or `make train PROJECT={version.name}`",
        )


def _root(client: httpx.Client, version: Version) -> str:
    """Return the artifact URI of the version's run."""
    run = rest.checked(client.get("mlflow/runs/get", params={"run_id": version.run_id}))["run"]
    return str(run["info"]["artifact_uri"])


def _files(client: httpx.Client, run_id: str, path: str) -> Iterator[str]:
    """Yield the paths of all files below an artifact folder of a run."""
    listed = rest.checked(client.get("mlflow/artifacts/list", params={"run_id": run_id, "path": path}))
    for entry in listed.get("files", []):
        if entry.get("is_dir"):
            yield from _files(client, run_id, entry["path"])
        else:
            yield entry["path"]


def _save(client: httpx.Client, root: str, path: str, target: Path) -> None:
    with client.stream("GET", _compat.proxied(root, path)) as answer, target.open("wb") as file:
        if answer.is_error:
            answer.read()
        rest.refuse(answer)
        for chunk in answer.iter_bytes():
            file.write(chunk)
