"""The predictions that have left the database: Parquet files, one for each project and month, for DuckDB and pandas.

Requests, features, answers and reasons are JSON, as in the database; ``shadows`` maps versions of challengers to what
they would have answered.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet as pq
from sqlalchemy import Connection, RowMapping, Select, select

from stack.core import files
from stack.core.database import as_text, engine, in_utc, predictions, shadows

ROWS = 20_000
"""Rows that are read at a time, and rows of a row group."""
INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "asked_at": INSTANT,
        "answered_at": INSTANT,
        "request": pa.string(),
        "features": pa.string(),
        "features_at": INSTANT,
        "model_version": pa.string(),
        "answer": pa.string(),
        "reasons": pa.string(),
        "label": pa.float64(),
        "label_at": INSTANT,
        "shadows": pa.map_(pa.string(), pa.string()),
    }
)
INSTANTS = [field.name for field in SCHEMA if field.type == INSTANT]


def projects(database: str, since: datetime, until: datetime) -> list[str]:
    """Return the projects with predictions that were answered in [since, until)."""
    answered_at = predictions.c.answered_at
    query = select(predictions.c.project).distinct().where(answered_at >= since, answered_at < until)
    with engine(database).connect() as connection:
        return sorted(connection.execute(query).scalars())


def write(database: str, file: Path, project: str, since: datetime, until: datetime) -> None:
    """Write the predictions of a project answered in [since, until) to a file; they are on the disk when this returns.

    What the file has and the database has not stays in it: after a run that was interrupted, this one completes it.
    """
    columns = [as_text(column).label(column.name) for column in predictions.c if column.name in SCHEMA.names]
    answered_at, id_ = predictions.c.answered_at, predictions.c.id
    # Concatenated, as SQLite would else read all of the project by the index that begins with it.
    conditions = predictions.c.project.concat("") == project, answered_at >= since, answered_at < until
    query = select(*columns).where(*conditions).order_by(answered_at, id_)
    with (
        engine(database).connect() as connection,
        files.replacing(file, durable=True) as new,
        pq.ParquetWriter(new, SCHEMA, compression="zstd") as writer,
    ):
        for table in chain(_kept(connection, file), _logged(connection, query)):
            writer.write_table(table)


def labels(file: Path, rows: int) -> Iterator[list[tuple[str, float | None]]]:
    """Yield ids and labels of the predictions of a file, so many rows at a time."""
    for batch in pq.ParquetFile(file).iter_batches(rows, columns=["id", "label"]):
        yield list(zip(batch["id"].to_pylist(), batch["label"].to_pylist(), strict=True))


def _kept(connection: Connection, file: Path) -> Iterator[pa.Table]:
    """Yield the rows of a file that are not in the database."""
    if not file.exists():
        return
    for batch in pq.ParquetFile(file).iter_batches(ROWS):
        ids = batch["id"].to_pylist()
        logged = {*connection.execute(select(predictions.c.id).where(predictions.c.id.in_(ids))).scalars()}
        yield pa.Table.from_batches([batch.filter(pa.array([name not in logged for name in ids]))])


def _logged(connection: Connection, query: Select[Any]) -> Iterator[pa.Table]:
    """Yield the rows of a query, with what challengers would have answered."""
    for rows in connection.execute(query.execution_options(yield_per=ROWS)).mappings().partitions():
        answers = _shadows(connection, [row["id"] for row in rows])
        yield pa.Table.from_pylist([_row(row) | {"shadows": answers.get(row["id"])} for row in rows], SCHEMA)


def _shadows(connection: Connection, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return versions and answers of challengers, by prediction."""
    columns, answers = shadows.c, defaultdict(list)
    query = select(columns.id, columns.model_version, as_text(columns.answer)).where(columns.id.in_(ids))
    for name, version, answer in connection.execute(query):
        answers[name].append((version, answer))
    return answers


def _row(row: RowMapping) -> dict[str, Any]:
    return dict(row) | {name: _instant(row[name]) for name in INSTANTS}


def _instant(text: str | None) -> datetime | None:
    """Return an instant of the database; None where it cannot be read."""
    with suppress(ValueError):
        return in_utc(datetime.fromisoformat(text)) if text else None
    return None
