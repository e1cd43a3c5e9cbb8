"""Migrations of the state database, by Alembic; a schema change is one more file in ``versions``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, func, inspect, select, table, text

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
    made = _engine(url)
    with made.connect() as connection:
        if revision(connection) == HEAD:
            return
    with made.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        if (found := revision(connection)) == HEAD:
            return
        if found and found > HEAD:
            raise StackError(
                made.url.render_as_string(),
                found=f"schema {found}, of a newer version of the stack",
                expected=f"at most {HEAD}",
                todo="check out the version that wrote it, or restore a backup of this one",
            )
        _run(connection)


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
