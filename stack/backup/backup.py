"""Make an archive of the whole state while the stack runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from importlib import metadata
from pathlib import Path
from tempfile import mkdtemp

from filelock import FileLock, Timeout

from stack import repository
from stack.backup import archive, contents, databases
from stack.backup.archive import Manifest, Writer
from stack.errors import StackError
from stack.runtime import versions
from stack.settings import Settings

PARTIAL = ".stack-backup-"
MIB = 2**20
Say = Callable[[str], None]


def make(settings: Settings, out: Path, at: datetime, say: Say, *, secrets: bool = False) -> Path:
    """Write one archive of everything; it appears under its name when it is whole and has been read back.

    Args:
        settings: the stack.
        out: a folder, or the archive's own name ending in ``.tar.gz``.
        at: the instant of the wall clock, for name and manifest.
        say: is told each part.
        secrets: put ``.env`` in too.

    Returns:
        The archive.

    Raises:
        StackError: nothing to back up, no room, the name is taken, or another backup is at work.
    """
    target = _target(settings, out, at)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.home / "backup.lock", timeout=0)
    try:
        with lock:
            return _make(settings, target, at, say, secrets)
    except Timeout:
        raise StackError(
            str(settings.home), found="another backup at work", expected="one", todo="wait for its end"
        ) from None


def _make(settings: Settings, target: Path, at: datetime, say: Say, secrets: bool) -> Path:
    for left in target.parent.glob(f"{PARTIAL}*"):
        shutil.rmtree(left, ignore_errors=True)
    _require_room(settings, target.parent)
    began, aside = time.monotonic(), Path(mkdtemp(prefix=PARTIAL, dir=target.parent))
    try:
        made = aside / target.name
        with archive.create(made, at.timestamp()) as writer:
            manifest = _fill(settings, writer, aside, at, say, secrets)
            archive.finish(writer, manifest, at.timestamp())
        say("  reading it back")
        checked = archive.verify(made)
        made.rename(target)
    except OSError as error:
        raise StackError(
            str(target), found=str(error), expected="a disk that takes the archive", todo="name another folder: OUT="
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    size, unpacked = target.stat().st_size / MIB, checked.size / MIB
    say(f"{target}: {size:.1f} MiB, of {unpacked:.1f} MiB, in {time.monotonic() - began:.1f} s; {told(checked)}")
    return target


def told(manifest: Manifest) -> str:
    """Say what an archive holds, in one line."""
    live = ", ".join(f"{project} version {version}" for project, version in sorted(manifest.counts.champions.items()))
    return f"live: {live or 'none'}; {manifest.counts.runs} runs, {manifest.counts.predictions} predictions"


def _fill(settings: Settings, writer: Writer, aside: Path, at: datetime, say: Say, secrets: bool) -> Manifest:
    """Add every part in the order of `contents`."""
    marks = contents.marks(settings)
    dumped = {}
    for name, url in databases.urls(settings).items():
        kind = databases.KINDS[databases.kind(url)]
        if not kind.exists(url):
            continue
        dumped[name] = databases.kind(url)
        file = aside / name
        kind.dump(url, file)
        say(f"  database {name:<11} {writer.add(f'databases/{name}', file) / MIB:8.1f} MiB")
    counts = databases.counts(*(_readable(settings, aside, name) for name in ("mlflow", "state")))
    for name in dumped:
        (aside / name).unlink()
    for name, content in marks.items():
        writer.add_bytes(name, content, at.timestamp())
    for folder in contents.folders(settings):
        _add(writer, folder.name, folder.files(), say)
    if settings.lake.exists():
        with repository.opened(settings):
            data = contents.lake_data(settings)
            _add(writer, "lake", contents.lake(settings), say)
        _add(writer, "lake, data", data, say, required=True)
    if secrets and contents.ENV.exists():
        _add(writer, "secrets", [("secrets/.env", contents.ENV)], say)
    return Manifest(
        version=archive.VERSION,
        made_at=at.isoformat(),
        product=metadata.version("homelab-mlops"),
        versions=versions.stored(settings),
        databases=dumped,
        counts=counts,
    )


def _add(writer: Writer, part: str, files: Iterable[tuple[str, Path]], say: Say, *, required: bool = False) -> None:
    """Add files; one that has been pruned since it was listed is gone, unless it is required."""
    count = size = 0
    for name, path in files:
        try:
            size += writer.add(name, path)
            count += 1
        except FileNotFoundError:
            if required:
                raise
    say(f"  {part:<20} {size / MIB:8.1f} MiB  {count:6,} files")


def _readable(settings: Settings, aside: Path, name: str) -> str:
    """URL to count in: of the dump where it is a database itself, else of the server."""
    url = databases.urls(settings)[name]
    return f"sqlite:///{aside / name}" if databases.kind(url) == "sqlite" else url


def _target(settings: Settings, out: Path, at: datetime) -> Path:
    """The archive's name; refuse one that is taken, and a stack without state."""
    target = out if out.name.endswith(".tar.gz") else out / f"stack-{at:%Y%m%dT%H%M%SZ}.tar.gz"
    if target.exists():
        raise StackError(str(target), found="a file of this name", expected="none", todo="name another one with OUT=")
    if not versions.file(settings).exists():
        raise StackError(str(settings.home), found="no state of a stack", expected="one that has run", todo="make up")
    return target.absolute()


def _require_room(settings: Settings, folder: Path) -> None:
    """Refuse to begin what cannot end: all of it as it is, and each database once more as its dump."""
    urls = [url for url in databases.urls(settings).values() if databases.KINDS[databases.kind(url)].exists(url)]
    dumps = sum(databases.KINDS[databases.kind(url)].size(url) for url in urls)
    files = [path for part in contents.folders(settings) for _, path in part.files()]
    files += [path for _, path in contents.lake_data(settings)]
    needed = 2 * dumps + sum(path.stat().st_size for path in files if path.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StackError(
            str(folder),
            found=f"{free / MIB:,.0f} MiB free",
            expected=f"{needed / MIB:,.0f} MiB, should nothing compress",
            todo="free some space, or name another folder: make backup OUT=/mnt/disk",
        )
