"""Opening the outbox's database: its file or server, its schema, and what goes wrong there, in words.

Nothing here deletes or empties anything: a file that is broken, foreign or newer is left as it is and refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from uac_trio.store.settings import INSTALL_DRIVER, SQLITE, OutboxError, OutboxSettings, parse_url, shown
from uac_trio.store.tables import REVISION, VERSION_TABLE, delivery
from uac_trio.users import user_name

SYNCHRONOUS = "FULL"
"""SQLite: a commit is on the disk before the call that made it returns, so a power cut loses nothing."""

_MIGRATION_LOCK = 0x0AC_0001  # PostgreSQL advisory lock: connectors that start together migrate one after another


def open_engine(settings: OutboxSettings, *, create: bool = True) -> sa.Engine:
    """Blocking. The schema is there and current when this returns. Raises OutboxError.

    Without ``create`` a file that is not there is not made.
    """
    url = parse_url(settings.url)
    if not create and url.drivername == SQLITE and not is_there(url):
        raise OutboxError(
            f"outbox {shown(url)}: no such file; it is made by the first uac-trio run of this [store] url"
        )
    engine = _sqlite_engine(url, settings) if url.drivername == SQLITE else _postgresql_engine(url, settings)
    try:
        make_ready(engine, settings)
    except BaseException:
        engine.dispose()
        raise
    return engine


def is_there(url: sa.URL) -> bool:
    """Whether SQLite's file is. Raises OutboxError if that may not be seen."""
    try:
        Path(str(url.database)).stat()  # exists() hides what may not be seen from Python 3.14 on
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise OutboxError(explain(url, error)) from error
    return True


def make_ready(engine: sa.Engine, settings: OutboxSettings) -> None:
    """Blocking. Make the file if there is none, bring its schema up to date. Raises OutboxError."""
    with in_words(engine):
        if engine.url.drivername == SQLITE:
            _create_file(Path(str(engine.url.database)))
        with engine.begin() as connection:
            _bring_up_to_date(connection)
        if engine.url.drivername == SQLITE:  # not before: it would change a file that is not ours
            _switch_to_wal(engine, settings.busy_timeout)


def _sqlite_engine(url: sa.URL, settings: OutboxSettings) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": settings.busy_timeout, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        # What the purge deletes is personal data: overwrite it.
        connection.execute("PRAGMA secure_delete = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # IMMEDIATE: a transaction that reads first and writes then must not find out late that it may not.
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _postgresql_engine(url: sa.URL, settings: OutboxSettings) -> sa.Engine:
    # A server that vanished silently must not hold a worker thread for the two hours TCP would allow.
    arguments: dict[str, Any] = {
        "application_name": "uac-trio",
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "tcp_user_timeout": 15_000,
    }
    try:
        engine = sa.create_engine(
            url, connect_args=arguments, pool_size=settings.pool_size, max_overflow=0, pool_pre_ping=True
        )
    except ModuleNotFoundError as error:
        raise OutboxError(
            f"[store] url {shown(url)}: the PostgreSQL driver is not installed; {INSTALL_DRIVER}"
        ) from error

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:  # noqa: ANN401  psycopg is optional
        connection.execute("SET statement_timeout = '30s'")
        connection.execute("SET lock_timeout = '15s'")
        # A connector that stops in mid-transaction holds locks that all others wait for.
        connection.execute("SET idle_in_transaction_session_timeout = '10s'")
        connection.execute("SET tcp_keepalives_idle = 10")
        connection.execute("SET tcp_keepalives_interval = 5")
        connection.execute("SET tcp_keepalives_count = 3")
        connection.execute("SET jit = off")  # compiling a lease takes longer than the lease
        connection.commit()

    return engine


def _create_file(path: Path) -> None:
    """For us alone: it will hold telephone numbers. SQLite gives its -wal and -shm files the same mode."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, stat.S_IRUSR | stat.S_IWUSR))


def _switch_to_wal(engine: sa.Engine, patience: float) -> None:
    """SQLite does not always use its busy time-out for this pragma, so two programs starting at once may collide."""
    give_up_at = time.monotonic() + patience
    connection = engine.raw_connection()
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up_at:
                    raise
                time.sleep(0.02)
            else:
                return
    finally:
        connection.close()


def _bring_up_to_date(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    if _revision(connection) != REVISION:
        # alembic is 7 MB that a daemon would carry for its whole life.
        from uac_trio.store.schema import migrate

        migrate(connection)
    where = shown(connection.engine.url)
    there = {column["name"] for column in sa.inspect(connection).get_columns(delivery.name)}
    if missing := {column.name for column in delivery.columns} - there:
        raise OutboxError(
            f"{where} lacks columns of this version's schema ({', '.join(sorted(missing))}): it was changed by hand; "
            "restore it from a backup or name another database in [store] url"
        )


def _revision(connection: sa.Connection) -> str:
    """Of the schema that is there; "" = there is none."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return ""
    found: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant
    return found or ""


# Searched in what the driver says; the first that fits is shown.
_SQLITE_WORDS: tuple[tuple[str, str], ...] = (
    (
        r"unable to open database file",
        "the file cannot be opened or created: does its directory exist, and may this user write there?",
    ),
    (r"database (table )?is locked", "another program keeps the file locked; end it (a backup, a database browser?)"),
    (
        r"not a database|malformed|file is encrypted",
        "the file is damaged or no SQLite database; move it away (keep it) or restore it, then start again",
    ),
    (r"readonly database", "the file or its directory cannot be written: check owner, mode and mount options"),
    (r"disk is full", "the disk is full: make room"),
    (r"disk I/O error", "the disk fails or is full; see the kernel's log"),
    (r"no such (table|column)", "the file lost its tables or was replaced while in use: restore it, then restart"),
)


@contextlib.contextmanager
def in_words(engine: sa.Engine) -> Iterator[None]:
    """Turns what SQLAlchemy, a driver or the file system raise into OutboxError."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise OutboxError(explain(engine.url, error)) from error


def explain(url: sa.URL, error: Exception) -> str:
    """One line for an administrator. Never the statement's parameters, which are personal data."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    said = str(cause).partition("(Background on this error")[0].strip().partition("\n")[0]
    if url.password:
        said = said.replace(str(url.password), "***")
    if isinstance(cause, FileNotFoundError):
        said, advice = "no such directory", "create it, or name another file in [store] url"
    elif isinstance(cause, PermissionError):
        said, advice = "permission denied", "run this as root, or let this user write the file and its directory"
    elif isinstance(cause, OSError) and cause.strerror:
        said, advice = cause.strerror, "name another file in [store] url"
    elif url.drivername == SQLITE:
        advice = next((words for pattern, words in _SQLITE_WORDS if re.search(pattern, said)), "")
    elif isinstance(cause, sa.exc.TimeoutError):
        advice = "all connections are in use: the server is slow, or raise the pool's size"
    elif getattr(cause, "sqlstate", None) is None:
        advice = "is the server running and reachable, and are user, password and database in [store] url right?"
    else:
        advice = f"PostgreSQL error {getattr(cause, 'sqlstate', '')}"
    return f"outbox {shown(url)}: {said}" + (f" - {advice}" if advice else "") + _owners(url, said)


def _owners(url: sa.URL, said: str) -> str:
    """Whose the file or its directory is, where that may be why it cannot be opened or written."""
    if url.drivername != SQLITE or not re.search("permission denied|unable to open|readonly", said) or not os.geteuid():
        return ""
    file, us = Path(str(url.database)), user_name(os.geteuid())
    foreign = {path: owner for path in (file, file.parent) if (owner := _owner(path)) not in (None, us)}
    belong = ", ".join(f"{path} belongs to {owner}" for path, owner in foreign.items())
    return f" ({belong}, and this runs as {us})" if belong else ""


def _owner(path: Path) -> str | None:
    try:
        return user_name(path.stat().st_uid)
    except OSError:
        return None
