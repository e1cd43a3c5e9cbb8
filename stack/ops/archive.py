"""One archive: a gzipped tar with a header, the members, and at its end a manifest with the hash of each member.

The manifest comes last, so that a broken-off archive has none, and nothing is read twice to write it.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Literal

from packaging.version import Version
from pydantic import AwareDatetime, BaseModel, Field, ValidationError, field_validator
from typing_extensions import override

from stack.core.disk import MIB
from stack.core.errors import StackError

FORMAT: Literal["homelab-mlops-backup"] = "homelab-mlops-backup"
VERSION = 1
HEADER, MANIFEST = "backup.json", "manifest.json"
LEVEL = 1
"""Most of what is archived is compressed already: higher levels take three times as long for 3 %."""
CHUNK = MIB
MIGRATED = ("mlflow", "prefect")
"""Tools whose databases go forward with their versions, and never back."""
MAX_FILES, MAX_NAME, MAX_PART = 1_000_000, 1000, 255
"""Of an archive; bytes of a member's name, and of a part of it, which file systems end at."""
MAX_READ = 16 * MIB
"""Bytes that are read at once: a header of tar's own may claim any size."""
Word = Annotated[str, Field(pattern=r"^[\w.+-]*$", max_length=100)]
"""A text that is shown to the user, in a command too."""


class Header(BaseModel, frozen=True):
    """The first file of an archive."""

    format: Literal["homelab-mlops-backup"]
    version: int


class Member(BaseModel, frozen=True):
    """Size in bytes and hash of a file in the archive."""

    size: int
    sha256: str


class Counts(BaseModel, frozen=True):
    """What the databases hold; compared after a restore."""

    champions: dict[Word, Word]
    """Project -> version of its live model."""
    runs: int
    predictions: int


class Manifest(BaseModel, frozen=True):
    """What an archive holds, and which stack wrote it."""

    version: int
    made_at: AwareDatetime
    product: Word
    versions: dict[Word, Word | Annotated[int, Field(ge=0, le=10**6)]]
    """The state's layout, the tools' versions and the checkout's commit, as in ``stack.ops.versions``."""
    databases: dict[Word, Word]
    """Name -> kind of dump."""
    counts: Counts
    damaged: list[str] = []
    """Errors of the lake's files, each in words: the archive holds them as they are."""
    members: dict[str, Member] = {}

    @field_validator("versions")
    @classmethod
    def _readable(cls, versions: dict[str, str | int]) -> dict[str, str | int]:
        """Refuse versions that cannot be compared with those here."""
        int(versions.get("layout", 0))
        for name in MIGRATED:
            Version(str(versions.get(name, 0)))
        return versions

    @property
    def size(self) -> int:
        """Bytes of all members, unpacked."""
        return sum(member.size for member in self.members.values())

    @property
    def summary(self) -> str:
        """One line about live models, runs and predictions."""
        counts = self.counts
        live = ", ".join(f"{project} version {version}" for project, version in sorted(counts.champions.items()))
        return f"live: {live or 'none'}; {counts.runs} runs, {counts.predictions} predictions"


class Writer:
    """Adds files to an archive, and keeps their sizes and hashes for its manifest."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members: dict[str, Member] = {}

    def add(self, name: str, path: Path) -> int:
        """Add a file as it is at this moment; return its size in bytes."""
        with path.open("rb") as file:
            info = self._tar.gettarinfo(arcname=name, fileobj=file)
            # A second name of the same file is a file of its own here.
            info.type, info.linkname, info.size = tarfile.REGTYPE, "", os.fstat(file.fileno()).st_size
            self._members[name] = self._put(info, file)
        return info.size

    def add_bytes(self, name: str, content: bytes, mtime: float) -> None:
        """Add a file of this content."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = len(content), int(mtime), 0o644
        self._members[name] = self._put(info, BytesIO(content))

    def finish(self, manifest: Manifest, mtime: float) -> None:
        """Add the manifest, with the members so far, as the last file."""
        complete = manifest.model_copy(update={"members": self._members})
        self.add_bytes(MANIFEST, complete.model_dump_json(indent=1).encode(), mtime)

    def _put(self, info: tarfile.TarInfo, file: IO[bytes]) -> Member:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        hashing = _Hashing(file)
        self._tar.addfile(info, hashing)
        return Member(size=info.size, sha256=hashing.digest.hexdigest())


@contextmanager
def create(path: Path, mtime: float) -> Iterator[Writer]:
    """Write an archive; call the writer's `finish` before the context ends, or it has no manifest."""
    with path.open("xb") as raw:
        path.chmod(0o600)
        with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=LEVEL) as tar:
            Writer(tar).add_bytes(HEADER, Header(format=FORMAT, version=VERSION).model_dump_json().encode(), mtime)
            yield Writer(tar)
        raw.flush()
        os.fsync(raw.fileno())


