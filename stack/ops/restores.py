"""What a restore does in every runtime: refuse what cannot be read, and put files where they belong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.version import Version

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake import repository
from stack.ops import archive, contents, versions
from stack.ops.archive import Manifest

MIGRATED = ("mlflow", "prefect")
"""Tools whose databases go forward with their versions, and never back."""


def put_files(
    settings: Settings, file: Path, manifest: Manifest, load: Callable[[Path], None] = lambda _: None
) -> None:
    """Unpack a verified archive and put its folders into a home without state; a killed one is not taken for whole.

    Args:
        settings: of the stack.
        file: the archive.
        manifest: what it holds.
        load: given the folder with the unpacked archive, fills the databases.
    """
    with versions.unfinished(settings) as aside:
        archive.extract(file, aside, manifest)
        load(aside)
        _place(settings, aside)
        _check_out(settings)
        versions.write(settings, manifest.versions)


def require_readable(file: Path, manifest: Manifest, ours: Mapping[str, str]) -> None:
    """Refuse what cannot be read here: a newer layout, databases of newer tools or of another kind.

    Args:
        file: the archive.
        manifest: what it holds.
        ours: the databases here, name -> kind.
    """
    installed = versions.current()
    newer = [
        f"{name} {manifest.versions[name]}, installed {installed[name]}"
        for name in MIGRATED
        if name in manifest.versions and Version(str(manifest.versions[name])) > Version(str(installed[name]))
    ]
    if int(manifest.versions.get("layout", 0)) > versions.LAYOUT:
        newer.append(f"state of layout {manifest.versions['layout']}")
    if newer:
        raise StackError(
            str(file),
            found=f"written by newer versions: {'; '.join(newer)}",
            expected="these versions or older ones, as databases cannot be migrated back",
            todo=f"check out the code that wrote it: git checkout {manifest.versions.get('code', manifest.product)}",
        )
    other = [f"{name} from {kind}" for name, kind in manifest.databases.items() if ours.get(name) != kind]
    if other:
        raise StackError(
            str(file),
            found=", ".join(other),
            expected=f"dumps of {', '.join(sorted(set(ours.values())))}, as the runtime here has them",
            todo="restore in the runtime that the archive comes from: RUNTIME=local or RUNTIME=compose",
        )


def require_secrets(file: Path, manifest: Manifest, *, wanted: bool) -> None:
    """Refuse to restore secrets that the archive lacks, or over those that are there."""
    if not wanted:
        return
    if "secrets/.env" not in manifest.members:
        raise StackError(
            str(file), found="no secrets", expected="an archive made with SECRETS=1", todo="leave SECRETS out"
        )
    if contents.ENV.exists():
        raise StackError(
            str(contents.ENV), found="a file of this name", expected="none", todo="move it away, or leave SECRETS out"
        )


def write_secrets(file: Path, manifest: Manifest) -> None:
    """Write ``.env`` from a verified archive."""
    with TemporaryDirectory() as folder:
        archive.extract(file, Path(folder), manifest, below="secrets/")
        shutil.move(Path(folder) / "secrets/.env", contents.ENV)


def _place(settings: Settings, aside: Path) -> None:
    """Move the folders from aside to where the settings want them."""
    places = {folder.name: folder.path for folder in contents.folders(settings)}
    for name, path in {**places, "lake": settings.lake}.items():
        if (aside / name).exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(aside / name, path)


def _check_out(settings: Settings) -> None:
    """Give the lake its working tree again, and the folders of git that have no files."""
    if not settings.lake.exists():
        return
    for folder in ("refs/heads", "objects/pack"):
        (settings.lake / ".git" / folder).mkdir(parents=True, exist_ok=True)
    with repository.opened(settings) as repo:
        repo.checkout(force=True)
