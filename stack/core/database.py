"""The state database, whose tables ``stack/core/migrations`` creates: clocks, predictions, decisions, and others.

SQLite in WAL mode in the local runtime, PostgreSQL in Docker Compose; the URL decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    cast,
    create_engine,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite

from stack.core import migrations

metadata = MetaData()

clocks = Table(
    "clocks",
    metadata,
    Column("project", String, primary_key=True),
    Column("now", DateTime(timezone=True), nullable=False),
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project", String, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),  # on the project's clock
    Column("answered_at", DateTime(timezone=True), nullable=False),  # on the wall clock
    Column("event_key", String, nullable=False),  # a hash: no text exceeds what an index holds
    Column("request", JSON, nullable=False),
    Column("features", JSON, nullable=False),
    Column("features_at", DateTime(timezone=True)),
    Column("model_version", String, nullable=False),
    Column("answer", JSON, nullable=False),  # what the caller received of it
    Column("reasons", JSON(none_as_null=True)),  # where they were asked for
    Column("label", Float),  # encoded, as Task.encode says
    Column("label_at", DateTime(timezone=True)),
    Index("predictions_by_time", "project", "asked_at"),
    Index("predictions_by_event", "project", "event_key"),
    Index("predictions_by_age", "answered_at"),
)

shadows = Table(
    "shadows",
    metadata,
    Column("id", String(36), primary_key=True),  # of the prediction
    Column("model_version", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("answer", JSON, nullable=False),  # what the caller would have received
)

decisions = Table(
    "decisions",
    metadata,
    Column("project", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("version", String, nullable=False),
    Column("champion", String),
    Column("at", DateTime(timezone=True), nullable=False),  # on the project's clock
    Column("decided_at", DateTime(timezone=True), nullable=False),  # on the wall clock
    Column("reason", String, nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("state", String, nullable=False),
)

corrections = Table(  # of intervals, from the newest labelled answers of a version
    "corrections",
    metadata,
    Column("project", String, primary_key=True),
    Column("model_version", String, primary_key=True),
    Column("correction", Float, nullable=False),
    Column("rows", Integer, nullable=False),  # that it is from
    Column("at", DateTime(timezone=True), nullable=False),  # on the project's clock
)

actions = Table(  # of people in the browser
    "actions",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),  # on the wall clock
    Column("caller", String, nullable=False),
    Column("project", String, nullable=False),  # or empty
    Column("action", String, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("outcome", String, nullable=False),
    Index("actions_by_project", "project", "number"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False),  # SHA-256 of the whole token
    Column("project", String, nullable=False),  # or "all"
    Column("purposes", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),  # on the wall clock, as is the next one
    Column("used_at", DateTime(timezone=True)),
)

outbox = Table(
    "outbox",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("project", String, nullable=False),
    Column("sink", String, nullable=False),
    Column("message", JSON, nullable=False),
    Column("waits_since", DateTime(timezone=True), nullable=False),  # on the wall clock
    Index("outbox_by_sink", "project", "sink", "number"),
)

messages = Table(  # of MQTT brokers, and pushed rows, as they came: the inboxes of projects
    "messages",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("project", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("packet", Integer, nullable=False),  # the broker's number of the message until it is acknowledged
    Column("received_at", DateTime(timezone=True), nullable=False),  # on the wall clock, after every earlier one
    Index("messages_by_time", "project", "received_at"),
    Index("messages_by_packet", "project", "packet", "number"),
)

inboxes = Table(
    "inboxes",
    metadata,
    Column("project", String, primary_key=True),
    Column("newest", DateTime(timezone=True), nullable=False),  # what comes from now on gets a later instant
    Column("ingested", DateTime(timezone=True)),  # the lake has what came until then
)

scheduled = Table(
    "scheduled",
    metadata,
    Column("project", String, primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False),  # on the project's clock: what is before is answered
)


@lru_cache(maxsize=4)
def engine(url: str) -> Engine:
    """Return the engine of the state database; a StackError says that it has not been migrated."""
    migrations.require_current(url)
    is_file = url.startswith("sqlite")
    new = create_engine(url, json_serializer=_json, json_deserializer=from_json, pool_pre_ping=not is_file)
    if is_file:
        event.listen(new, "connect", _configure)
    return new


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows with the same columns; a row whose primary key is there stays as it is.

    The driver is given text and tuples, as SQLAlchemy compiles a dialect's insert with ON CONFLICT anew for each
    execution, and makes the parameters of each row anew: half of the time of the insert.
    """
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    into, values = f"{table.name} ({', '.join(rows[0])})", ", ".join([mark] * len(rows[0]))
    columns = [_stored(connection, table.c[name], [row[name] for row in rows]) for name in rows[0]]
    insert = f"INSERT INTO {into} VALUES ({values}) ON CONFLICT DO NOTHING"  # noqa: S608
    connection.exec_driver_sql(insert, [*zip(*columns, strict=True)])


def _stored(connection: Connection, column: Column[Any], values: Sequence[Any]) -> Iterable[Any]:
    """Return values of a column as the database's driver takes them."""
    convert = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if convert is None:
        return values
    if isinstance(column.type, JSON):
        return map(convert, values)
    converted = {value: convert(value) for value in {*values}}  # most rows have the same instants
    return [converted[value] for value in values]


def insert_new_returning(connection: Connection, column: Column[Any]) -> Any:
    """Return the statement that inserts rows as `insert_new` does, and returns this column of those that are new."""
    return _insert(connection, column.table).on_conflict_do_nothing().returning(column)


def upsert(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row; one with the same primary key is replaced."""
    keys = [column.name for column in table.primary_key]
    connection.execute(_insert(connection, table).values(row).on_conflict_do_update(index_elements=keys, set_=row))


def _insert(connection: Connection, table: Table) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def as_text(column: Column[Any]) -> ColumnElement[Any]:
    """Select an instant or JSON as text, so that a value that cannot be read ends no query."""
    return cast(column, String) if isinstance(column.type, DateTime | JSON) else column


def in_utc(stored: datetime) -> datetime:
    """Return a stored instant in UTC: SQLite returns it without its zone, PostgreSQL in the session's."""
    return stored.astimezone(UTC) if stored.tzinfo else stored.replace(tzinfo=UTC)


def _json(value: Any) -> str:
    """Return a column's JSON: instants as ISO 8601, NaN as null; four times as fast as the standard library."""
    return to_json(value, inf_nan_mode="null").decode()


def _configure(connection: Any, _: Any) -> None:
    """Set WAL for readers beside a writer, and FULL so that a commit has reached the disk when it returns."""
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
