"""A database is asked for the rows of the window alone, changes nothing, and says what is wrong."""

import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pandas as pd
import pytest
from sqlalchemy import event, text

from stack import sources
from stack.core.errors import StackError, UnavailableError
from stack.sources import Query, sql
from tests.stack.sources.conftest import FIRST, LAST, declared, documented
from tests.stack.sources.processes import Postgres
from tests.stacks import free_ports

START = datetime(2024, 3, 30, 12, tzinfo=UTC)
"""The clocks of Berlin are changed in the night after it."""
HOUR = timedelta(hours=1)
ROWS = 72
SCHEMA = """
CREATE SCHEMA shop;
CREATE TABLE shop.sales (id int PRIMARY KEY, aware timestamptz, local timestamp, day date, words text, amount numeric);
INSERT INTO shop.sales SELECT number, at, at AT TIME ZONE 'Europe/Berlin', (at AT TIME ZONE 'Europe/Berlin')::date,
    to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), number * 1.5
FROM (SELECT number, timestamptz '2024-03-30 12:00Z' + number * interval '1 hour' AS at
    FROM generate_series(0, 71) number) rows;
"""


@pytest.fixture(scope="module")
def postgres():
    with TemporaryDirectory() as folder, Postgres(Path(folder)) as server:
        with server.engine.begin() as connection:
            connection.execute(text(SCHEMA))
        yield server
        server.engine.dispose()


@pytest.fixture(autouse=True)
def secret(env):
    env(SALES_PASSWORD=f"'{Postgres.password}'")


def section(server: Postgres, **keys: str) -> dict[str, str]:
    where = {} if "query" in keys else {"table": "shop.sales"}
    return {"kind": "sql", "url": server.url, "zone": "Europe/Berlin"} | where | keys


@pytest.mark.parametrize(("time", "spare"), [("aware", 0), ("local", 7), ("day", 130), ("words", 130)])
def test_any_windows_hold_each_row_and_few_others(postgres, read, time, spare):
    chance = random.Random(3)
    for _ in range(20):
        first, last = sorted(chance.sample(range(-2, 75), 2))
        rows = read(section(postgres), ["id", time], time, START + first * HOUR, START + last * HOUR)
        wanted = {number for number in range(ROWS) if first < number <= last}
        assert wanted <= set(rows["id"]) and len(rows) - len(wanted) <= spare


def test_types_are_those_of_the_table(postgres, read):
    rows = read(section(postgres), ["aware", "amount", "id"], "aware")
    assert len(rows) == ROWS and list(rows) == ["aware", "amount", "id"]
    assert rows["amount"].dtype == float and rows["id"].dtype == int
    assert list(pd.to_datetime(rows["aware"], utc=True)) == [START + number * HOUR for number in range(ROWS)]


def test_a_query_may_name_the_window(postgres, read):
    query = "SELECT id, aware AS at FROM shop.sales WHERE aware > :since AND aware <= :until AND id::int % 2 = 0;"
    rows = read(section(postgres, query=query), ["id", "at"], "at", START, START + 6 * HOUR)
    assert list(rows["id"]) == [2, 4, 6]


def test_the_page_from_a_database_is_as_it_is_said(postgres, read, env):
    password = quote(Postgres.password, safe="")
    env(SALES_DB=f"postgresql://me:{password}@127.0.0.1:{postgres.port}/postgres")
    (section,) = documented("from-a-database.md")
    assert len(read(section, ["id", "local"], "local", START, START + HOUR)) <= 7
    assert len(read(section, ["id"])) == ROWS


def test_a_query_without_time_gives_all_rows(postgres, read):
    rows = read(section(postgres, query="WITH s AS (SELECT id FROM shop.sales) SELECT * FROM s"), ["id"])
    assert len(rows) == ROWS


def test_an_empty_table_has_its_columns(postgres, read):
    rows = read(section(postgres, query="SELECT * FROM shop.sales WHERE false"), ["id", "aware"], "aware")
    assert rows.empty and list(rows) == ["id", "aware"]


def test_a_corrected_row_comes_again_by_the_instant_of_its_change(postgres, read):
    with postgres.engine.begin() as connection:
        connection.execute(text("CREATE TABLE readings (id int, value int, changed_at timestamptz)"))
        connection.execute(text("INSERT INTO readings VALUES (1, 10, '2024-01-01Z'), (2, 20, '2024-01-02Z')"))
    words = section(postgres, table="readings"), ["id", "value"], "changed_at"
    assert list(read(*words, FIRST, datetime(2024, 1, 3, tzinfo=UTC))["value"]) == [10, 20]
    with postgres.engine.begin() as connection:
        connection.execute(text("UPDATE readings SET value = 11, changed_at = '2024-01-05Z' WHERE id = 1"))
    assert list(read(*words, datetime(2024, 1, 3, tzinfo=UTC), LAST)["value"]) == [11]


