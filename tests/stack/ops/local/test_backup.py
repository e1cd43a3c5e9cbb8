"""An archive of a small real home: what is in it, what comes back, and what is refused before anything is touched."""

import io
import json
import shlex
import sqlite3
import subprocess
import tarfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest
from pandas import DataFrame
from pandas.testing import assert_frame_equal

from stack.core import saved
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.features import feature_tables
from stack.lake import lake
from stack.ops import archive, contents, databases, versions
from stack.ops.local import backup
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.specification.specs import ProjectSpec
from tests.stack.conftest import START

AT = datetime(2024, 2, 1, 12, tzinfo=UTC)
SINCE, UNTIL = START.to_pydatetime(), START.to_pydatetime() + timedelta(days=1)


def answer() -> Prediction:
    return Prediction(
        str(uuid4()),
        SINCE,
        SINCE,
        {"town": "Bath"},
        {"wet": 1.5, "town_id": "Bath", "cold": 0.5},
        SINCE,
        "3",
        {"probability": 0.5, "decision": True},
    )


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def fill(home: Path, toy: ProjectSpec) -> Settings:
    """A home with something of every kind, and with what is not worth keeping."""
    settings = Settings(home=home)
    home.mkdir()
    versions.write(settings)
    days = pd.DataFrame({"day": [1, 2, 3], "available_at": START + pd.to_timedelta([1, 2, 3], "h")})
    Project(settings, toy).lake.append({"days": days}, SINCE, UNTIL)
    Project(settings, toy).log.write([answer() for _ in range(20)])
    table = pd.DataFrame({"town": ["Bath"], "wet": [1.5], "event_timestamp": [START + timedelta(hours=1)]})
    feature_tables.replace(settings.feature_tables / "toy" / "weather", table, SINCE, UNTIL)
    feature_tables.mark_served(Project(settings, toy), UNTIL)
    write(Path(settings.artifacts) / "1" / "poetry.lock", "of a user")
    write(settings.quarantine / "toy" / "batch" / "verdict.json", "{}")
    write(settings.pages / "toy" / "report.html", "<html>")
    write(settings.reports / ".partial", "half")
    write(settings.logs / "mlflow.log", "noise")
    write(saved.path(home), "STACK_TITLE='Attic'")
    return settings


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, toy: ProjectSpec) -> Settings:
    return fill(tmp_path_factory.mktemp("source") / "home", toy)


