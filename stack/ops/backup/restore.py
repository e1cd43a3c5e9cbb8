"""Bring an archive back: check it whole, unpack it aside, and only then put it where the state belongs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from packaging.version import Version

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake import repository
from stack.ops import supervisor, versions
from stack.ops.backup import archive, contents, databases
from stack.ops.backup.archive import Manifest
from stack.ops.backup.backup import MIB, Say, told
from stack.ops.supervisor import Supervisor

MIGRATED = ("mlflow", "prefect")
"""Tools whose databases go forward with their versions, and never back."""


def bring_back(
    settings: Settings, file: Path, at: datetime, say: Say, *, replace: bool = False, secrets: bool = False
) -> Manifest:
    """Make the state what an archive holds, below whatever home and on whatever ports the settings name.

    Args:
        settings: the stack, which must not run.
        file: the archive.
        at: the instant of the wall clock, which names what is moved aside.
        say: is told each step.
        replace: move the state that is there aside instead of refusing.
        secrets: write ``.env`` from the archive.

    Returns:
        What has been restored.

    Raises:
        StackError: the archive is not whole, not ours or too new; the stack runs; the home is not empty or too small.
            Nothing has been changed then.
    """
    say(f"checking {file}")
    manifest = archive.verify(file)
    require_readable(file, manifest, {name: databases.kind(url) for name, url in databases.urls(settings).items()})
    _require_stopped(settings)
    require_secrets(file, manifest, wanted=secrets)
    occupied = _occupied(settings)
    if occupied and not replace:
        raise StackError(
            ", ".join(str(path) for path in occupied),
            found="state that the archive would replace",
            expected="an empty home",
            todo="name another STACK_HOME, or move the old state aside: make restore FILE=... YES=1",
        )
    _require_room(settings, manifest)
    for path in occupied:
        say(f"  moved {path} to {_move_aside(path, at)}")
    with versions.unfinished(settings) as aside:
        archive.extract(file, aside, manifest)
        say(f"  unpacked {len(manifest.members):,} files, {manifest.size / MIB:.1f} MiB")
        _load(settings, aside, manifest)
        _place(settings, aside)
        _check_out(settings)
        versions.write(settings, manifest.versions)
        if secrets:
            shutil.move(aside / "secrets/.env", contents.ENV)
    say(f"restored {settings.home} as of {manifest.made_at}; {told(manifest)}")
    return manifest


def put_files(settings: Settings, file: Path, manifest: Manifest) -> None:
    """Unpack a verified archive and put all but its databases into a home without state."""
    with versions.unfinished(settings) as aside:
        archive.extract(file, aside, manifest)
        _place(settings, aside)
        _check_out(settings)
        versions.write(settings, manifest.versions)


def _place(settings: Settings, aside: Path) -> None:
    """Move the folders from aside to where the settings want them."""
    places = {folder.name: folder.path for folder in contents.folders(settings)}
    for name, path in {**places, "lake": settings.lake}.items():
        if (aside / name).exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(aside / name, path)


def _load(settings: Settings, aside: Path, manifest: Manifest) -> None:
    """Fill the databases, and see that they hold what the archive says."""
    urls = databases.urls(settings)
    for name, kind in manifest.databases.items():
        databases.KINDS[kind].load(aside / "databases" / name, urls[name])
    found = databases.counts(settings.mlflow_database, settings.state_database)
    if found != manifest.counts:
        raise StackError(str(settings.home), found=str(found), expected=f"what the archive says: {manifest.counts}")


def _check_out(settings: Settings) -> None:
    """Give the lake its working tree again, and the folders of git that have no files."""
    if not settings.lake.exists():
        return
    for folder in ("refs/heads", "objects/pack"):
        (settings.lake / ".git" / folder).mkdir(parents=True, exist_ok=True)
    with repository.opened(settings) as repo:
        repo.checkout(force=True)


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


def _require_stopped(settings: Settings) -> None:
    daemon = Supervisor(settings)
    if daemon.alive() or daemon.leftovers():
        raise StackError(
            supervisor.address(settings), found="the stack runs", expected="a stopped stack", todo="make down"
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


def _occupied(settings: Settings) -> list[Path]:
    """Places that an archive goes to and that are not empty."""
    outside = [Path(url.partition(":///")[2]) for url in databases.urls(settings).values() if ":///" in url]
    outside += [folder.path for folder in contents.folders(settings)]
    places = [settings.home, *(path for path in outside if not path.is_relative_to(settings.home))]
    return [path for path in places if path.is_file() or (path.is_dir() and any(_content(path)))]


def _content(folder: Path) -> Iterator[Path]:
    """What counts in a folder: neither a restore that was broken off nor what a new disk comes with."""
    return (path for path in folder.iterdir() if path.name not in (versions.UNFINISHED, "lost+found"))


def _move_aside(path: Path, at: datetime) -> Path:
    kept = path.with_name(f"{path.name}.before-{at:%Y%m%dT%H%M%SZ}")
    try:
        return path.rename(kept)
    except OSError as error:
        raise StackError(
            str(path),
            found=f"it cannot be renamed: {error}",
            expected="a folder that is no mount point",
            todo="empty it",
        ) from None


def _require_room(settings: Settings, manifest: Manifest) -> None:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free < manifest.size:
        raise StackError(
            str(folder),
            found=f"{free / MIB:,.0f} MiB free",
            expected=f"{manifest.size / MIB:,.0f} MiB for what the archive holds",
            todo="free some space, or name another STACK_HOME",
        )
