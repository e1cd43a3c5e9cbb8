"""A database of every earlier version of the stack is read as if it had been written today."""

import json
import multiprocessing
import random
import sqlite3
import string
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import pandas as pd
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import StatementError

from stack.core import database, migrations
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.promotion import decisions
from stack.specification import specs

require_current = migrations.require_current  # while tests run, a fixture migrates instead
FIRST = """
CREATE TABLE clocks (project VARCHAR NOT NULL, now {instant} NOT NULL, PRIMARY KEY (project));
CREATE TABLE predictions (
    id VARCHAR(36) NOT NULL, project VARCHAR NOT NULL, asked_at {instant} NOT NULL, answered_at {instant} NOT NULL,
    event_key VARCHAR NOT NULL, request JSON NOT NULL, features JSON NOT NULL, features_at {instant},
    model_version VARCHAR NOT NULL, probability FLOAT NOT NULL, decision BOOLEAN NOT NULL, label INTEGER,
    label_at {instant}, PRIMARY KEY (id)
);
CREATE INDEX predictions_by_time ON predictions (project, asked_at);
CREATE INDEX predictions_by_event ON predictions (project, event_key);
"""
"""The tables of the first version; the later ones came without a migration."""
SHADOWS = """
CREATE TABLE shadows (
    id VARCHAR(36) NOT NULL, model_version VARCHAR NOT NULL, project VARCHAR NOT NULL, probability FLOAT NOT NULL,
    PRIMARY KEY (id, model_version)
);
INSERT INTO shadows VALUES ('a', '8', 'flights', 0.3), ('b', '8', 'flights', 0.4);
"""
AT = "2013-03-01 06:00:00.000000"
ROWS = [("a", 0.1 + 0.2, "false", "1"), ("b", 1 / 3, "false", "NULL"), ("c", 5e-324, "true", "0")]


def old(url: str, *scripts: str) -> Settings:
    """A database as an earlier version left it, with three predictions and a clock."""
    is_file = url.startswith("sqlite")
    engine = create_engine(url)
    request = json.dumps(
        {
            "carrier": "UA",
            "origin": "EWR",
            "dest": "ORD",
            "sched_dep": "2013-03-01T13:00:00Z",
            "sched_arr": "2013-03-01T15:37:00Z",
        }
    )
    with engine.begin() as connection:
        for statement in ";".join(scripts).format(instant="DATETIME" if is_file else "TIMESTAMPTZ").split(";"):
            if statement.strip():
                connection.execute(text(statement))
        connection.execute(text(f"INSERT INTO clocks VALUES ('flights', '{AT}{'' if is_file else 'Z'}')"))
        for name, probability, decision, label in ROWS:
            at = AT if is_file else f"{AT}Z"
            words = f"'{name}', 'flights', '{at}', '{at}', 'key', :request, '{{\"temp\": 39.5}}', NULL, '7', :p"
            connection.execute(
                text(f"INSERT INTO predictions VALUES ({words}, {decision}, {label}, NULL)"),
                {"request": request, "p": probability},
            )
    engine.dispose()
    return Settings(state_database=url)


def opened(settings: Settings) -> pd.DataFrame:
    """The log, as a process that has never seen the database reads it."""
    database.engine.cache_clear()
    since, until = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)
    return Project(settings, specs.load("flights")).log.read(since, until)


def check(settings: Settings) -> None:
    """Every row of ROWS is read, and the schema is that of the code."""
    spec, rows = specs.load("flights"), opened(settings).set_index("id")
    assert rows["probability"].to_dict() == {name: probability for name, probability, *_ in ROWS}
    assert rows["decision"].to_dict() == {"a": False, "b": False, "c": True}
    assert rows["label"].dropna().to_dict() == {"a": 1, "c": 0}
    assert set(rows["temp"]) == {39.5} and set(rows["dest"]) == {"ORD"}
    assert Project(settings, spec).clock.now() == datetime(2013, 3, 1, 6, tzinfo=UTC)
    assert decisions.entries(Project(settings, spec)) == []
    labels = {"b": (1.0, datetime(2013, 3, 2, tzinfo=UTC))}
    assert Project(settings, spec).log.label_predictions(labels) == {"b"}
    assert opened(settings).set_index("id")["label"]["b"] == 1
    with database.engine(settings.state_database).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migrations.VERSION_TABLE})
        assert compare_metadata(context, database.metadata) == []
        assert migrations.revision(connection) == migrations.HEAD


def test_a_database_of_the_first_version_keeps_its_rows(tmp_path):
    check(old(f"sqlite:///{tmp_path}/state.db", FIRST))


def test_a_server_s_database_of_the_first_version_keeps_its_rows(postgres):
    check(old(postgres, FIRST))


KEYS = ['["UA","EWR"]', '["' + "x" * 2000 + '"]']