@pytest.fixture(scope="module")
def written(source: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return backup.backup(source, tmp_path_factory.mktemp("out"), AT, print)


def refused(settings: Settings, file: Path, match: str, **options: bool) -> None:
    """Refused, and nothing is there that was not there."""
    before = sorted(settings.home.rglob("*"))
    with pytest.raises(StackError, match=match):
        backup.restore(settings, file, AT, print, **options)
    assert sorted(settings.home.rglob("*")) == before


def logged(settings: Settings, toy: ProjectSpec) -> DataFrame:
    return Project(settings, toy).log.read(SINCE - timedelta(days=1), UNTIL)


def test_all_that_counts_comes_back_in_another_home(source, written, toy, tmp_path):
    target = Settings(home=tmp_path / "new" / "home")
    backup.restore(target, written, AT, print)

    assert_frame_equal(Project(target, toy).lake.read()["days"], Project(source, toy).lake.read()["days"])
    assert lake.newest_revision(target) == lake.newest_revision(source)
    assert [path.name for path in target.lake.glob("toy/*/month/days/*")] == [f"{lake.batch_id(SINCE, UNTIL)}.parquet"]
    assert_frame_equal(logged(target, toy), logged(source, toy))
    assert pd.read_parquet(target.feature_tables / "toy" / "weather")["wet"].tolist() == [1.5]
    assert feature_tables.served_until(Project(target, toy)) == UNTIL
    assert (Path(target.artifacts) / "1" / "poetry.lock").read_text() == "of a user"
    assert (target.quarantine / "toy" / "batch" / "verdict.json").exists()
    assert versions.stored(target) == versions.stored(source)
    assert saved.read(target.home) == {"title": "Attic"} and saved.path(target.home).stat().st_mode & 0o777 == 0o600
    assert not list(target.home.rglob("mlflow.log")) + list(target.home.rglob(".partial"))
    # and it goes on: the next batch is appended to what came back
    more = pd.DataFrame({"day": [4], "available_at": [START + timedelta(days=1, hours=1)]})
    Project(target, toy).lake.append({"days": more}, UNTIL, UNTIL + timedelta(days=1))
    assert len(Project(target, toy).lake.read()["days"]) == 4


def test_projects_are_in_it_and_are_taken_from_it_by_hand(source, toy, tmp_path):
    """They may hold code, which a restore does not write."""
    own = source.model_copy(update={"workspace": tmp_path / "ml"})
    write(own.projects / "sales" / "project.yaml", "title: How much?")
    write(own.projects / "sales" / "data" / "sales.csv", "a,b")
    write(own.projects / "sales" / "__pycache__" / "x.pyc", "compiled")
    write(own.definitions / "sales.py", "entity = 1")
    file = tmp_path / "with projects.tar.gz"
    backup.backup(own, file, AT, lambda _: None)
    other, lines = Settings(home=tmp_path / "home", workspace=tmp_path / "new"), []
    backup.restore(other, file, AT, lines.append)
    assert not other.workspace.exists()
    other.workspace.mkdir()
    subprocess.run(shlex.split(next(line for line in lines if "tar -xzf" in line)), check=True)
    found = {path.relative_to(other.workspace).as_posix() for path in other.workspace.rglob("*.*")}
    assert found == {"projects/sales/project.yaml", "projects/sales/data/sales.csv", "feature_repo/sales.py"}
    assert contents.absent_projects(other, archive.verify(file).members) == []


def test_archive_is_whole_private_and_says_what_it_holds(written):
    manifest = archive.verify(written)

    assert written.name == "stack-20240201T120000Z.tar.gz"
    assert written.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in written.parent.iterdir()] == [written.name]
    assert manifest.counts.predictions == 20
    assert manifest.databases == {"state": "sqlite"}
    assert not [
        name for name in manifest.members if name.startswith(("lake/toy/2024-01/month/", "lake/.dvc/tmp", "logs"))
    ]


def test_backup_during_writes_holds_every_answer_given_before_it(tmp_path, toy):
    settings = fill(tmp_path / "home", toy)
    ended, answers = threading.Event(), []

    def go_on() -> None:
        while not ended.is_set():
            prediction = answer()
            Project(settings, toy).log.write([prediction])
            answers.append(prediction.id)

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        acknowledged = set(answers)
        file = backup.backup(settings, tmp_path / "out", AT, print)
    finally:
        ended.set()
        writer.join()
    target = Settings(home=tmp_path / "second")
    manifest = backup.restore(target, file, AT, print)

    restored = set(logged(target, toy)["id"])
    assert len(answers) > len(acknowledged)
    assert acknowledged <= restored <= set(answers) | set(logged(settings, toy)["id"])
    assert manifest.counts.predictions == len(restored)


def test_damaged_database_is_not_archived(tmp_path):
    file = tmp_path / "state.db"
    with sqlite3.connect(file) as database:
        database.execute(
            "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i+1 FROM n LIMIT 9999) SELECT i FROM n"
        )
    with file.open("r+b") as raw:
        raw.seek(8192)
        raw.write(b"\xff" * 4096)

    with pytest.raises(StackError, match="a damaged database"):
        databases.copy(file, tmp_path / "dump")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.9999])
def test_truncated_archive_is_refused(written, tmp_path, share):
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(written.read_bytes()[: int(written.stat().st_size * share)])

    refused(Settings(home=tmp_path / "home"), cut, "expected  a whole archive")


def rewritten(written: Path, path: Path, change) -> Path:
    """The archive again, each of its members as `change` makes it."""
    with tarfile.open(written) as old, tarfile.open(path, "w:gz") as new:
        for info in old:
            content = change(info, old.extractfile(info).read())
            info.size = len(content)
            new.addfile(info, io.BytesIO(content))
    return path


