"""A table or query of a database, by SQLAlchemy; of long ones only the rows of the window are sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import URL, Connection, Engine, NullPool, column, create_engine, make_url, select, table, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError

from stack.core import secrets
from stack.core.errors import StackError, UnavailableError
from stack.kit.parquet import BATCH
from stack.sources import Query, key, require

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import ColumnElement, Select

    from stack.specification.sources import Sql

CHUNK = 50_000
"""Rows that are fetched at once."""
AROUND = timedelta(hours=3)
"""A clock of a zone repeats or skips less than this."""
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
READ_ONLY = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}
TIMEOUT = {"postgresql": {"connect_timeout": 10}, "mysql": {"connect_timeout": 10}}
LOGIN = re.compile(r"authentication|password|access denied|role .* does not exist|database .* does not exist", re.I)
NAMES = re.compile(
    r"no such (table|column|function)|syntax error|readonly|read-only|unable to open database file", re.I
)


def read(source: Sql, folder: Path, query: Query) -> pd.DataFrame:
    """Return the rows of about the window, asked for by the column with the time; all rows without one."""
    with _connected(source, folder) as connection:
        rows = _Rows(source, folder, query, connection)
        chunks = [*pd.read_sql_query(rows.of_window(), connection, chunksize=CHUNK)]
    return pd.concat(chunks, ignore_index=True)


def split(source: Sql, folder: Path, query: Query) -> list[datetime]:
    """Return instants that split a long window into batches, where the database orders by time."""
    with _connected(source, folder) as connection:
        return _Rows(source, folder, query, connection).ends() if query.time else []


class _Rows:
    """The rows of a table or query, of which those of a window can be selected."""

    def __init__(self, source: Sql, folder: Path, query: Query, connection: Connection) -> None:
        self._query, self._connection, self._zone = query, connection, ZoneInfo(source.zone)
        if source.table:
            schema, _, name = source.table.rpartition(".")
            self._all: Any = table(name, schema=schema or None)
        else:
            window = {"since": query.since, "until": query.until}
            bound = {name: at for name, at in window.items() if re.search(rf"(?<![:\w]):{name}\b", source.query)}
            self._all = text(f"({source.query.strip().rstrip(';')}) AS source_rows").bindparams(**bound)
        known = connection.execute(select(text("*")).select_from(self._all).limit(0)).keys()
        require(f"{key(folder, 'table' if source.table else 'query')}", query.columns, known)
        self._time: ColumnElement[Any] = column(query.time or "")

    def of_window(self) -> Select[Any]:
        """Return the statement that selects the wanted columns of the rows of about the window."""
        wanted = self._select(*map(column, self._query.columns) if self._query.columns else (text("*"),))
        wanted = wanted.limit(self._query.most)
        bounds = self._bounds() if self._query.time else None
        return wanted.where(self._time > bounds[0], self._time <= bounds[1]) if bounds else wanted

    def ends(self) -> list[datetime]:
        """Return an instant after each million rows of the window."""
        bounds, ends = self._bounds(), list[datetime]()
        while bounds and isinstance(bounds[0], datetime):
            later = self._select(self._time).where(self._time > bounds[0], self._time <= bounds[1])
            end = self._connection.execute(later.order_by(self._time).offset(BATCH).limit(1)).scalar()
            if end is None:
                break
            bounds = end, bounds[1]
            at = (end if end.tzinfo else end.replace(tzinfo=self._zone)).replace(microsecond=0)
            if max([self._query.since, *ends[-1:]]) < at < self._query.until:
                ends.append(at)
        return ends

    def _select(self, *columns: Any) -> Select[Any]:
        return select(*columns).select_from(self._all)

    def _bounds(self) -> tuple[Any, Any] | None:
        """Return the window as the database writes instants, or somewhat more; None where that is not known."""
        example = self._connection.execute(self._select(self._time).where(self._time.is_not(None)).limit(1)).scalar()
        since, until = self._query.since, self._query.until
        if isinstance(example, datetime) and example.tzinfo:
            return since, until
        local = [at.astimezone(self._zone).replace(tzinfo=None) for at in (since - AROUND, until + AROUND)]
        if isinstance(example, datetime):
            return local[0], local[1]
        days = local[0].date() - timedelta(days=1), local[1].date() + timedelta(days=2)
        if isinstance(example, date):
            return days
        is_iso = isinstance(example, str) and re.match(r"\d{4}-\d\d-\d\d", example)
        return (days[0].isoformat(), days[1].isoformat()) if is_iso else None


@contextmanager
def _connected(source: Sql, folder: Path) -> Iterator[Connection]:
    """Give a connection that can change nothing; turn the database's errors into ones that say what to do."""
    engine = _engine(source, folder)
    try:
        with engine.connect() as connection:
            if read_only := READ_ONLY.get(engine.dialect.name):
                connection.exec_driver_sql(read_only)
            yield connection.execution_options(stream_results=True)
    except DBAPIError as error:
        raise _explained(source, folder, error) from None


def _explained(source: Sql, folder: Path, error: DBAPIError) -> StackError:
    found = secrets.redact(" ".join(str(error.orig).split()))[:300]
    if LOGIN.search(found) and not NAMES.search(found):
        todo = "correct the user, password and database of the URL, in .env or here"
        return StackError(key(folder, "url"), found=found, expected="a login that the database accepts", todo=todo)
    if isinstance(error, OperationalError | InterfaceError) and not NAMES.search(found):
        todo = "look whether the database runs and its address is right"
        return UnavailableError(key(folder, "url"), found=found, expected="a database that answers", todo=todo)
    where = key(folder, "table" if source.table else "query")
    return StackError(
        where, found=found, expected="rows that can be read, and nothing that changes data", todo="fix it"
    )


def _engine(source: Sql, folder: Path) -> Engine:
    where = key(folder, "url")
    url = _url(source.url, folder, where)
    try:
        return create_engine(url, poolclass=NullPool, connect_args=TIMEOUT.get(url.drivername.split("+")[0], {}))
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        found, expected = str(error), "a database whose driver is installed"
        todo = "install its driver: .venv/bin/uv pip install pymysql, for mysql+pymysql://"
        raise StackError(where, found=found, expected=expected, todo=todo) from None


def _url(written: str, folder: Path, where: str) -> URL:
    """Return the address with its secrets, whatever characters a password has."""
    whole = secrets.REFERENCE.fullmatch(written)
    try:
        url = make_url(secrets.resolve(written, where) if whole else written)
    except ArgumentError:
        expected = "a URL like postgresql://me:${SALES_PASSWORD}@nas/sales"
        raise StackError(where, found="no SQLAlchemy URL", expected=expected, todo="correct it") from None
    if not whole:
        for name in ("username", "password", "host", "database"):
            url = url.set(**{name: secrets.resolve(getattr(url, name) or "", where) or None})  # type: ignore[arg-type]
    if url.drivername.startswith("sqlite") and url.database:
        path = folder / url.database
        if not path.is_file():
            raise StackError(where, found=f"no file {path}", expected="a database of SQLite", todo="correct the path")
        return url.set(database=str(path))
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
