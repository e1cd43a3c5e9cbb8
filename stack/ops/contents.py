"""What a backup holds, in an order that makes it consistent while the stack works.

What refers to something is read before what it refers to, as state only grows in between: the mark of what is online
before the online values, these before the feature tables, all of them before the lake; predictions and runs before
the models and artifacts. So whatever an archive mentions is in it. What it holds beyond that is work that the next
run does again with the same result.

Left out are what the stack makes anew (generated configuration, logs, caches, the lake's working tree) and secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from stack.core.files import PARTIAL
from stack.core.settings import ROOT, Settings
from stack.features.feature_tables import MARK

ENV = ROOT / ".env"
CACHE = ".dvc/cache/files"
FORMER_PARTIAL = ".new"
"""Ending of a half-written file that an earlier release has left."""
LEFT_OUT = (".dvc/tmp/", ".dvc/cache/", ".dvc/config.local")
"""Of the lake: scratch, the cache (which has a part of its own) and what may hold a remote's password."""


@dataclass(frozen=True)
class Folder:
    """Files below one folder of the state."""

    name: str
    """The folder in the archive."""
    path: Path
    verbatim: bool = False
    """Any name may be a user's; else locks and half-written files are left out."""

    def files(self) -> Iterator[tuple[str, Path]]:
        """Name in the archive and path of each file."""
        for path in sorted(self.path.rglob("*")):
            if path.is_file() and not path.is_symlink() and (self.verbatim or not _transient(path)):
                yield f"{self.name}/{path.relative_to(self.path).as_posix()}", path


def folders(settings: Settings) -> list[Folder]:
    """Return the parts that are plain files and not the lake."""
    parts = [
        Folder("features", settings.feature_tables),
        Folder("reports", settings.reports),
        Folder("pages", settings.pages),
        Folder("docs", settings.data_docs),
        Folder("quarantine", settings.quarantine),
    ]
    artifacts = local_artifacts(settings)
    return [*parts, Folder("artifacts", artifacts, verbatim=True)] if artifacts else parts


def local_artifacts(settings: Settings) -> Path | None:
    """Return the folder of MLflow's artifacts; None where they are in an object store, which has its own copies."""
    url = urlsplit(settings.artifacts)
    return Path(url.path) if url.scheme in ("", "file") else None


def served_marks(settings: Settings) -> dict[str, bytes]:
    """How far each project's features are online; read first of all."""
    files = settings.feature_tables.glob(f"*/{MARK}")
    return {f"features/{path.parent.name}/{MARK}": path.read_bytes() for path in files}


def lake(settings: Settings) -> list[tuple[str, Path]]:
    """Return the lake without its data: git's repository and what DVC notes there. Hold the lake's lock."""
    root = settings.lake
    data = tuple(f"{folder}/" for folder in _tracked(root))
    files = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not name.startswith((*LEFT_OUT, *data)) and not name.endswith(".lock"):
            files.append((f"lake/{name}", path))
    return files


def lake_data(settings: Settings) -> list[tuple[str, Path]]:
    """Return the data of all versions: files of DVC's cache, which never change."""
    return list(Folder(f"lake/{CACHE}", settings.lake / CACHE, verbatim=True).files())


def _tracked(root: Path) -> Iterator[str]:
    """Files and folders that DVC restores from its cache."""
    for file in root.rglob("*.dvc"):
        if file.is_file():
            for out in yaml.safe_load(file.read_text())["outs"]:
                yield (file.parent / out["path"]).relative_to(root).as_posix()


def _transient(path: Path) -> bool:
    """Return whether a file is a mark, which is archived first, or one that the next start makes anew."""
    return path.name == MARK or path.name.endswith((".lock", PARTIAL, FORMER_PARTIAL))
