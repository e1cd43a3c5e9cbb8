"""Predictions whose outcome is not known yet, for people who know it. Without pandas, as the portal has none."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json
from sqlalchemy import RowMapping, select, update

from stack.core.database import as_text, engine, predictions

NEWEST = 20_000
"""Predictions that are looked through for such without a label."""


@dataclass(frozen=True)
class Unlabelled:
    """A prediction without a label."""

    id: str
    asked_at: str
    """Instant on the project's clock, as the database writes it."""
    request: dict[str, Any]
    answer: dict[str, Any]
    model_version: str


def newest(database: str, project: str, count: int) -> list[Unlabelled]:
    """Return the newest predictions without a label, among the last ones; what cannot be read is left out."""
    table = predictions.c
    recent = (
        select(table.id, table.label, table.asked_at)
        .where(table.project == project)
        .order_by(table.asked_at.desc())
        .limit(NEWEST)
        .subquery()
    )
    ids = select(recent.c.id).where(recent.c.label.is_(None)).order_by(recent.c.asked_at.desc()).limit(count)
    columns = [as_text(column).label(column.name) for column in (table.asked_at, table.request, table.answer)]
    query = select(table.id, table.model_version, *columns).where(table.id.in_(ids))
    with engine(database).connect() as connection:
        rows = connection.execute(query.order_by(table.asked_at.desc(), table.id)).mappings().all()
    return [*_readable(rows)]


def labels(database: str, project: str, ids: Collection[str]) -> dict[str, float | None]:
    """Return the encoded label of each of these predictions that is in the log, None where it has none."""
    query = select(predictions.c.id, predictions.c.label)
    with engine(database).connect() as connection:
        rows = connection.execute(query.where(predictions.c.project == project, predictions.c.id.in_(ids)))
        return {row.id: row.label for row in rows}


def remove_label(database: str, project: str, prediction: str, label: float) -> bool:
    """Remove the label of a prediction; return whether it was this (encoded) one, and is gone."""
    table = predictions.c
    which = table.project == project, table.id == prediction, table.label == label
    with engine(database).begin() as connection:
        return bool(connection.execute(update(predictions).where(*which).values(label=None, label_at=None)).rowcount)


def _readable(rows: Collection[RowMapping]) -> Iterator[Unlabelled]:
    for row in rows:
        with suppress(ValueError):
            request, answer = from_json(row["request"]), from_json(row["answer"])
            yield Unlabelled(row["id"], row["asked_at"], request, answer, row["model_version"])
