"""An archive that an attacker has prepared: nothing of it is run, or leaves the home, and no error is a traceback."""

import errno
import gzip
import hashlib
import io
import json
import random
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.lake import repository
from stack.ops import archive, backups
from stack.ops.local import backup
from stack.project import Project
from tests.stack.conftest import START
from tests.stack.ops.local.test_backup import AT, UNTIL, fill, refused

Files = dict[str, tuple[bytes, int]]
"""Name -> content and mode."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, toy) -> Path:
    settings = fill(tmp_path_factory.mktemp("source") / "home", toy)
    return backup.backup(settings, tmp_path_factory.mktemp("out"), AT, print)


def read(path: Path) -> Files:
    with tarfile.open(path) as tar:
        return {info.name: (tar.extractfile(info).read(), info.mode) for info in tar}


def forged(path: Path, files: Files, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    """An archive of these files whose manifest is right about each, and then as `change` makes it."""
    manifest = json.loads(files[archive.MANIFEST][0])
    members = {name: content for name, (content, _) in files.items() if name not in (archive.HEADER, archive.MANIFEST)}
    manifest["members"] = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in members.items()
    }
    change(manifest)
    with tarfile.open(path, "w:gz") as tar:
        for name, (content, mode) in files.items():
            stored = json.dumps(manifest).encode() if name == archive.MANIFEST else content
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(stored), mode
            tar.addfile(info, io.BytesIO(stored))
    return path


def with_more(written: Path, path: Path, more: Mapping[str, str], change=lambda _: None) -> Path:
    """The archive with other files, which come before its manifest."""
    files = read(written)
    manifest = files.pop(archive.MANIFEST)
    files |= {name: (text.encode(), 0o755) for name, text in more.items()}
    return forged(path, files | {archive.MANIFEST: manifest}, change)


def test_hook_of_a_foreign_archive_is_not_run_by_the_next_append(written, toy, tmp_path):
    proof, settings = tmp_path / "proof", Settings(home=tmp_path / "home")
    hook = f"#!/bin/sh\nid > {proof}\n"
    hooks = {f"lake/.git/hooks/{name}": hook for name in ("post-commit", "pre-commit", "post-checkout", "commit-msg")}
    (tmp_path / "elsewhere").mkdir()
    for name in ("post-commit", "post-checkout"):
        (tmp_path / "elsewhere" / name).write_text(hook)
        (tmp_path / "elsewhere" / name).chmod(0o755)
    config = f"[core]\n\thooksPath = {tmp_path}/elsewhere\n\tfsmonitor = sh -c 'id > {proof}'\n"
    more = {"lake/.git/config": config, "lake/.gitattributes": "* filter=x\n", "lake/dvc.yaml": "stages: {}\n"}
    evil = with_more(written, tmp_path / "evil.tar.gz", hooks | more | {"lake/.dvc/tmp/site/cache.db": "pickle"})

    backup.restore(settings, evil, AT, print)
    rows = pd.DataFrame({"day": [4], "available_at": [START + timedelta(days=1, hours=1)]})
    Project(settings, toy).lake.append({"days": rows}, UNTIL, UNTIL + timedelta(days=1))
    subprocess.run(["git", "-C", str(settings.lake), "status"], check=True, capture_output=True)

    assert not proof.exists()
    assert not (settings.lake / ".git/hooks").exists()
    assert (settings.lake / ".git/config").read_text() == repository.CONFIGURATION[".git/config"]
    assert not [settings.lake / name for name in (".gitattributes", "dvc.yaml") if (settings.lake / name).exists()]


def test_configuration_is_what_git_and_dvc_write_themselves(written):
    """Restoring writes it anew, so it must say all that a new lake's says."""
    files = read(written)

    assert {files[f"lake/{name}"][0].decode() for name in repository.CONFIGURATION} == {
        *repository.CONFIGURATION.values()
    }


def test_remote_of_a_foreign_archive_gets_nothing(written, toy, tmp_path):
    remote, settings = tmp_path / "remote", Settings(home=tmp_path / "home")
    config = f"[core]\n    remote = stack\n['remote \"stack\"']\n    url = {remote}\n"
    backup.restore(settings, with_more(written, tmp_path / "evil", {"lake/.dvc/config": config}), AT, print)

    rows = pd.DataFrame({"day": [4], "available_at": [START + timedelta(days=1, hours=1)]})
    Project(settings, toy).lake.append({"days": rows}, UNTIL, UNTIL + timedelta(days=1))

    assert not remote.exists()


def test_no_file_of_an_archive_can_be_executed(written, tmp_path):
    settings = Settings(home=tmp_path / "home")
    backup.restore(settings, with_more(written, tmp_path / "evil", {"artifacts/1/run.sh": "#!/bin/sh\n"}), AT, print)

    assert not [path for path in settings.home.rglob("*") if path.is_file() and path.stat().st_mode & 0o7133]


@pytest.mark.parametrize("path", ["../../../evil", "/tmp/evil", "../.git/hooks"])
def test_checkout_cannot_write_elsewhere(written, tmp_path, path):
    name = next(name for name in read(written) if name.endswith("month.dvc"))
    text = f"outs:\n- md5: {'0' * 32}.dir\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: {path}\n"
    settings = Settings(home=tmp_path / "home")

    with pytest.raises(StackError, match="a path elsewhere"):
        backup.restore(settings, with_more(written, tmp_path / "evil", {name: text}), AT, print)


def test_list_of_files_cannot_name_one_elsewhere(written, tmp_path):
    name = next(name for name in read(written) if name.endswith(".dir"))
    text = json.dumps([{"md5": "0" * 32, "relpath": "../../../.git/hooks/post-commit"}])
    settings = Settings(home=tmp_path / "home")

    with pytest.raises(StackError, match="not those of batches"):
        backup.restore(settings, with_more(written, tmp_path / "evil", {name: text}), AT, print)


