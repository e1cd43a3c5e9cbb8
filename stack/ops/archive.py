"""One archive: a gzipped tar with a header, the members, and at its end a manifest with the hash of each member.

The manifest comes last, so that a broken-off archive has none, and nothing is read twice to write it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from stack.core.errors import StackError

FORMAT, VERSION = "homelab-mlops-backup", 1
HEADER, MANIFEST = "backup.json", "manifest.json"
LEVEL = 1
"""Most of what is archived is compressed already: higher levels take three times as long for 3 %."""
CHUNK = MIB = 2**20


class Member(BaseModel):
    """What a file in the archive must be."""

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str


class Counts(BaseModel):
    """What the databases hold; compared after a restore."""

    model_config = ConfigDict(frozen=True)

    champions: dict[str, str]
    """Project -> version of its live model."""
    runs: int
    predictions: int


class Manifest(BaseModel):
    """What an archive holds, and which stack wrote it."""

    model_config = ConfigDict(frozen=True)

    version: int
    made_at: str
    product: str
    versions: dict[str, str | int]
    """The state's layout, the tools' versions and the checkout's commit, as in ``stack.ops.versions``."""
    databases: dict[str, str]
    """Name -> kind of dump."""
    counts: Counts
    members: dict[str, Member] = {}

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
    """Adds members to an archive and remembers what each was."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.members: dict[str, Member] = {}

    def add(self, name: str, path: Path) -> int:
        """Add a file as it is at this moment; return its size in bytes."""
        with path.open("rb") as file:
            info = self._tar.gettarinfo(arcname=name, fileobj=file)
            # A second name of the same file is a file of its own here.
            info.type, info.linkname, info.size = tarfile.REGTYPE, "", os.fstat(file.fileno()).st_size
            return self._put(info, file)

    def add_bytes(self, name: str, content: bytes, mtime: float) -> int:
        """Add a file of this content; return its size in bytes."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = len(content), int(mtime), 0o644
        return self._put(info, BytesIO(content))

    def _put(self, info: tarfile.TarInfo, file: IO[bytes]) -> int:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        hashing = _Hashing(file)
        self._tar.addfile(info, hashing)
        self.members[info.name] = Member(size=info.size, sha256=hashing.digest.hexdigest())
        return info.size


@contextmanager
def create(path: Path, made_at: float) -> Iterator[Writer]:
    """Write an archive; `finish` must be called before the context ends, or it has no manifest."""
    with path.open("xb") as raw:
        path.chmod(0o600)
        with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=LEVEL) as tar:
            writer = Writer(tar)
            writer.add_bytes(HEADER, json.dumps({"format": FORMAT, "version": VERSION}).encode(), made_at)
            writer.members.clear()
            yield writer
        raw.flush()
        os.fsync(raw.fileno())


def finish(writer: Writer, manifest: Manifest, made_at: float) -> None:
    """Add the manifest, with the members so far, as the last file."""
    whole = manifest.model_copy(update={"members": dict(writer.members)})
    writer.add_bytes(MANIFEST, whole.model_dump_json(indent=1).encode(), made_at)


def verify(path: Path) -> Manifest:
    """Read an archive whole and compare every member with the manifest.

    Raises:
        StackError: it is no archive of the stack, of a newer format, cut short or changed.
    """
    members: dict[str, Member] = {}
    manifest: Manifest | None = None
    with _entries(path) as entries:
        for entry in entries:
            if entry.name == MANIFEST:
                manifest = _parsed(path, entry.file.read())
            elif not entry.info.isreg() or not _safe(entry.name) or entry.name in members or manifest:
                raise _refused(path, f"an entry that no backup has: {entry.name!r}")
            else:
                members[entry.name] = _measured(entry)
    if manifest is None:
        raise _refused(path, "no manifest at its end: the archive is cut short")
    wrong = [
        name for name in members.keys() | manifest.members.keys() if members.get(name) != manifest.members.get(name)
    ]
    if wrong:
        raise _refused(path, f"{len(wrong)} files that differ from the manifest, one is {min(wrong)}")
    return manifest


def extract(path: Path, into: Path, manifest: Manifest, below: str = "") -> None:
    """Unpack a verified archive, or what is `below` one of its folders, with modes and times.

    Written by hand, as the safe filters of tarfile are missing in Python 3.11.0 to 3.11.3.
    """
    with _entries(path) as entries:
        for entry in entries:
            if entry.name not in manifest.members or not entry.name.startswith(below):
                continue
            if _unpack(entry, into / entry.name) != manifest.members[entry.name]:
                raise _refused(path, f"a file that has changed since it was checked: {entry.name}")


def _measured(entry: _Entry) -> Member:
    hashing = _Hashing(entry.file)
    while hashing.read(CHUNK):
        pass
    return Member(size=entry.info.size, sha256=hashing.digest.hexdigest())


def _unpack(entry: _Entry, target: Path) -> Member:
    """Write a member as a new file; return what it was."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hashing = _Hashing(entry.file)
    with target.open("xb") as file:
        while chunk := hashing.read(CHUNK):
            file.write(chunk)
    target.chmod(entry.info.mode & 0o777)
    os.utime(target, (entry.info.mtime, entry.info.mtime))
    return Member(size=entry.info.size, sha256=hashing.digest.hexdigest())


class _Hashing:
    """A file whose reads are hashed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        return chunk


class _Entry(NamedTuple):
    name: str
    info: tarfile.TarInfo
    file: IO[bytes]


@contextmanager
def _entries(path: Path) -> Iterator[Iterator[_Entry]]:
    """Give the members in their order, after the header; what cannot be read is refused."""
    try:
        with gzip.open(path) as whole, tarfile.open(fileobj=whole, mode="r:") as tar:
            first = tar.next()
            content = tar.extractfile(first) if first and first.name == HEADER and first.isreg() else None
            _require_ours(path, content.read(CHUNK) if content else b"")
            yield (_Entry(info.name, info, _content(tar, info)) for info in iter(tar.next, None))
            while whole.read(CHUNK):  # to its checksum
                pass
    except FileNotFoundError:
        raise _refused(path, "no such file") from None
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the disk's fault, not the archive's
            raise
        raise _refused(path, f"{type(error).__name__}: {error}") from None


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return (tar.extractfile(info) if info.isreg() else None) or BytesIO()


def _require_ours(path: Path, header: bytes) -> None:
    try:
        read: Any = json.loads(header or b"null")
        version = read["version"] if read["format"] == FORMAT else None
    except (ValueError, TypeError, KeyError):
        version = None
    if not isinstance(version, int):
        raise _refused(path, "an archive of something else")
    if version > VERSION:
        raise _refused(path, f"format {version}", expected=f"format {VERSION} or older", todo="use the newer checkout")


def _parsed(path: Path, text: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise _refused(path, f"a manifest that does not read: {error.errors()[0]['msg']}") from None


def _safe(name: str) -> bool:
    """Return whether a name stays below the folder that it is unpacked into."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\\" not in name and "\0" not in name


def _refused(
    path: Path,
    found: str,
    expected: str = "a whole archive of `make backup`",
    todo: str = "name another one with FILE=; nothing has been changed",
) -> StackError:
    return StackError(str(path), found=found, expected=expected, todo=todo)
