"""What a backup holds, in an order that makes it consistent while the stack works.

What refers to something is read before what it refers to, as state only grows in between: the mark of what is online
before the online values, these before the feature tables, all of them before the lake; predictions and runs before
the models and artifacts, and predictions before the files of older ones. So whatever an archive mentions is in it. What
it holds beyond that is work that the next run does again with the same result.

Left out are what the stack makes anew (generated configuration, logs, caches, the lake's working tree) and secrets.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from stack.core import saved
from stack.core.files import PARTIAL
from stack.core.settings import ROOT, Settings
from stack.features.feature_tables import MARK

ENV = ROOT / ".env"
CACHE = ".dvc/cache/files"
FORMER_PARTIAL = ".new"
"""Ending of a half-written file that an earlier release has left."""
LEFT_OUT = (".dvc/tmp/", ".dvc/cache/", ".dvc/config.local")
"""Of the lake: scratch, the cache (which has a part of its own) and what may hold a remote's password."""

WORKSPACE = "workspace"
"""Folder of the archive with the projects; as they are code, a restore does not write them."""
FOLDERS = {
    "features": "feature_tables",
    "older_predictions": "older_predictions",
    "reports": "reports",
    "pages": "pages",
    "docs": "data_docs",
    "quarantine": "quarantine",
}
"""Folder of the archive -> name of the setting with its path here."""
PARTS = ("databases", "secrets", saved.NAME, *FOLDERS, "artifacts", WORKSPACE)
LAKE = re.compile(
    r"lake/(\.dvcignore|\.gitignore|\.dvc/(config|\.gitignore|cache/files/md5/[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?)"
    r"|\.git/(HEAD|config|index|packed-refs|(logs/)?(HEAD|refs/(heads|tags)/[\w./-]+)"
    r"|objects/([0-9a-f]{2}/[0-9a-f]{38}|pack/pack-[0-9a-f]{40}\.(pack|idx|rev)))"
    r"|[a-z]\w*/(\d{4}-\d{2}/)?(\.gitignore|[\w-]+\.dvc))"
)
"""What git, DVC and an append write there: no hooks, no stages, no attributes, nothing else that a tool would run."""


def is_known(name: str) -> bool:
    """Return whether a backup has files of such a name."""
    return bool(LAKE.fullmatch(name)) or name.partition("/")[0] in PARTS


def is_restored(name: str) -> bool:
    """Return whether a restore unpacks files of such a name."""
    return is_known(name) and not name.startswith(f"{WORKSPACE}/")


@dataclass(frozen=True)
class Folder:
    """Files below a folder of the state, and the name of that folder in the archive."""

    name: str
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
    parts = [Folder(name, getattr(settings, setting)) for name, setting in FOLDERS.items()]
    artifacts = urlsplit(settings.artifacts)
    if artifacts.scheme in ("", "file"):  # an object store has its own copies
        parts.append(Folder("artifacts", Path(artifacts.path), verbatim=True))
    return parts


def workspace(settings: Settings) -> list[tuple[str, Path]]:
    """Return the files of the projects and of their Feast definitions."""
    parts = (settings.projects, settings.definitions)
    found = [pair for path in parts for pair in Folder(f"{WORKSPACE}/{path.name}", path, verbatim=True).files()]
    return [(name, path) for name, path in found if "__pycache__" not in path.parts]


def absent_projects(settings: Settings, names: Iterable[str]) -> list[str]:
    """Return the files and folders of projects in an archive, by their names there, that the workspace has not."""
    projects, definitions = (f"{WORKSPACE}/{path.name}/" for path in (settings.projects, settings.definitions))
    there = {name.split("/")[2] for name in names if name.startswith(projects)}
    absent = sorted(project for project in there if not (settings.projects / project).exists())
    defined = {*names} & {f"{definitions}{project}.py" for project in absent}
    return [*(f"{projects}{project}" for project in absent), *sorted(defined)]


def served_marks(settings: Settings) -> dict[str, bytes]:
    """How far each project's features are online; read first of all."""
    files = settings.feature_tables.glob(f"*/{MARK}")
    return {f"features/{path.parent.name}/{MARK}": path.read_bytes() for path in files}


def lake(settings: Settings) -> list[tuple[str, Path]]:
    """Return the lake without its data: git's repository and what DVC notes there. Hold the lake's lock."""
    root = settings.lake
    tracked = [
        (file.parent / out["path"]).relative_to(root).as_posix()
        for file in root.rglob("*.dvc")
        if file.is_file()
        for out in yaml.safe_load(file.read_text())["outs"]
    ]
    left_out = (*LEFT_OUT, *(f"{data}/" for data in tracked))  # the data is in DVC's cache
    files = Folder("lake", root, verbatim=True).files()
    return [
        (name, path)
        for name, path in files
        if is_known(name) and not name.removeprefix("lake/").startswith(left_out) and not name.endswith(".lock")
    ]


def lake_data(settings: Settings) -> list[tuple[str, Path]]:
    """Return the data of all versions: files of DVC's cache, which never change."""
    return list(Folder(f"lake/{CACHE}", settings.lake / CACHE, verbatim=True).files())


def _transient(path: Path) -> bool:
    """Return whether a file is a mark, which is archived first, or a file that the next start makes anew."""
    return path.name == MARK or path.name.endswith((".lock", PARTIAL, FORMER_PARTIAL))