def verify(path: Path) -> Manifest:
    """Read an archive whole and compare every member with the manifest.

    Raises:
        StackError: it is no archive of the stack, of a newer format, cut short or changed.
    """
    members: dict[str, Member] = {}
    manifest: Manifest | None = None
    with _entries(path) as entries, Path(os.devnull).open("wb") as nowhere:
        for info, file in entries:
            if manifest or info.name in members or not _is_safe(info.name) or len(members) == MAX_FILES:
                raise _foreign_entry(path, info)
            if info.name == MANIFEST:
                manifest = _read_manifest(path, info, file, members)
            else:
                members[info.name] = _copy(info, file, nowhere)
    if manifest is None:
        raise _refused(path, "no manifest at its end: the archive is cut short")
    names = members.keys() | manifest.members.keys()
    if wrong := [name for name in names if members.get(name) != manifest.members.get(name)]:
        raise _refused(path, f"{len(wrong)} files that differ from the manifest, among them {min(wrong)!r}")
    folders = {str(folder) for name in members for folder in PurePosixPath(name).parents}
    if wrong := [*(folders & members.keys()), *({f"databases/{name}" for name in manifest.databases} - members.keys())]:
        raise _refused(path, f"a manifest that does not fit its files: {min(wrong)!r}")
    return manifest


def _read_manifest(path: Path, info: tarfile.TarInfo, file: IO[bytes], members: dict[str, Member]) -> Manifest:
    """Read a manifest, which is not larger than one of these members can be."""
    if info.size > MIB + sum(2 * len(os.fsencode(name)) + 200 for name in members):
        raise _refused(path, f"a manifest of {info.size / MIB:,.0f} MiB for {len(members):,} files")
    try:
        return Manifest.model_validate_json(b"".join(iter(partial(file.read, CHUNK), b"")))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(key) for key in problem["loc"])
        raise _refused(path, f"a manifest that does not read: {where[:100]!r}: {problem['msg'][:200]}") from None


def extract(path: Path, into: Path, manifest: Manifest, wanted: Callable[[str], bool]) -> None:
    """Unpack the members of a verified archive whose names are wanted, with times and without the right to be executed.

    Written by hand, as the safe filters of tarfile are missing in Python 3.11.0 to 3.11.3.
    """
    with _entries(path) as entries:
        for info, file in entries:
            if info.name not in manifest.members or not wanted(info.name):
                continue
            target = into / info.name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as sink:
                    member = _copy(info, file, sink)
                target.chmod(info.mode & 0o644 | 0o400)
                os.utime(target, (info.mtime, info.mtime))
            except (OSError, ValueError, OverflowError) as error:
                todo = "make room there, or take another archive"
                raise StackError(str(target), found=str(error), expected="a file", todo=todo) from None
            if member != manifest.members[info.name]:
                raise _refused(path, f"a file that has changed since it was checked: {info.name!r}")


def _copy(info: tarfile.TarInfo, file: IO[bytes], sink: IO[bytes]) -> Member:
    hashing = _Hashing(file)
    shutil.copyfileobj(hashing, sink, CHUNK)
    return Member(size=info.size, sha256=hashing.digest.hexdigest())


class _Hashing:
    """A file whose reads are hashed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        return chunk


class _Bounded(gzip.GzipFile):
    """A compressed file of which little is read at once."""

    @override
    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_READ:
            raise tarfile.ReadError(f"a part of {size} bytes")
        return super().read(size)


@contextmanager
def _entries(path: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes]]]]:
    """Give the files in their order, after the header; what cannot be read is refused."""
    try:
        if not path.is_file():
            raise _refused(path, "no such file")
        with _Bounded(path, "rb") as whole, tarfile.open(fileobj=whole, mode="r:") as tar:
            first = tar.next()
            header = _content(path, tar, first).read(CHUNK) if first and first.name == HEADER else b""
            try:
                version = Header.model_validate_json(header).version
            except ValidationError:
                raise _refused(path, "an archive of something else") from None
            if version > VERSION:
                expected, todo = f"format {VERSION} or older", "use the newer checkout"
                raise _refused(path, f"format {version}", expected, todo)
            yield _contents(path, tar)
            while whole.read(CHUNK):  # to its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, OverflowError, RecursionError) as error:
        raise _refused(path, f"{type(error).__name__}: {error}") from None


def _contents(path: Path, tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for info in iter(tar.next, None):
        vars(tar)["members"].clear()  # else it keeps a kilobyte of each
        yield info, _content(path, tar, info)


def _content(path: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    """Return the content of a file; a folder, a link or a file with holes is refused."""
    content = tar.extractfile(info) if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.sparse else None
    if content is None:
        raise _foreign_entry(path, info)
    return content


def _is_safe(name: str) -> bool:
    """Return whether a name stays below the folder that it is unpacked into, and is one that a disk takes."""
    plain = name == str(PurePosixPath(name)) and not set(name) & {"\\", "\0"}
    lengths = [len(os.fsencode(part)) for part in PurePosixPath(name).parts]
    return plain and name[:1] not in ("/", ".", "") and ".." not in name.split("/") and _fit(lengths)


def _fit(lengths: list[int]) -> bool:
    return max(lengths) <= MAX_PART and sum(lengths) <= MAX_NAME


def _foreign_entry(path: Path, info: tarfile.TarInfo) -> StackError:
    return _refused(path, f"an entry that no backup has: {info.name!r}")


def _refused(
    path: Path,
    problem: str,
    expected: str = "a whole archive of `make backup`",
    todo: str = "name another one with FILE=; nothing has been changed",
) -> StackError:
    return StackError(str(path), found=problem, expected=expected, todo=todo)
