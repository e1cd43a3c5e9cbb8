"""Backup and restore of the home, with the databases that the settings name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import archive, backups, contents, databases, restores, versions
from stack.ops.archive import MIB, Manifest
from stack.ops.local import supervisor
from stack.ops.local.supervisor import Supervisor
from stack.ops.runtime import Report


def backup(settings: Settings, out: Path, at: datetime, report: Report, *, secrets: Path | None = None) -> Path:
    """Write one archive of everything, as :func:`stack.ops.backups.write` does."""
    written = backups.write(settings, out, at, report, secrets=secrets)
    report(written.summary)
    return written.file


def restore(
    settings: Settings, file: Path, at: datetime, report: Report, *, replace: bool = False, secrets: bool = False
) -> Manifest:
    """Replace the state by what an archive holds, below whatever home and on whatever ports the settings name.

    Args:
        settings: the stack, which must not run.
        file: the archive.
        at: the instant of the wall clock, which names what is moved aside.
        report: receives each step.
        replace: move the state that is there aside instead of refusing.
        secrets: write ``.env`` from the archive.

    Returns:
        What has been restored.

    Raises:
        StackError: the archive is not whole, not ours or too new; the stack runs; the home is not empty or too small.
            Nothing has been changed then.
    """
    report(f"checking {file}")
    manifest = archive.verify(file)
    restores.require_readable(
        file, manifest, {name: databases.kind(url) for name, url in databases.urls(settings).items()}
    )
    _require_stopped(settings)
    restores.require_secrets(file, manifest, wanted=secrets)
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
        report(f"  moved {path} to {_move_aside(path, at)}")

    def load(unpacked: Path) -> None:
        report(f"  unpacked {len(manifest.members):,} files, {manifest.size / MIB:.1f} MiB")
        _load(settings, unpacked, manifest)

    restores.put_files(settings, file, manifest, load)
    if secrets:
        restores.write_secrets(file, manifest)
    report(f"restored {settings.home} as of {manifest.made_at}; {manifest.summary}")
    return manifest


def _load(settings: Settings, aside: Path, manifest: Manifest) -> None:
    """Fill the databases, and see that they hold what the archive says."""
    urls = databases.urls(settings)
    for name, kind in manifest.databases.items():
        databases.KINDS[kind].load(aside / "databases" / name, urls[name])
    counts = databases.counts(settings.mlflow_database, settings.state_database)
    if counts != manifest.counts:
        raise StackError(str(settings.home), found=str(counts), expected=f"what the archive says: {manifest.counts}")


def _require_stopped(settings: Settings) -> None:
    daemon = Supervisor(settings)
    if daemon.alive() or daemon.leftovers():
        raise StackError(
            supervisor.address(settings), found="the stack runs", expected="a stopped stack", todo="make down"
        )


def _occupied(settings: Settings) -> list[Path]:
    """Places that an archive goes to and that are not empty."""
    outside = [Path(url.partition(":///")[2]) for url in databases.urls(settings).values() if ":///" in url]
    outside += [folder.path for folder in contents.folders(settings)]
    places = [settings.home, *(path for path in outside if not path.is_relative_to(settings.home))]
    return [path for path in places if path.is_file() or (path.is_dir() and any(_content(path)))]


def _content(folder: Path) -> Iterator[Path]:
    """Return what counts in a folder: neither a restore that was broken off nor what a new disk comes with."""
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
