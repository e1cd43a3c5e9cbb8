"""Add how far the inboxes of projects are read."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    """Create the table ``inboxes``."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "inboxes",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("newest", instant, nullable=False),
        sa.Column("ingested", instant),
    )
