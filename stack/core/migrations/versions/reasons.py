"""Add the reasons of answers to the prediction log."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    """Add the column ``reasons``."""
    op.add_column("predictions", sa.Column("reasons", sa.JSON))
