"""Archives of a home: writing its databases, files and lake, and putting what an archive holds into place."""

import hashlib
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from types import ModuleType

from packaging.version import Version

from stack.core import disk, saved
from stack.core.disk import MIB
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.core.version import version
from stack.lake import foreign, repository
from stack.ops import archive, contents, databases, integrity, servers, versions
from stack.ops.archive import Manifest, Writer
from stack.ops.databases import Dumps

PREFIX = ".stack-backup-"
"""Of the folder beside the archive in which it is written."""


def target(out: Path, at: datetime) -> Path:
    """Return the path of a new archive: in the folder `out`, or `out` itself where it ends in ``.tar.gz``."""
    file = (out if out.name.endswith(".tar.gz") else out / f"stack-{at:%Y%m%dT%H%M%SZ}.tar.gz").absolute()
    if file.exists():
        raise StackError(str(file), found="a file of this name", expected="none", todo="name another one with OUT=")
    return file


def tag(settings: Settings) -> str:
    """Return what tells the files of this stack from those of another one in the same folder."""
    return hashlib.sha256(f"{settings.name} {settings.home}".encode()).hexdigest()[:8]


def newest(folder: Path) -> Path:
    """Return the newest archive in a folder, by its name."""
    archives = sorted(folder.glob("stack-*.tar.gz"))
    if not archives:
        raise StackError(str(folder), found="no archive", expected="one of `make backup`", todo="name another: FILE=")
    return archives[-1]


def create(settings: Settings, out: Path, at: datetime, report: Reporter, *, secrets: Path | None = None) -> Manifest:
    """Write an archive of this home and the databases that the settings name; return what it holds."""
    file = target(out, at)
    with exclusive(settings), new_archive(settings, file, report) as path:
        return write(settings, path, at, report, secrets=secrets)


@contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Let one backup at a time read the state; refuse a home without state."""
    if not versions.file(settings).exists():
        expected = "the state of a stack that has run"
        raise StackError(str(settings.home), found="no state of a stack", expected=expected, todo="make up")
    with versions.exclusive(settings, settings.home / "backup.lock", "backup"):
        yield


@contextmanager
def new_archive(settings: Settings, file: Path, report: Reporter) -> Iterator[Path]:
    """Give a path to write an archive to, in a work folder; it gets its name when it has been read back.

    The folder is beside the archive; what a killed backup of this stack has left there is deleted.
    """
    began, stack = time.monotonic(), tag(settings)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for leftover in file.parent.glob(f"{PREFIX}{stack}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = Path(mkdtemp(prefix=f"{PREFIX}{stack}-", dir=file.parent))
    except OSError as error:
        user = os.getuid()
        expected, todo = f"a folder that user {user} may write to", f"chown {user} the folder, or name another"
        raise StackError(str(file.parent), found=str(error), expected=expected, todo=todo) from error
    try:
        yield folder / file.name
        report("  reading it back")
        manifest = archive.verify(folder / file.name)
        (folder / file.name).rename(file)
    except OSError as error:
        raise StackError(
            str(file), found=str(error), expected="a disk that takes the archive", todo="name another folder: OUT="
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    packed, seconds = file.stat().st_size / MIB, time.monotonic() - began
    report(f"{file}: {packed:.1f} MiB, of {manifest.size / MIB:.1f} MiB, in {seconds:.1f} s; {manifest.summary}")


def write(
    settings: Settings,
    file: Path,
    at: datetime,
    report: Reporter,
    *,
    secrets: Path | None = None,
    dump: Callable[[Path], Dumps] | None = None,
) -> Manifest:
    """Write an archive of everything, in the order of `contents`, and return what it holds.

    The dumps lie beside it for a moment. Damaged files of the lake are archived as they are, and listed.

    Args:
        settings: the stack.
        file: the archive.
        at: the instant of the wall clock, for the manifest.
        report: receives each part.
        secrets: the ``.env`` to put in too.
        dump: puts dumps of the databases into a folder; by default those that the settings name are dumped.
    """
    _require_room_for_all(settings, file.parent)
    with archive.create(file, at.timestamp()) as writer:
        marks = contents.served_marks(settings)
        dumps = (dump or partial(source(settings).dump, settings))(file.parent)
        for name in dumps.kinds:
            dumped = file.with_name(name)
            report(f"  database {name:<11} {writer.add(f'databases/{name}', dumped) / MIB:8.1f} MiB")
            dumped.unlink()
        for name, content in marks.items():
            writer.add_bytes(name, content, at.timestamp())
        for part in contents.folders(settings):
            _add(writer, part.name, part.files(), report)
        _add(writer, contents.WORKSPACE, contents.workspace(settings), report)
        _add(writer, "settings", [(saved.NAME, saved.path(settings.home))], report)
        damaged = [str(problem) for problem in integrity.check(settings, report)]
        if settings.lake.exists():
            with repository.opened(settings):
                data = contents.lake_data(settings)
                _add(writer, "lake", contents.lake(settings), report)
            _add(writer, "lake, data", data, report, required=True)
        if secrets and secrets.exists():
            _add(writer, "secrets", [("secrets/.env", secrets)], report)
        manifest = _manifest(settings, at, dumps, damaged)
        writer.finish(manifest, at.timestamp())
    for problem in damaged:
        report(f"  DAMAGED {problem}")
    return manifest


def source(settings: Settings) -> ModuleType:
    """Return what dumps the databases: the module for files, or that for a server."""
    return servers if servers.used(settings) else databases


def _manifest(settings: Settings, at: datetime, dumps: Dumps, damaged: list[str]) -> Manifest:
    return Manifest(
        version=archive.VERSION,
        made_at=at,
        product=version(),
        versions=versions.stored(settings),
        databases=dumps.kinds,
        counts=dumps.counts,
        damaged=damaged,
    )


def _add(
    writer: Writer, part: str, files: Iterable[tuple[str, Path]], report: Reporter, *, required: bool = False
) -> None:
    """Add files; a file that has been pruned since it was listed is left out, unless it is required."""
    count = size = 0
    for name, path in files:
        try:
            size += writer.add(name, path)
            count += 1
        except FileNotFoundError:
            if required:
                raise
    report(f"  {part:<20} {size / MIB:8.1f} MiB  {count:6,} files")


def _require_room_for_all(settings: Settings, folder: Path) -> None:
    """Refuse a disk without room for all of it as it is, and for each database once more as its dump."""
    parts = [path for part in contents.folders(settings) for _, path in part.files()]
    parts += [path for _, path in [*contents.lake_data(settings), *contents.workspace(settings)]]
    needed = 2 * source(settings).size(settings) + sum(path.stat().st_size for path in parts if path.exists())
    purpose, alternative = ", should nothing compress, with the reserve", "another folder: STACK_BACKUP_FOLDER, or OUT="
    require_room(folder, needed + disk.RESERVE, purpose, alternative)


def require_room(folder: Path, needed: int, purpose: str, alternative: str) -> None:
    """Refuse to begin what cannot end: compare the bytes needed with those free on the disk of a folder."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StackError(
            str(folder),
            found=f"{free / MIB:,.0f} MiB free",
            expected=f"{needed / MIB:,.0f} MiB{purpose}",
            todo=f"free some space, or name {alternative}",
        )


