"""Migrations of the state database, by Alembic: a file in ``versions`` for each change of the schema."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, func, inspect, select, table, text

from stack.core.errors import StackError

HEAD = "0011"
"""The schema that this code reads and writes: the revision of the last file in ``versions``."""
VERSION_TABLE = "schema_version"
LOCK = 1
"""Key of PostgreSQL's advisory lock during an upgrade."""


def upgrade(url: str) -> None:
    """Upgrade a state database to HEAD, from any earlier schema or from an empty database.

    In a transaction: a killed upgrade changes nothing, and the second of two processes has nothing to do. StackError
    where a newer version of the stack wrote the database.
    """
    engine = _engine(url)
    if engine.dialect.name == "sqlite":
        Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        current = revision(connection)
        _refuse_newer(engine, current)
        if current != HEAD:
            _run(connection)


def require_current(url: str) -> None:
    """Refuse, by a StackError, a state database that has not been migrated to HEAD; change nothing."""
    engine, current = _engine(url), None
    if engine.dialect.name != "sqlite" or Path(str(engine.url.database)).exists():
        with engine.connect() as connection:
            current = revision(connection)
    _refuse_newer(engine, current)
    if current != HEAD:
        raise StackError(
            engine.url.render_as_string(),
            found=f"schema {current}" if current else "no tables of the stack",
            expected=f"schema {HEAD}, as the services make it when they start",
            todo="run `make up`",
        )


def _refuse_newer(engine: Engine, current: str | None) -> None:
    if current and current > HEAD:
        raise StackError(
            engine.url.render_as_string(),
            found=f"schema {current}, of a newer version of the stack",
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
    """Keep Python's driver from committing before a change of the schema; wait for another process's lock.

    The mode of the journal is that of all later connections: services that start at once cannot all change it.
    """
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=60000")
    connection.execute("PRAGMA journal_mode=WAL")
