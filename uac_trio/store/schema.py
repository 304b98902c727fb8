"""The schema of the outbox's database: which one is there, and how it becomes this version's.

The one module that imports alembic.
"""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from uac_trio.store.settings import OutboxError, shown
from uac_trio.store.tables import REVISION, VERSION_TABLE, delivery

MIGRATIONS = Path(__file__).parent / "migrations"

BEFORE_THE_FIRST_RELEASE = frozenset({"0001", "0002", "0003"})
"""Revisions of schemas that stored the CRM's requests."""

_alembic_is_global = threading.Lock()  # its ``context`` is one per process


def migrate(connection: sa.Connection) -> None:
    """Make the tables, or bring them up to date, in the caller's transaction. Raises OutboxError."""
    readable_revision(connection)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _alembic_is_global:
        command.upgrade(config, "head")


def readable_revision(connection: sa.Connection) -> str:
    """The revision of the schema that is there; "" = there is none yet.

    Raises OutboxError for tables that this version can neither read nor bring up to date.
    """
    where = shown(connection.engine.url)
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    found = set(MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads())
    tables = set(sa.inspect(connection).get_table_names())
    if found & BEFORE_THE_FIRST_RELEASE:
        raise OutboxError(
            f"{where} was written by a version from before the first release, whose rows cannot be read any more: move "
            "it away (keep it if requests in it still wait) or name another database in [store] url"
        )
    if newer := found - known:
        raise OutboxError(
            f"{where} was written by a newer uac-trio (schema {', '.join(sorted(newer))}; this one knows up to "
            f"{REVISION}): install that version again, or name another database in [store] url"
        )
    foreign = tables if connection.dialect.name == "sqlite" else tables & {delivery.name}
    if not found and foreign:
        raise OutboxError(
            f"{where} belongs to another program (table {min(foreign)}): name another database in [store] url; "
            "nothing was changed"
        )
    return next(iter(found), "")