def hashed(url: str) -> list[str]:
    """The keys of two events, upgraded from a schema that stored them as text."""
    made = create_engine(url)
    settings = old(url, FIRST)
    with made.begin() as connection:
        for name, key in zip("ab", KEYS, strict=True):
            connection.execute(text("UPDATE predictions SET event_key = :key WHERE id = :id"), {"key": key, "id": name})
    made.dispose()
    check(settings)
    with database.engine(settings.state_database).connect() as connection:
        return list(connection.execute(text("SELECT event_key FROM predictions ORDER BY id")).scalars())


def test_the_keys_of_events_become_hashes(tmp_path):
    expected = [blake2b(key.encode(), digest_size=16).hexdigest() for key in (*KEYS, "key")]
    assert hashed(f"sqlite:///{tmp_path}/state.db") == expected


def test_a_server_s_keys_of_events_become_hashes_and_long_texts_are_logged(postgres):
    expected = [blake2b(key.encode(), digest_size=16).hexdigest() for key in (*KEYS, "key")]
    assert hashed(postgres) == expected
    spec, at = specs.load("flights"), datetime(2013, 3, 2, tzinfo=UTC)
    log = Project(Settings(state_database=postgres), spec).log
    noise = random.Random(0).choices(string.ascii_letters, k=4000)  # which PostgreSQL cannot compress
    request = dict.fromkeys(spec.request, at) | {"carrier": "".join(noise), "origin": "EWR", "dest": "ORD"}
    log.write([Prediction("d", at, at, request, {}, None, "7", {"probability": 0.5, "decision": True})])
    frame = log.read(at - timedelta(hours=1), at)
    assert frame["id"].tolist() == ["d"] and frame.attrs["unreadable"] == 0


def test_a_server_s_rows_that_cannot_be_read_are_left_out(postgres):
    settings = old(postgres, FIRST)
    migrations.upgrade(postgres)
    changes = ["label_at = 'infinity'", "features_at = '0044-03-15 BC'", "answer = '[]'"]
    with database.engine(postgres).begin() as connection:
        for (name, *_), change in zip(ROWS, changes, strict=True):
            connection.execute(text(f"UPDATE predictions SET {change} WHERE id = '{name}'"))
    frame = opened(settings)
    assert frame.empty and frame.attrs["unreadable"] == 3


def test_shadows_are_kept(tmp_path):
    settings = old(f"sqlite:///{tmp_path}/state.db", FIRST, SHADOWS)
    check(settings)
    since, until = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)
    rows = Project(settings, specs.load("flights")).log.read_shadows(since, until).set_index("id")
    assert rows["probability_shadow"].to_dict() == {"a": 0.3, "b": 0.4}


def test_a_new_database_has_the_tables_of_the_code(tmp_path):
    settings = Settings(home=tmp_path)
    assert opened(settings).empty
    with database.engine(settings.state_database).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migrations.VERSION_TABLE})
        assert compare_metadata(context, database.metadata) == []


def test_an_upgrade_that_fails_changes_nothing(tmp_path, monkeypatch):
    settings = old(f"sqlite:///{tmp_path}/state.db", FIRST)

    def dump() -> list[str]:
        return list(sqlite3.connect(make_url(settings.state_database).database).iterdump())

    before = dump()
    monkeypatch.setattr("json.dumps", lambda *_, **__: 1 / 0)
    with pytest.raises(StatementError, match="division by zero"):
        opened(settings)
    assert dump() == before
    monkeypatch.undo()
    check(settings)


def test_a_database_that_is_not_migrated_is_refused_and_left_alone(tmp_path):
    settings = old(f"sqlite:///{tmp_path}/state.db", FIRST)
    nowhere = f"sqlite:///{tmp_path}/nowhere/state.db"

    for url in (settings.state_database, nowhere):
        with pytest.raises(StackError, match="no tables of the stack|schema") as refused:
            require_current(url)
        assert refused.value.todo == "run `make up`"
    assert not (tmp_path / "nowhere").exists()

    migrations.upgrade(settings.state_database)
    require_current(settings.state_database)


def test_two_processes_upgrade_once(tmp_path):
    settings = old(f"sqlite:///{tmp_path}/state.db", FIRST)
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=migrations.upgrade, args=(settings.state_database,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    check(settings)


def test_a_database_of_a_newer_version_is_left_alone(tmp_path):
    settings = old(f"sqlite:///{tmp_path}/state.db", FIRST)
    check(settings)
    with database.engine(settings.state_database).begin() as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version_num = '9999'")
    with pytest.raises(StackError, match="schema 9999, of a newer version of the stack"):
        opened(settings)


def test_head_is_the_last_migration():
    config = Config()
    config.set_main_option("script_location", migrations.__path__[0])
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD
