"""Store the response of any task as JSON, instead of a probability and a decision."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"
CHUNK = 5000


def upgrade() -> None:
    """Move the probabilities and decisions of existing rows into `answer`; allow any number as a label."""
    for name in ("predictions", "shadows"):
        op.add_column(name, sa.Column("answer", sa.JSON))
    columns = ("id", "probability", "decision")
    _fill("predictions", columns, lambda row: {"probability": row.probability, "decision": bool(row.decision)})
    _fill("shadows", ("id", "model_version", "probability"), lambda row: {"probability": row.probability})
    with op.batch_alter_table("predictions") as predictions:
        predictions.alter_column("answer", existing_type=sa.JSON(), nullable=False)
        predictions.alter_column("label", existing_type=sa.Integer(), type_=sa.Float())
        predictions.drop_column("probability")
        predictions.drop_column("decision")
    with op.batch_alter_table("shadows") as shadows:
        shadows.alter_column("answer", existing_type=sa.JSON(), nullable=False)
        shadows.drop_column("probability")


def _fill(name: str, columns: tuple[str, ...], answer: Callable[[Any], dict[str, Any]]) -> None:
    """Fill `answer` of every row from `columns`: the key, and the values that the answer holds."""
    bind, key = op.get_bind(), [column for column in columns if column in ("id", "model_version")]
    table = sa.table(name, *map(sa.column, columns), sa.column("answer", sa.JSON))
    rows = bind.execute(sa.select(*(table.c[column] for column in columns))).all()
    statement = (
        sa.update(table)
        .where(*(table.c[column] == sa.bindparam(f"of_{column}") for column in key))
        .values(answer=sa.bindparam("new_answer"))
    )
    for first in range(0, len(rows), CHUNK):
        values = [
            {f"of_{column}": getattr(row, column) for column in key} | {"new_answer": answer(row)}
            for row in rows[first : first + CHUNK]
        ]
        bind.execute(statement, values)