def test_changed_archive_is_refused(written, tmp_path):
    def change(info: tarfile.TarInfo, content: bytes) -> bytes:
        return content.replace(b"of a user", b"of others") if info.name.startswith("artifacts") else content

    refused(Settings(home=tmp_path / "home"), rewritten(written, tmp_path / "x", change), "differ from the manifest")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "artifacts/../../evil"])
def test_entry_that_leaves_the_folder_is_refused(written, tmp_path, name):
    def change(info: tarfile.TarInfo, content: bytes) -> bytes:
        if info.name.startswith("artifacts"):
            info.name = name
        return content.replace(b"artifacts/1/poetry.lock", name.encode()) if info.name == archive.MANIFEST else content

    refused(Settings(home=tmp_path / "home"), rewritten(written, tmp_path / "x", change), "an entry that no backup has")


def test_link_is_refused(written, tmp_path):
    def change(info: tarfile.TarInfo, content: bytes) -> bytes:
        if info.name.startswith("artifacts"):
            info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            return b""
        return content

    refused(Settings(home=tmp_path / "home"), rewritten(written, tmp_path / "x", change), "an entry that no backup has")


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ({"format": "something else", "version": 1}, "an archive of something else"),
        ({"format": archive.FORMAT, "version": archive.VERSION + 1}, "format 2"),
    ],
)
def test_foreign_or_newer_archive_is_refused(written, tmp_path, header, match):
    def change(info: tarfile.TarInfo, content: bytes) -> bytes:
        return json.dumps(header).encode() if info.name == archive.HEADER else content

    refused(Settings(home=tmp_path / "home"), rewritten(written, tmp_path / "x", change), match)


def test_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no archive")

    refused(Settings(home=tmp_path / "home"), tmp_path / "notes.txt", "expected  a whole archive")
    refused(Settings(home=tmp_path / "home"), tmp_path / "missing", "no such file")


def test_archive_of_newer_tools_is_refused(written, tmp_path):
    def change(info: tarfile.TarInfo, content: bytes) -> bytes:
        return content.replace(b'"mlflow": "', b'"mlflow": "9') if info.name == archive.MANIFEST else content

    refused(Settings(home=tmp_path / "home"), rewritten(written, tmp_path / "x", change), "newer versions: mlflow 9")


def test_home_that_is_not_empty_is_refused_or_moved_aside(written, tmp_path):
    settings = Settings(home=tmp_path / "home")
    write(settings.home / "mine", "precious")
    refused(settings, written, "state that the archive would replace")

    backup.restore(settings, written, AT, print, replace=True)

    assert (tmp_path / "home.before-20240201T120000Z" / "mine").read_text() == "precious"
    assert not (settings.home / "mine").exists()


def test_state_of_a_broken_off_restore_does_not_start(tmp_path):
    settings = Settings(home=tmp_path)
    (tmp_path / versions.UNFINISHED).mkdir()

    with pytest.raises(StackError, match="a restore that was broken off"):
        versions.check(settings)


def test_secrets_come_along_only_when_asked(source, written, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "ENV", tmp_path / ".env")
    write(contents.ENV, "STACK_ALERT_URLS=ntfy://token@host/topic\n")
    without = backup.backup(source, tmp_path / "without", AT, print)
    with_them = backup.backup(source, tmp_path / "with", AT, print, secrets=contents.ENV)
    target = Settings(home=tmp_path / "home")
    refused(target, without, "no secrets", secrets=True)
    refused(target, with_them, "a file of this name", secrets=True)
    contents.ENV.unlink()

    backup.restore(target, with_them, AT, print, secrets=True)

    assert contents.ENV.read_text() == "STACK_ALERT_URLS=ntfy://token@host/topic\n"
    assert not (target.home / "secrets").exists()


def test_archive_that_is_there_is_kept(source, written):
    with pytest.raises(StackError, match="a file of this name"):
        backup.backup(source, written, AT, print)


def test_nothing_to_back_up(tmp_path):
    with pytest.raises(StackError, match="no state of a stack"):
        backup.backup(Settings(home=tmp_path), tmp_path, AT, print)
