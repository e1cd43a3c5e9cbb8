"""Backup and restore of the home, with the databases that the settings name."""

from datetime import datetime
from pathlib import Path

from stack.core.disk import MIB
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.ops import backups, contents, databases, versions
from stack.ops.archive import Manifest
from stack.ops.local import supervisor
from stack.ops.local.supervisor import Supervisor


def backup(settings: Settings, out: Path, at: datetime, report: Reporter, *, secrets: Path | None = None) -> Path:
    """Write an archive of everything and return its path."""
    file = backups.target(out, at)
    backups.create(settings, file, at, report, secrets=secrets)
    return file


def restore(
    settings: Settings, file: Path, at: datetime, report: Reporter, *, replace: bool = False, secrets: bool = False
) -> Manifest:
    """Replace the state by what an archive holds, below whatever home and on whatever ports the settings name.

    Raises:
        StackError: the archive is not whole, not ours or too new; the stack runs; the home is not empty or too small.
            Nothing has been changed then.
    """
    places = databases.files(settings)
    databases.require_sqlite(settings)
    manifest = backups.read_manifest(file, dict.fromkeys(places, databases.KIND), report, secrets=secrets)
    daemon = Supervisor(settings)
    if daemon.alive() or daemon.leftovers():
        raise StackError(
            supervisor.address(settings), found="the stack runs", expected="a stopped stack", todo="make down"
        )
    occupied = _occupied(settings)
    if occupied and not replace:
        raise StackError(
            ", ".join(str(path) for path in occupied),
            found="state that the archive would replace",
            expected="an empty home",
            todo="name another STACK_HOME, or move the old state aside: make restore FILE=... YES=1",
        )
    disk = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    backups.require_room(disk, manifest.size, " for what the archive holds", "another STACK_HOME")
    for path in occupied:
        report(f"  moved {path} to {_move_aside(path, at)}")

    def load(unpacked: Path) -> None:
        report(f"  unpacked {len(manifest.members):,} files, {manifest.size / MIB:.1f} MiB")
        databases.put(settings, file, manifest, unpacked)

    backups.put_files(settings, file, manifest, load)
    if secrets:
        backups.write_secrets(file, manifest)
    backups.say_absent_projects(settings, file, manifest, report)
    report(f"restored {settings.home} as of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC; {manifest.summary}")
    return manifest


def _occupied(settings: Settings) -> list[Path]:
    """Return the files and folders that an archive goes to and that are not empty.

    A restore that was broken off does not count, nor what a new disk comes with.
    """
    outside = [*databases.files(settings).values(), *(folder.path for folder in contents.folders(settings))]
    places = [settings.home, *(path for path in outside if not path.is_relative_to(settings.home))]
    names = {place: {path.name for path in place.iterdir()} for place in places if place.is_dir()}
    return [
        place for place in places if place.is_file() or names.get(place, set()) - {versions.UNFINISHED, "lost+found"}
    ]


def _move_aside(path: Path, at: datetime) -> Path:
    try:
        return path.rename(path.with_name(f"{path.name}.before-{at:%Y%m%dT%H%M%SZ}"))
    except OSError as error:
        raise StackError(
            str(path),
            found=f"it cannot be renamed: {error}",
            expected="a folder that is no mount point",
            todo="empty it",
        ) from None
