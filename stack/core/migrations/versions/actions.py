"""Add what people did in the browser."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0011", "0010"


def upgrade() -> None:
    """Create the table ``actions``."""
    op.create_table(
        "actions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("caller", sa.String, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Index("actions_by_project", "project", "number"),
    )
