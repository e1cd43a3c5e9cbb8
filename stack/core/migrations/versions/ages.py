"""Old predictions are found by an index: pruning read the whole log each time."""

from __future__ import annotations

from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Index when a prediction was answered."""
    op.create_index("predictions_by_age", "predictions", ["answered_at"])
