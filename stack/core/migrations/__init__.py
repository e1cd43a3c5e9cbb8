"""Migrations of the state database, by Alembic; a schema change is one more file in ``versions``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, func, inspect, make_url, select, table, text

from stack.core.errors import StackError

HEAD = "0003"
"""The schema that this code reads and writes: the revision of the last file in ``versions``."""
VERSION_TABLE = "schema_version"
LOCK = 1
"""Key of the advisory lock that PostgreSQL holds while tables are made or changed."""


def upgrade(url: str) -> None:
    """Take a state database to HEAD, from whatever a version of the stack left, or from nothing.

    In one transaction: a killed upgrade has changed nothing, and of two processes the second finds it done.

    Raises:
        StackError: a newer version of the stack has written the database.
    """
    parsed = make_url(url)
    if parsed.drivername.startswith("sqlite"):
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    made = _engine(url)
    with made.connect() as connection:
        if revision(connection) == HEAD:
            return
    with made.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        if (found := revision(connection)) == HEAD:
            return
        _refuse_newer(made, found)
        _run(connection)


def require_current(url: str) -> None:
    """Refuse a state database that has not been migrated to HEAD; change nothing.

    Raises:
        StackError: an older version of the stack, a newer one or none has written the database.
    """
    made = _engine(url)
    is_file = made.dialect.name == "sqlite"
    if is_file and not Path(str(made.url.database)).exists():
        found = None
    else:
        with made.connect() as connection:
            found = revision(connection)
    _refuse_newer(made, found)
    if found != HEAD:
        raise StackError(
            made.url.render_as_string(),
            found=f"schema {found}" if found else "no tables of the stack",
            expected=f"schema {HEAD}, as the services make it when they start",
            todo="run `make up`",
        )


def _refuse_newer(engine: Engine, found: str | None) -> None:
    if found and found > HEAD:
        raise StackError(
            engine.url.render_as_string(),
            found=f"schema {found}, of a newer version of the stack",
            expected=f"at most {HEAD}",
            todo="check out the version that wrote it, or restore a backup of this one",
        )


def revision(connection: Connection) -> str | None:
    """The schema's revision; None before there was one."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(text("version_num")).select_from(table(VERSION_TABLE))).scalar()


def _run(connection: Connection) -> None:
    from alembic import command  # 0.2 s that only an upgrade pays
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent))
    command.upgrade(config, "head")


def _engine(url: str) -> Engine:
    made = create_engine(url, poolclass=NullPool)
    if made.dialect.name == "sqlite":
        event.listen(made, "connect", _by_hand)
        event.listen(made, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return made


def _by_hand(connection: Any, _: Any) -> None:
    """Keep Python's driver from committing around a change of the schema; wait for another process's."""
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=60000")
