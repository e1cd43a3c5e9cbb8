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
"""Key of PostgreSQL's advisory lock during an upgrade."""


def upgrade(url: str) -> None:
    """Upgrade a state database to HEAD, from any earlier schema or from an empty database.

    In one transaction: a killed upgrade changes nothing, and of two processes the second finds nothing to do.

    Raises:
        StackError: a newer version of the stack wrote the database.
    """
    engine = _engine(url)
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        if (current := revision(connection)) == HEAD:
            return
        if current and current > HEAD:
            raise StackError(
                engine.url.render_as_string(),
                found=f"schema {current}, of a newer version of the stack",
                expected=f"at most {HEAD}",
                todo="check out the version that wrote it, or restore a backup of this one",
            )
        _run(connection)


def revision(connection: Connection) -> str | None:
    """Return the schema's revision; None where the database has none."""
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
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _disable_autocommit)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _disable_autocommit(connection: Any, _: Any) -> None:
    """Keep Python's driver from committing before a change of the schema; wait for another process's lock."""
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=60000")
