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
"""Key of PostgreSQL's advisory lock during an upgrade."""


def upgrade(url: str) -> None:
    """Upgrade a state database to HEAD, from any earlier schema or from an empty database.

    In one transaction: a killed upgrade changes nothing, and of two processes the second finds nothing to do.

    Raises:
        StackError: a newer version of the stack wrote the database.
    """
    parsed = make_url(url)
    if parsed.drivername.startswith("sqlite"):
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = _engine(url)
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        if (current := revision(connection)) == HEAD:
            return
        _refuse_newer(engine, current)
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
