"""Alembic's environment: run the migrations on the given connection, in its transaction."""

from alembic import context

from stack.core.database import metadata
from stack.core.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
