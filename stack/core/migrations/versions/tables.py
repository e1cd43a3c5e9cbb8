"""The tables of releases without a schema version; existing ones are kept."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    """Create the missing tables."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "clocks",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("now", instant, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("asked_at", instant, nullable=False),
        sa.Column("answered_at", instant, nullable=False),
        sa.Column("event_key", sa.String, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("features", sa.JSON, nullable=False),
        sa.Column("features_at", instant),
        sa.Column("model_version", sa.String, nullable=False),
        sa.Column("probability", sa.Float, nullable=False),
        sa.Column("decision", sa.Boolean, nullable=False),
        sa.Column("label", sa.Integer),
        sa.Column("label_at", instant),
        if_not_exists=True,
    )
    op.create_index("predictions_by_time", "predictions", ["project", "asked_at"], if_not_exists=True)
    op.create_index("predictions_by_event", "predictions", ["project", "event_key"], if_not_exists=True)
    op.create_table(
        "shadows",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("model_version", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("probability", sa.Float, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "decisions",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("champion", sa.String),
        sa.Column("at", instant, nullable=False),
        sa.Column("decided_at", instant, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("numbers", sa.JSON, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        if_not_exists=True,
    )
