"""Add the answers that wait for their receivers, and how far scheduled predictions have come."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Create the tables ``outbox`` and ``scheduled``."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "outbox",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("sink", sa.String, nullable=False),
        sa.Column("message", sa.JSON, nullable=False),
        sa.Column("waits_since", instant, nullable=False),
    )
    op.create_index("outbox_by_sink", "outbox", ["project", "sink", "number"])
    op.create_table(
        "scheduled",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("until", instant, nullable=False),
    )