def test_registry_of_feast_is_not_restored(written, tmp_path):
    """It holds pickled functions, which are run when they are read."""
    settings = Settings(home=tmp_path / "home")
    change = {"databases/feast": "SQLite format 3 with a pickle"}
    evil = with_more(written, tmp_path / "evil", change, lambda manifest: manifest["databases"].update(feast="sqlite"))

    backup.restore(settings, evil, AT, print)

    assert not list(settings.home.rglob("registry.db"))


@pytest.mark.parametrize(
    "change",
    [
        {"versions": {"mlflow": "not a version"}},
        {"versions": {"layout": "x"}},
        {"versions": {"layout": 10**400}},
        {"versions": {"code": "x; rm -rf ~"}},
        {"versions": []},
        {"made_at": "\x1b[2J"},
        {"product": "\x1b]0;title\x07"},
        {"counts": {"champions": {"toy": "\x1b[2J"}, "runs": 0, "predictions": 20}},
        {"databases": {"state": "sqlite", "mlflow": "sqlite"}},
        {"databases": {"../state": "sqlite"}},
        {"members": {"artifacts/1/poetry.lock": {"size": -1, "sha256": ""}}},
        {"counts": None},
    ],
    ids=lambda change: str(change)[:60],
)
def test_manifest_that_says_something_odd_is_refused_in_words(written, tmp_path, change):
    evil = forged(tmp_path / "evil", read(written), lambda manifest: manifest.update(change))

    refused(Settings(home=tmp_path / "home"), evil, "expected  a whole archive")


@pytest.mark.parametrize(
    "name",
    [
        "artifacts/1/poetry.lock/below",
        "artifacts/" + "x" * 300,
        "artifacts/" + "é" * 200,
        "artifacts/" + "x/" * 2000 + "x",
        "artifacts//x",
        "artifacts/./x",
        ".hidden",
        "artifacts/\udcff\\x",
    ],
)
def test_odd_name_is_refused_in_words(written, tmp_path, name):
    files = read(written)
    manifest = files.pop(archive.MANIFEST)
    evil = forged(tmp_path / "evil", files | {name: (b"x", 0o644), archive.MANIFEST: manifest})

    refused(Settings(home=tmp_path / "home"), evil, "expected  a whole archive")


def test_folder_as_an_archive_is_refused_in_words(tmp_path):
    (tmp_path / "folder").mkdir()

    refused(Settings(home=tmp_path / "home"), tmp_path / "folder", "no such file")


def test_disk_that_fills_during_a_restore_is_told_in_words(written, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backups.shutil, "move", full)

    with pytest.raises(StackError, match="No space left"):
        backup.restore(Settings(home=tmp_path / "home"), written, AT, print)


def test_database_that_is_none_is_refused_in_words(written, tmp_path):
    settings = Settings(home=tmp_path / "home")

    with pytest.raises(StackError, match="a damaged database"):
        backup.restore(settings, with_more(written, tmp_path / "evil", {"databases/state": "no database"}), AT, print)


def test_lake_that_is_none_is_refused_in_words(written, tmp_path):
    settings = Settings(home=tmp_path / "home")
    names = [name for name in read(written) if "/objects/" in name]
    evil = with_more(written, tmp_path / "evil", dict.fromkeys(names, "no object"))

    with pytest.raises(StackError, match="a git and DVC repository"):
        backup.restore(settings, evil, AT, print)


def large_manifest(path: Path) -> None:
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        header = json.dumps({"format": archive.FORMAT, "version": 1}).encode()
        for name, size, content in ((archive.HEADER, len(header), io.BytesIO(header)), (archive.MANIFEST, 2**31, None)):
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, content)
        packed.write(b" " * 2**28)


def large_header(path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**28
    with gzip.open(path, "wb") as packed:
        packed.write(info.tobuf() + b"0" * 2**28)


def chain_of_headers(path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.GNUTYPE_LONGNAME
    with gzip.open(path, "wb") as packed:
        packed.write(info.tobuf() * 5000)


@pytest.mark.parametrize("bomb", [large_manifest, large_header, chain_of_headers])
def test_archive_cannot_take_the_memory(tmp_path, bomb):
    bomb(tmp_path / "bomb.tar.gz")
    limit = 2**28  # of the address space beyond what the interpreter has by then
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom stack.core.errors import StackError\n"
        "from stack.ops import archive\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + {limit},) * 2)\n"
        "try:\n    archive.verify(Path(sys.argv[1]))\nexcept StackError as error:\n    print(error)\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "bomb.tar.gz")], cwd=ROOT, capture_output=True, text=True
    )

    assert "expected  a whole archive" in ran.stdout, ran.stderr[-500:]


def test_no_change_of_bytes_is_answered_with_a_traceback(written, tmp_path):
    """Of the headers in the tar within the gzip, so that its checksum does not hide the rest."""
    content, generator = gzip.decompress(written.read_bytes()), random.Random(7)
    headers = [place for place in range(0, len(content), 512) if content[place + 257 : place + 262] == b"ustar"]
    for number in range(100):
        changed = bytearray(content)
        start = generator.choice(headers)
        for _ in range(generator.randint(1, 4)):
            changed[start + generator.randrange(512)] = generator.randrange(256)
        changed[start + 148 : start + 156] = b" " * 8  # the header's checksum is right nevertheless
        changed[start + 148 : start + 156] = b"%06o\0 " % sum(changed[start : start + 512])
        path = tmp_path / f"{number}.tar.gz"
        path.write_bytes(gzip.compress(bytes(changed), 1))
        with suppress(StackError):
            archive.verify(path)
        path.unlink()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 3 * 2**20
