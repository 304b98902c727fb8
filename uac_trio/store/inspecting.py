"""A look at the store that neither makes nor changes anything: for ``check --live``, beside a running daemon or before
its first start."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

import attrs
import sqlalchemy as sa
import trio

from uac_trio.crm.protocol import PastBegin
from uac_trio.store.opening import in_words, is_there
from uac_trio.store.outbox import Outbox
from uac_trio.store.rows import OutboxStatistics, ParkedRow
from uac_trio.store.schema import readable_revision
from uac_trio.store.settings import INSTALL_DRIVER, SQLITE, OutboxError, OutboxSettings, parse_url, shown
from uac_trio.store.tables import REVISION, delivery


@attrs.frozen(kw_only=True)
class StoreLook:
    """What was found. Where the schema is older than ours, the rows are not looked at."""

    where: str
    """The database's address without its password."""
    file: Path | None
    """SQLite's file, there or not."""
    exists: bool
    schema: str = ""
    """Its revision; "" = it is empty, or there is none yet."""
    newest: str = ""
    """The revision that this version makes of it."""
    statistics: OutboxStatistics | None = None
    parked: tuple[ParkedRow, ...] = ()
    """The first few."""
    begins: tuple[PastBegin, ...] = ()
    """What the CRM answered to the calls of this store."""


async def inspect_store(settings: OutboxSettings, first: int = 3) -> StoreLook:
    """With the ``first`` parked rows.

    Raises OutboxError, for a store that cannot be read or written, or is another program's or a newer version's.
    """
    look, engine = await trio.to_thread.run_sync(_looked_at, settings, abandon_on_cancel=True)
    if engine is None or look.schema != look.newest:
        return look
    outbox = Outbox(engine, settings)
    return attrs.evolve(
        look,
        statistics=await outbox.statistics(),
        parked=tuple(await outbox.parked(first)),
        begins=tuple(await outbox.past_begins()),
    )


def _looked_at(settings: OutboxSettings) -> tuple[StoreLook, sa.Engine | None]:
    """The engine keeps no connection open."""
    url = parse_url(settings.url)
    file = Path(str(url.database)).absolute() if url.drivername == SQLITE else None
    look = StoreLook(where=shown(url), file=file, exists=True, newest=REVISION)
    if file is not None and not is_there(url):
        if not os.access(file.parent, os.W_OK | os.X_OK):
            there = "cannot be written by this user" if file.parent.exists() else "does not exist"
            raise OutboxError(f"outbox {shown(url)}: its directory {file.parent} {there}")
        return attrs.evolve(look, exists=False), None
    engine = _engine(url, file, settings)
    return attrs.evolve(look, schema=_schema(engine)), engine


def _engine(url: sa.URL, file: Path | None, settings: OutboxSettings) -> sa.Engine:
    if file is None:
        try:
            return sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": 5})
        except ModuleNotFoundError as error:
            raise OutboxError(f"[store] url {shown(url)}: {INSTALL_DRIVER}") from error

    def connect() -> sqlite3.Connection:
        path = f"file:{quote(str(file))}?mode=rw"  # never made here
        return sqlite3.connect(
            path, uri=True, timeout=settings.busy_timeout, isolation_level=None, check_same_thread=False
        )

    return sa.create_engine(url, creator=connect, poolclass=sa.NullPool)


def _schema(engine: sa.Engine) -> str:
    """Its revision, once it is sure that it can be written."""
    with in_words(engine), engine.connect() as connection:
        _try_to_write(connection, has_rows=sa.inspect(connection).has_table(delivery.name))
        return readable_revision(connection)


def _try_to_write(connection: sa.Connection, *, has_rows: bool) -> None:
    """Write, and take it back. SQLite begins a transaction to write in a read-only file too."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            connection.exec_driver_sql("CREATE TABLE uac_trio_probe (x)")
        finally:
            connection.exec_driver_sql("ROLLBACK")
        return
    if connection.scalar(sa.text("SELECT pg_is_in_recovery()")):
        raise OutboxError(f"{shown(connection.engine.url)} is a standby, which takes no rows: name the primary")
    may = sa.text("SELECT has_table_privilege(:table, 'SELECT, INSERT, UPDATE, DELETE')")
    if has_rows and not connection.scalar(may, {"table": delivery.name}):
        raise OutboxError(f"{shown(connection.engine.url)}: the user may not change table {delivery.name}: GRANT it")
