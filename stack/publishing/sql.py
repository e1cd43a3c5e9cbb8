"""Write answers to a table of any database that SQLAlchemy knows."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    insert,
    inspect,
    select,
)
from sqlalchemy.schema import CreateColumn

from stack.core.settings import Settings
from stack.publishing.messages import columns
from stack.publishing.outbox import Message
from stack.specification.sinks import Sql
from stack.specification.specs import ProjectSpec

TYPES: dict[type, Any] = {
    str: Text(),
    bool: Boolean(),
    int: BigInteger(),
    float: Double(),
    datetime: DateTime(timezone=True),
}
KEY = "prediction_id"


class Receiver:
    """A table with a row for each answer, which this sink alone writes."""

    def __init__(self, settings: Settings, spec: ProjectSpec, sink: Sql) -> None:
        kinds = columns(spec)
        key = Column(KEY, String(36), primary_key=True)
        others = [Column(name, TYPES[kind]) for name, kind in kinds.items() if name != KEY]
        self.table = Table(sink.table or f"{spec.name}_predictions", MetaData(), key, *others)
        self._instants = [name for name, kind in kinds.items() if kind is datetime]
        self._engine = create_engine(sink.url, pool_size=1, pool_pre_ping=True, hide_parameters=True)
        self._is_ready = False

    def deliver(self, messages: Sequence[Message]) -> Iterator[int]:
        """Insert the answers that the table lacks, in one transaction."""
        if not messages:
            return
        with self._engine.begin() as connection:
            if not self._is_ready:
                self._prepare(connection)
                self._is_ready = True
            key = self.table.c[KEY]
            there = {*connection.execute(select(key).where(key.in_([m[KEY] for m in messages]))).scalars()}
            if rows := [self._row(message) for message in messages if message[KEY] not in there]:
                connection.execute(insert(self.table), rows)
        yield len(messages)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _prepare(self, connection: Connection) -> None:
        """Create the table, or the columns that an existing one lacks."""
        self.table.create(connection, checkfirst=True)
        existing = {column["name"] for column in inspect(connection).get_columns(self.table.name)}
        name = connection.dialect.identifier_preparer.format_table(self.table)
        for column in self.table.columns:
            if column.name not in existing:
                connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {CreateColumn(column).compile(connection)}")

    def _row(self, message: Message) -> dict[str, Any]:
        row: dict[str, Any] = {column.name: message.get(column.name) for column in self.table.columns}
        instants = {name: datetime.fromisoformat(row[name]) for name in self._instants if row[name] is not None}
        return row | instants
