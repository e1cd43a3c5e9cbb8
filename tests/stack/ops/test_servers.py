"""A backup of databases on a real PostgreSQL server, and the trial of its archive."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from stack.core import migrations
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import archive, backups, rehearsal, servers
from stack.ops.archive import Counts
from stack.project import Project
from tests.stack.core.test_migrations import postgres as postgres
from tests.stack.ops.local.test_backup import AT, answer, fill

TABLES = (
    "CREATE TABLE registered_model_aliases (name text, version integer, alias text)",
    "CREATE TABLE runs (run_uuid text)",
    "INSERT INTO runs VALUES ('one')",
)


@pytest.fixture
def stack(tmp_path: Path, toy, postgres: str) -> Settings:
    if not shutil.which("pg_dump"):
        pytest.skip("PostgreSQL is not installed")
    names = ("mlflow_database", "prefect_database", "feast_registry", "state_database")
    migrations.upgrade(postgres)
    with create_engine(postgres).begin() as connection:
        for statement in TABLES:
            connection.execute(text(statement))
    home = fill(tmp_path / "home", toy).home
    settings = Settings(home=home, backup_folder=tmp_path / "backups", **dict.fromkeys(names, postgres))
    Project(settings, toy).log.write([answer() for _ in range(3)])
    return settings


def test_databases_of_a_server_are_dumped_counted_and_tried_out(stack, tmp_path):
    file = tmp_path / "backups" / "stack-x.tar.gz"
    backups.create(stack, file, AT, print)

    manifest = archive.verify(file)
    assert manifest.databases == dict.fromkeys(("prefect", "state", "mlflow", "feast"), "postgresql")
    assert manifest.counts == Counts(champions={}, runs=1, predictions=3)
    rehearsal.rehearse(stack, file, print)
    assert not list(stack.home.glob(".rehearsal-*"))


def test_dump_that_is_cut_short_is_refused(stack, tmp_path):
    servers.dump(stack, tmp_path)
    cut = tmp_path / "state"
    servers.check(cut)
    cut.write_bytes(cut.read_bytes()[:-2000])

    with pytest.raises(StackError, match="pg_restore"):
        servers.check(cut)