def read_manifest(file: Path, kinds: dict[str, str], report: Reporter, *, secrets: bool) -> Manifest:
    """Verify an archive and return what it holds, if it can be restored here, with its secrets where they are wanted.

    Refused are a newer layout, and databases of newer tools or of other kinds than those here, `kinds` by name.
    """
    report(f"checking {file}")
    manifest = archive.verify(file)
    if strange := [name for name in manifest.members if not contents.is_known(name)]:
        report(f"  left out: {len(strange)} files that no backup writes, among them {min(strange)!r}")
    written, installed = manifest.versions, versions.current()
    newer = [
        f"{name} {written[name]}, installed {installed[name]}"
        for name in archive.MIGRATED
        if name in written and Version(str(written[name])) > Version(str(installed[name]))
    ]
    if int(written.get("layout", 0)) > versions.LAYOUT:
        newer.append(f"state of layout {written['layout']}")
    if newer:
        raise StackError(
            str(file),
            found=f"written by newer versions: {'; '.join(newer)}",
            expected="these versions or older ones, as databases cannot be migrated back",
            todo=f"check out the code that wrote it: git checkout {written.get('code', manifest.product)}",
        )
    if other := [f"{name} from {kind}" for name, kind in manifest.databases.items() if kinds.get(name) != kind]:
        raise StackError(
            str(file),
            found=", ".join(other),
            expected=f"dumps of {', '.join(sorted(set(kinds.values())))}, as the runtime here has them",
            todo="restore in the runtime that the archive comes from: RUNTIME=local or RUNTIME=compose",
        )
    if secrets and "secrets/.env" not in manifest.members:
        raise StackError(
            str(file), found="no secrets", expected="an archive made with SECRETS=1", todo="leave SECRETS out"
        )
    if secrets and contents.ENV.exists():
        raise StackError(
            str(contents.ENV), found="a file of this name", expected="none", todo="move it away, or leave SECRETS out"
        )
    return manifest


def say_absent_projects(settings: Settings, file: Path, manifest: Manifest, report: Reporter) -> None:
    """Say how projects that only the archive has are taken from it: they are code, which a restore does not write."""
    if absent := contents.absent_projects(settings, manifest.members):
        words = ["tar", "-xzf", str(file), "-C", str(settings.workspace), "--strip-components=1", *absent]
        report("projects that are in the archive and not here; when you trust it, take them with")
        report(f"  {shlex.join(words)}")


def require_undamaged(file: Path, manifest: Manifest) -> None:
    """Refuse an archive of a lake or models that were damaged when it was written."""
    if manifest.damaged:
        raise StackError(
            str(file),
            found=f"{len(manifest.damaged)} damaged files in it, among them {manifest.damaged[0]}",
            expected="data and models with the hashes that they were written with; older archives are kept meanwhile",
            todo="run `make doctor DEEP=1`; restore an older archive, or fetch the files from STACK_LAKE_REMOTE",
        )


def put_files(
    settings: Settings, file: Path, manifest: Manifest, load: Callable[[Path], None] = lambda _: None
) -> None:
    """Unpack a verified archive, let `load` fill the databases from it, and put its folders into a home without state.

    A home whose restore was killed is not taken for whole.
    """
    try:
        with versions.unfinished(settings) as aside:
            archive.extract(file, aside, manifest, contents.is_restored)
            foreign.secure(aside / "lake")
            load(aside)
            places = {folder.name: folder.path for folder in contents.folders(settings)}
            for name, path in {**places, "lake": settings.lake, saved.NAME: saved.path(settings.home)}.items():
                if (aside / name).exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(aside / name, path)
            if saved.path(settings.home).exists():
                saved.path(settings.home).chmod(0o600)
            if settings.lake.exists():
                foreign.check_out(settings)
            versions.write(settings, manifest.versions)
    except OSError as error:
        todo = "make room there, then run it again"
        raise StackError(str(settings.home), found=str(error), expected="a home to write to", todo=todo) from error


def write_secrets(file: Path, manifest: Manifest) -> None:
    """Write ``.env`` from a verified archive."""
    with TemporaryDirectory() as folder:
        archive.extract(file, Path(folder), manifest, "secrets/.env".__eq__)
        shutil.move(Path(folder) / "secrets/.env", contents.ENV)
