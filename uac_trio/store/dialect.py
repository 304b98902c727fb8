"""Where SQLite and PostgreSQL differ."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

# PostgreSQL advisory locks; SQLite has one writer at a time anyway. Puts go one after another, so that ids are
# committed in their order and two connectors that put the same calls cannot deadlock. Leases go side by side, but not
# beside a change of what was settled already.
PUT_LOCK = 0x0AC_0002
LEASE_LOCK = 0x0AC_0003

CHUNK = 500
"""Rows that a statement names one by one; SQLite's old limit is 999 parameters."""


def is_shared(connection: sa.Connection) -> bool:
    """Several connectors may use this database."""
    return connection.dialect.name == "postgresql"


def lock(connection: sa.Connection, number: int, *, shared: bool = False) -> None:
    """Until the end of the transaction."""
    if is_shared(connection):
        function = sa.func.pg_advisory_xact_lock_shared if shared else sa.func.pg_advisory_xact_lock
        connection.execute(sa.select(function(number)))


def insert_new(connection: sa.Connection, table: sa.Table, key: str) -> sa.Executable:
    """INSERT that drops a row whose ``key`` is there."""
    if is_shared(connection):
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=[key])
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=[key])
