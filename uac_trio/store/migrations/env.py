"""Run by alembic. The connection, in a transaction that opening.py ends, comes from there."""

from __future__ import annotations

from alembic import context

from uac_trio.store.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=False,  # not alembic's transaction but ours
)
context.run_migrations()
