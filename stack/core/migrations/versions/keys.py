"""Hash the keys of events: an index of PostgreSQL holds at most 2.7 kB of a value."""

from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"
CHUNK = 5000


def upgrade() -> None:
    """Replace each key by its hash."""
    op.drop_index("predictions_by_event", "predictions")
    bind, table = op.get_bind(), sa.table("predictions", sa.column("id"), sa.column("event_key"))
    select = sa.select(table.c.id, table.c.event_key).order_by(table.c.id).limit(CHUNK)
    update = sa.update(table).where(table.c.id == sa.bindparam("of")).values(event_key=sa.bindparam("hashed"))
    last = ""
    while rows := bind.execute(select.where(table.c.id > last)).all():
        bind.execute(update, [{"of": row.id, "hashed": _hash(row.event_key)} for row in rows])
        last = rows[-1].id
    op.create_index("predictions_by_event", "predictions", ["project", "event_key"])


def _hash(key: str) -> str:
    return blake2b(key.encode(), digest_size=16).hexdigest()
