"""Write an archive of a home: databases, files, lake."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from filelock import FileLock, Timeout

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake import repository
from stack.ops import archive, contents, databases, versions
from stack.ops.archive import MIB, Manifest, Writer
from stack.ops.databases import Dumps
from stack.ops.runtime import Report

PREFIX = ".stack-backup-"
"""Of the folder beside the archive in which it is written."""


class Written(NamedTuple):
    """A finished archive."""

    file: Path
    summary: str


def write(
    settings: Settings,
    out: Path,
    at: datetime,
    report: Report,
    *,
    secrets: Path | None = None,
    dump: Callable[[Path], Dumps] | None = None,
) -> Written:
    """Write one archive of everything; it appears under its name when it is whole and has been read back.

    Args:
        settings: the stack.
        out: a folder, or the archive's own name ending in ``.tar.gz``.
        at: the instant of the wall clock, for name and manifest.
        report: receives each part.
        secrets: the ``.env`` to put in too.
        dump: puts dumps of the databases into a folder; by default those that the settings name are dumped.

    Returns:
        The archive, and one line about it.

    Raises:
        StackError: nothing to back up, no room, the name is taken, or another backup is at work.
    """
    if not versions.file(settings).exists():
        raise StackError(str(settings.home), found="no state of a stack", expected="one that has run", todo="make up")
    file = target(out, at)
    dump = dump or partial(databases.dump, settings)
    try:
        with FileLock(settings.home / "backup.lock", timeout=0), work_folder(settings, file) as folder:
            began = time.monotonic()
            _require_room(settings, folder)
            partial_file = folder / file.name
            with archive.create(partial_file, at.timestamp()) as writer:
                manifest = _fill(settings, writer, folder, at, report, secrets, dump)
                archive.finish(writer, manifest, at.timestamp())
            report("  reading it back")
            manifest = archive.verify(partial_file)
            partial_file.rename(file)
    except Timeout:
        raise StackError(
            str(settings.home), found="another backup at work", expected="one", todo="wait for its end"
        ) from None
    return Written(file, summary(file, manifest, time.monotonic() - began))


def summary(file: Path, manifest: Manifest, seconds: float) -> str:
    """Return one line about a finished backup."""
    packed = file.stat().st_size / MIB
    return f"{file}: {packed:.1f} MiB, of {manifest.size / MIB:.1f} MiB, in {seconds:.1f} s; {manifest.summary}"


def target(out: Path, at: datetime) -> Path:
    """Return the path of the archive, in a folder that is made; refuse one that exists."""
    file = (out if out.name.endswith(".tar.gz") else out / f"stack-{at:%Y%m%dT%H%M%SZ}.tar.gz").absolute()
    if file.exists():
        raise StackError(str(file), found="a file of this name", expected="none", todo="name another one with OUT=")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


@contextmanager
def work_folder(settings: Settings, file: Path) -> Iterator[Path]:
    """Give a folder beside the archive to work in; what a killed backup of this stack has left there is deleted."""
    stack = hashlib.sha256(f"{settings.name} {settings.home}".encode()).hexdigest()[:8]
    for left in file.parent.glob(f"{PREFIX}{stack}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(mkdtemp(prefix=f"{PREFIX}{stack}-", dir=file.parent))
    try:
        yield folder
    except OSError as error:
        raise StackError(
            str(file), found=str(error), expected="a disk that takes the archive", todo="name another folder: OUT="
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(
    settings: Settings,
    writer: Writer,
    folder: Path,
    at: datetime,
    report: Report,
    secrets: Path | None,
    dump: Callable[[Path], Dumps],
) -> Manifest:
    """Add every part in the order of `contents`."""
    marks = contents.served_marks(settings)
    dumps = dump(folder)
    for name in dumps.kinds:
        report(f"  database {name:<11} {writer.add(f'databases/{name}', folder / name) / MIB:8.1f} MiB")
        (folder / name).unlink()
    for name, content in marks.items():
        writer.add_bytes(name, content, at.timestamp())
    for part in contents.folders(settings):
        _add(writer, part.name, part.files(), report)
    if settings.lake.exists():
        with repository.opened(settings):
            data = contents.lake_data(settings)
            _add(writer, "lake", contents.lake(settings), report)
        _add(writer, "lake, data", data, report, required=True)
    if secrets and secrets.exists():
        _add(writer, "secrets", [("secrets/.env", secrets)], report)
    return Manifest(
        version=archive.VERSION,
        made_at=at.isoformat(),
        product=metadata.version("homelab-mlops"),
        versions=versions.stored(settings),
        databases=dumps.kinds,
        counts=dumps.counts,
    )


def _add(
    writer: Writer, part: str, files: Iterable[tuple[str, Path]], report: Report, *, required: bool = False
) -> None:
    """Add files; one that has been pruned since it was listed is gone, unless it is required."""
    count = size = 0
    for name, path in files:
        try:
            size += writer.add(name, path)
            count += 1
        except FileNotFoundError:
            if required:
                raise
    report(f"  {part:<20} {size / MIB:8.1f} MiB  {count:6,} files")


def _require_room(settings: Settings, folder: Path) -> None:
    """Refuse to begin what cannot end: all of it as it is, and each database once more as its dump."""
    files = [path for part in contents.folders(settings) for _, path in part.files()]
    files += [path for _, path in contents.lake_data(settings)]
    needed = 2 * databases.size(settings) + sum(path.stat().st_size for path in files if path.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StackError(
            str(folder),
            found=f"{free / MIB:,.0f} MiB free",
            expected=f"{needed / MIB:,.0f} MiB, should nothing compress",
            todo="free some space, or name another folder: make backup OUT=/mnt/disk",
        )