@pytest.mark.parametrize(
    ("keys", "columns", "key", "message"),
    [
        ({"table": "shop.sale"}, ["id"], "table", 'relation "shop.sale" does not exist'),
        ({}, ["idd"], "table", "did you mean 'id'"),
        ({"query": "SELEC 1"}, ["id"], "query", "syntax error"),
        (
            {"query": "SELECT nextval('n') AS id"},
            ["id"],
            "query",
            "cannot execute nextval() in a read-only transaction",
        ),
        ({"query": "DELETE FROM shop.sales RETURNING id"}, ["id"], "query", "syntax error"),
        ({"url": "postgresql://me:${WRONG}@127.0.0.1:{port}/postgres"}, ["id"], "url", "authentication failed"),
        ({"url": "postgresql://me:${SALES_PASSWORD}@127.0.0.1:{port}/sales"}, ["id"], "url", '"sales" does not exist'),
        ({"url": "${NO_DB}"}, ["id"], "url", "which .env does not define"),
        ({"url": "${NO_URL}"}, ["id"], "url", "no SQLAlchemy URL"),
        ({"url": "oracle+nodriver://me@nas/sales"}, ["id"], "url", "a database whose driver is installed"),
        ({"url": "mysql://me@nas/sales"}, ["id"], "url", "uv pip install pymysql"),
        ({"url": "sqlite:///none.db", "table": "sales"}, ["id"], "url", "a database of SQLite"),
    ],
)
def test_what_is_wrong_is_said_at_once_and_without_a_secret(postgres, read, env, keys, columns, key, message):
    env(SALES_PASSWORD=f"'{Postgres.password}'", WRONG="wrong-password", NO_URL="hush-hush")
    with postgres.engine.begin() as connection:
        connection.execute(text("CREATE SEQUENCE IF NOT EXISTS n"))
    if "url" in keys:
        keys["url"] = keys["url"].replace("{port}", str(postgres.port))
    with pytest.raises(StackError) as caught:
        read(section(postgres, **keys), columns)
    assert f"project.yaml, key source.{key}" in str(caught.value) and message in str(caught.value)
    assert not isinstance(caught.value, UnavailableError)
    assert not any(value in str(caught.value) for value in (Postgres.password, "wrong-password", "hush-hush"))


def test_a_database_that_is_away_may_come_back(postgres, read):
    url = f"postgresql://me:${{SALES_PASSWORD}}@127.0.0.1:{free_ports(1)[0]}/sales"
    with pytest.raises(UnavailableError, match="a database that answers") as caught:
        read(section(postgres, url=url), ["id"])
    assert Postgres.password not in str(caught.value)


def test_a_server_that_dies_and_comes_back_is_read_again(read):
    with TemporaryDirectory() as folder, Postgres(Path(folder)) as server:
        with server.engine.begin() as connection:
            connection.execute(text(SCHEMA))
        server.engine.dispose()
        server.kill()
        (Path(folder) / "data" / "postmaster.pid").unlink(missing_ok=True)
        with pytest.raises(UnavailableError):
            read(section(server), ["id"], "aware")
        server.start()
        assert len(read(section(server), ["id"], "aware")) == ROWS
        server.engine.dispose()


def test_a_long_window_is_split_where_the_rows_are(postgres, tmp_path, monkeypatch):
    monkeypatch.setattr(sql, "BATCH", 20)
    for time, zone in (("aware", "UTC"), ("local", "Europe/Berlin")):
        query = Query(["id"], time, FIRST, LAST)
        ends = sources.split(declared(section(postgres, zone=zone)), tmp_path, query)
        assert ends == [START + number * HOUR for number in (20, 41, 62)]
    assert sources.split(declared(section(postgres)), tmp_path, Query(["id"], None, FIRST, LAST)) == []


def test_only_the_window_is_sent(postgres, tmp_path, read):
    with pytest.MonkeyPatch.context() as patch:
        asked = []
        make = sql.create_engine

        def listening(*arguments, **words):
            engine = make(*arguments, **words)
            event.listen(engine, "before_cursor_execute", lambda c, u, statement, values, *_: asked.append(statement))
            return engine

        patch.setattr(sql, "create_engine", listening)
        read(section(postgres), ["id"], "aware", START, START + HOUR)
    assert asked[0] == "SET TRANSACTION READ ONLY" and "aware > %(aware_1)s" in asked[-1]
    assert "SELECT id" in asked[-1] and "*" not in asked[-1]


def test_a_file_of_sqlite_is_read_below_the_project_and_not_changed(tmp_path, read):
    with sqlite3.connect(tmp_path / "home.db") as connection:
        connection.execute("CREATE TABLE readings (at DATETIME, value REAL)")
        rows = [((START + number * HOUR).strftime("%Y-%m-%d %H:%M:%S"), number) for number in range(ROWS)]
        connection.executemany("INSERT INTO readings VALUES (?, ?)", rows)
    before = (tmp_path / "home.db").read_bytes()
    keys = {"kind": "sql", "url": "sqlite:///home.db", "table": "readings"}
    rows = read(keys, ["at", "value"], "at", START + HOUR, START + 2 * HOUR)
    assert 2 in set(rows["value"]) and len(rows) < ROWS
    with pytest.raises(StackError, match="no such column|no such table"):
        read(keys | {"table": "reading"}, ["at"], "at")
    assert (tmp_path / "home.db").read_bytes() == before
