"""A backup of databases on a real PostgreSQL server, and the trial of its archive."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from stack.core import migrations
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import archive, backups, rehearsal, servers
from stack.ops.archive import Counts
from stack.ops.compose.backup import load_words
from stack.project import Project
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


@pytest.mark.parametrize(
    "attack", ["COPY (SELECT 1) TO PROGRAM 'id > {}';", "RESET ROLE; COPY (SELECT 1) TO PROGRAM 'id > {}';"]
)
def test_program_that_a_dump_names_is_not_run(postgres, tmp_path, attack):
    """The text of a view in the dump is replaced by statements of the same length."""
    socket = postgres.partition("host=")[2]
    environ, proof = os.environ | {"PGHOST": socket}, Path(socket) / "proof"
    admin = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE ROLE mlflow LOGIN"))
        connection.execute(text("CREATE DATABASE mlflow OWNER mlflow"))
        connection.execute(text(f"CREATE VIEW v AS SELECT '{'x' * 200}' AS x"))
    dump = tmp_path / "mlflow"
    subprocess.run(
        ["pg_dump", "--format=custom", "--username=state", "--table=v", f"--file={dump}", "postgres"],
        env=environ,
        check=True,
    )
    whole = dump.read_bytes()
    start = whole.index(b"CREATE VIEW")
    view = whole[start : whole.index(b"\n", whole.index(b"x" * 200, start))]
    dump.write_bytes(whole.replace(view, attack.format(proof).encode().ljust(len(view))))

    def restored(*words: str) -> int:
        with dump.open("rb") as stdin:
            return subprocess.run(words, env=environ, stdin=stdin, capture_output=True, check=False).returncode

    assert restored(*load_words("mlflow")) != 0
    assert not proof.exists()
    assert restored("pg_restore", "--username=state", "--role=mlflow", "--dbname=mlflow") in (0, 1)
    assert proof.exists() == attack.startswith("RESET")  # so it was as a superuser
