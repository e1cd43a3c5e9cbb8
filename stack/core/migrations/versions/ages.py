"""Index predictions by age: pruning scanned the whole log each time."""

from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Add an index on ``answered_at``."""
    op.create_index("predictions_by_age", "predictions", ["answered_at"])
