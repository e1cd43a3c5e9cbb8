"""Add the tokens of programs."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """Create the table ``tokens``."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("purposes", sa.JSON, nullable=False),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("used_at", instant),
    )
