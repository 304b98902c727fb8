"""Faults of the outbox's database are reported to the administrator; nothing is ever deleted."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
import trio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.store.calls import NOW, delivery
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.store.inspecting import inspect_store
from uac_trio.store.opening import explain, open_engine
from uac_trio.store.outbox import open_outbox
from uac_trio.store.schema import BEFORE_THE_FIRST_RELEASE, MIGRATIONS
from uac_trio.store.settings import OutboxError, OutboxSettings, beside, parse_url
from uac_trio.store.tables import REVISION, VERSION_TABLE, metadata
from uac_trio.users import user_name


def end_of(call: str = "main-1") -> Delivery:
    return delivery(Kind.END, call)


def settings(path: Path) -> OutboxSettings:
    return OutboxSettings(url=f"sqlite:///{path}", busy_timeout=0.05)


async def refused(chosen: OutboxSettings) -> str:
    with pytest.raises(OutboxError) as caught:
        async with open_outbox(chosen):
            pass
    return str(caught.value)


def test_migrations_lead_to_the_tables(store_url: str) -> None:
    """What the migration scripts make is what the code thinks there is."""
    engine = open_engine(OutboxSettings(url=store_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == REVISION
    engine.dispose()


async def test_opened_again_it_is_as_it_was(store_url: str) -> None:
    """No migration runs twice, no row is lost."""
    for expected in (1, 0, 0):
        async with open_outbox(OutboxSettings(url=store_url)) as outbox:
            assert await outbox.put([end_of()], NOW) == expected


async def test_a_commit_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's write-ahead log, synced with every commit: the power may go at any moment."""
    monkeypatch.undo()
    async with open_outbox(settings(tmp_path / "c.db")) as outbox:
        with outbox._engine.connect() as connection:
            pragmas = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
            ]

    assert pragmas == ["wal", 2]


async def test_many_open_a_new_database_at_once(store_url: str) -> None:
    """One makes the tables, the others wait for it."""

    async def one() -> None:
        async with open_outbox(OutboxSettings(url=store_url)) as outbox:
            await outbox.put([end_of()], NOW)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(one)


async def test_a_newer_schema_is_refused(store_url: str) -> None:
    """A downgraded package does not touch what it does not understand."""
    engine = open_engine(OutboxSettings(url=store_url))
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()

    words = await refused(OutboxSettings(url=store_url))

    assert "newer uac-trio (schema 9999; this one knows up to 0101)" in words
    assert "install that version again" in words


@pytest.mark.parametrize("revision", sorted(BEFORE_THE_FIRST_RELEASE))
async def test_a_schema_from_before_the_first_release(store_url: str, revision: str) -> None:
    """Its rows are requests, which cannot be read any more: it is refused in words, and left as it is."""
    engine = sa.create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE {VERSION_TABLE} (version_num text)"))
        connection.execute(sa.text(f"INSERT INTO {VERSION_TABLE} VALUES ('{revision}')"))
        connection.execute(sa.text("CREATE TABLE request (id integer)"))
        connection.execute(sa.text("INSERT INTO request VALUES (1)"))

    words = await refused(OutboxSettings(url=store_url))
    with pytest.raises(OutboxError) as caught:
        await inspect_store(OutboxSettings(url=store_url))

    assert "was written by a version from before the first release" in words
    assert "move it away (keep it if requests in it still wait) or name another database in [store] url" in words
    assert "was written by a version from before the first release" in str(caught.value)
    with engine.connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) == {VERSION_TABLE, "request"}
        assert connection.scalar(sa.text("SELECT count(*) FROM request")) == 1
    engine.dispose()


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """The old connector's connector.db, say: it is left as it is."""
    path = tmp_path / "connector.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE calls (id)")
    connection.close()
    before = path.read_bytes()

    words = await refused(settings(path))

    assert "belongs to another program (table calls)" in words
    after = sqlite3.connect(path)
    assert after.execute("SELECT name FROM sqlite_master").fetchall() == [("calls",)]
    after.close()
    assert path.stat().st_size == len(before)


async def test_a_table_of_the_same_name_is_refused(store_url: str) -> None:
    """In a PostgreSQL database shared with others."""
    engine = sa.create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE delivery (id integer)"))
    engine.dispose()

    assert "belongs to another program (table delivery)" in await refused(OutboxSettings(url=store_url))


async def test_a_changed_table_is_refused(store_url: str) -> None:
    """A column that is missing is named."""
    engine = open_engine(OutboxSettings(url=store_url))
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE delivery DROP COLUMN reason"))
    engine.dispose()

    assert "lacks columns of this version's schema (reason)" in await refused(OutboxSettings(url=store_url))


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """It is named, and kept to the last byte."""
    path = tmp_path / "c.db"
    path.write_text("not a database, but notes of an administrator\n" * 100)
    before = path.read_bytes()

    words = await refused(settings(path))

    assert str(path) in words
    assert "damaged or no SQLite database" in words
    assert path.read_bytes() == before


async def test_a_damaged_file(tmp_path: Path) -> None:
    """Pages overwritten in the middle: what is asked of them fails in words, and the file is kept."""
    path = tmp_path / "c.db"
    async with open_outbox(settings(path)) as outbox:
        await outbox.put([end_of(f"main-{n}") for n in range(500)], NOW)
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))

    with pytest.raises(OutboxError, match="damaged"):
        async with open_outbox(settings(path)) as outbox:
            await outbox.put([end_of("main-new")], NOW)

    assert path.stat().st_size == size


async def test_missing_directory(tmp_path: Path) -> None:
    """The file is named, with what to do."""
    words = await refused(settings(tmp_path / "no" / "c.db"))

    assert f"{tmp_path}/no/c.db: no such directory - create it" in words


async def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    """As after a container's volume was mounted over the file."""
    (tmp_path / "c.db").mkdir()

    assert "cannot be opened" in await refused(settings(tmp_path / "c.db"))


async def test_locked_by_another_program(tmp_path: Path) -> None:
    """At the start and later: in words, after the busy time-out; and it goes on when the lock is gone."""
    path = tmp_path / "c.db"
    async with open_outbox(settings(path)) as outbox:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutboxError, match="another program keeps the file locked"):
            await outbox.put([end_of()], NOW)
        assert "another program keeps the file locked" in await refused(settings(path))
        other.execute("ROLLBACK")
        other.close()
        assert await outbox.put([end_of()], NOW) == 1


async def test_disk_full(tmp_path: Path) -> None:
    """The batch is refused in words and as a whole, and goes in when there is room again."""
    path = tmp_path / "c.db"
    async with open_outbox(settings(path)) as outbox:
        with outbox._engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            (pages,) = raw.execute("PRAGMA page_count").fetchone()
            raw.execute(f"PRAGMA max_page_count = {pages + 3}")
        batch = [end_of(f"main-{n}") for n in range(1000)]
        with pytest.raises(OutboxError, match="the disk is full: make room"):
            await outbox.put(batch, NOW)
        assert (await outbox.statistics()).waiting == 0
        # The limit is that connection's own, and after a failure a new one is opened.
        assert await outbox.put(batch, NOW) == 1000


async def test_a_damaged_file_that_was_moved_away(tmp_path: Path) -> None:
    """Nothing is deleted or repaired by us; once the file is out of the way, a new one is made and work goes on."""
    path = tmp_path / "c.db"
    async with open_outbox(settings(path)) as outbox:
        await outbox.put([end_of("main-1")], NOW)
        outbox._engine.dispose()  # all is in the file now
        healthy = path.read_bytes()
        path.write_bytes(healthy[:100] + b"\xff" * (len(healthy) - 100))
        for _ in range(2):
            with pytest.raises(OutboxError, match="damaged or no SQLite database; move it away"):
                await outbox.put([end_of("main-2")], NOW)
        assert path.read_bytes()[100:] == b"\xff" * (len(healthy) - 100)
        path.rename(tmp_path / "damaged.db")
        assert await outbox.put([end_of("main-2")], NOW) == 1


async def test_a_file_that_must_be_there(tmp_path: Path) -> None:
    """An outbox that must exist and does not is reported; none is made."""
    with pytest.raises(OutboxError, match="no such file"):
        async with open_outbox(settings(tmp_path / "c.db"), create=False):
            pass
    assert os.listdir(tmp_path) == []


async def test_tables_lost_while_in_use(tmp_path: Path) -> None:
    """Tables that another program dropped while we run are reported."""
    path = tmp_path / "c.db"
    async with open_outbox(settings(path)) as outbox:
        other = sqlite3.connect(path)
        other.execute("DROP TABLE delivery")
        other.close()
        with pytest.raises(OutboxError, match="lost its tables"):
            await outbox.put([end_of()], NOW)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("connector.db", "is no database address; expected sqlite:///FILE or"),
        ("", "is no database address"),
        ("mysql://u:geheim@h/d", "mysql://u:***@h/d: mysql is not supported"),
        ("postgresql://u:geheim@h/d", "postgresql is not supported; expected sqlite:///FILE or postgresql+psycopg"),
        ("postgresql+asyncpg://u:geheim@h/d", "postgresql+asyncpg is not supported"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file:x?mode=memory&uri=true", "must name a file"),
        ("postgresql+psycopg://u:geheim@h:port/d", "is no database address"),
    ],
)
def test_addresses(url: str, words: str) -> None:
    """What [store] url cannot be; a password in it is not shown."""
    with pytest.raises(OutboxError) as caught:
        parse_url(url)

    assert words in str(caught.value)
    assert "geheim" not in str(caught.value)


async def test_postgresql_out_of_reach() -> None:
    """A refused connection names the server and not the password."""
    words = await refused(OutboxSettings(url="postgresql+psycopg://uac:geheim@127.0.0.1:1/uac"))

    assert "postgresql+psycopg://uac:***@127.0.0.1:1/uac" in words
    assert "is the server running and reachable" in words
    assert "geheim" not in words


async def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver is an extra: the message has the command."""

    def create_engine(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'")

    monkeypatch.setattr(sa, "create_engine", create_engine)

    chosen = OutboxSettings(url="postgresql+psycopg://uac:geheim@127.0.0.1/uac")
    assert f"run: {sys.executable} -m pip install 'psycopg[binary]'" in await refused(chosen)
    with pytest.raises(OutboxError, match=r"-m pip install 'psycopg\[binary\]'"):
        await inspect_store(chosen)


class _PostgresError(Exception):
    sqlstate = "53100"


def _driver(error: Exception) -> Callable[[], Exception]:
    return lambda: sa.exc.OperationalError("INSERT INTO delivery", {"customer": "79161234567"}, error)


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("sqlite:///c.db", sqlite3.OperationalError("attempt to write a readonly database"), "cannot be written"),
        ("sqlite:///c.db", sqlite3.OperationalError("disk I/O error"), "the disk fails or is full"),
        ("sqlite:///c.db", sqlite3.OperationalError("database disk image is malformed"), "damaged"),
        ("sqlite:///c.db", sqlite3.OperationalError("something new"), "outbox sqlite:///c.db: something new"),
        ("sqlite:///c.db", PermissionError(13, "x"), "permission denied - run this as root, or let this user"),
        ("sqlite:///c.db", OSError(20, "Not a directory", "/a/b"), "sqlite:///c.db: Not a directory - name another"),
        ("postgresql+psycopg://u:geheim@h/d", _PostgresError("no space\nHINT"), "no space - PostgreSQL error 53100"),
        ("postgresql+psycopg://u:geheim@h/d", ValueError("bad geheim"), "bad *** - is the server running"),
        (
            "postgresql+psycopg://u:geheim@h/d",
            sa.exc.TimeoutError("pool", code="3o7r"),
            ": pool - all connections are in",
        ),
    ],
)
def test_faults_in_words(url: str, error: Exception, words: str) -> None:
    """Cause and advice; neither password nor the row that was being written."""
    own = isinstance(error, (sa.exc.TimeoutError, OSError))
    text = explain(sa.make_url(url), error if own else _driver(error)())

    assert words in text
    assert "geheim" not in text
    assert "7916" not in text
    assert "\n" not in text
    assert "sqlalche.me" not in text


@pytest.mark.parametrize(
    ("error", "uid", "is_shown"),
    [
        (PermissionError(13, "x"), 1, True),
        (_driver(sqlite3.OperationalError("attempt to write a readonly database"))(), 1, True),
        (_driver(sqlite3.OperationalError("unable to open database file"))(), 1, True),
        (OSError(28, "No space left on device"), 1, False),
        (PermissionError(13, "x"), 0, False),
    ],
)
def test_whose_the_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, uid: int, is_shown: bool
) -> None:
    """A file that may not be written names its owner and the user who tried; root may write all."""
    path = tmp_path / "connector.db"
    path.touch()
    owner = user_name(path.stat().st_uid)
    monkeypatch.setattr(os, "geteuid", lambda: uid if uid == 0 else path.stat().st_uid + uid)
    text = explain(sa.make_url(f"sqlite:///{path}"), error)
    assert (f"({path} belongs to {owner}, {tmp_path} belongs to {owner}, and this runs as " in text) == is_shown


async def test_file_that_may_not_be_seen(tmp_path: Path) -> None:
    """Looking for a file can fail; it is reported in words. (A long name stands for a closed directory.)"""
    chosen = settings(tmp_path / ("x" * 300))
    with pytest.raises(OutboxError, match="File name too long"):
        open_engine(chosen, create=False)
    with pytest.raises(OutboxError, match="File name too long"):
        await inspect_store(chosen)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///c.db", "sqlite:////etc/uac-trio/c.db"),
        ("sqlite:////var/lib/c.db", "sqlite:////var/lib/c.db"),
        ("sqlite:///data/c.db?timeout=1", "sqlite:////etc/uac-trio/data/c.db?timeout=1"),
        ("postgresql+psycopg://u:geheim@h/d", "postgresql+psycopg://u:geheim@h/d"),
    ],
)
def test_relative_file(url: str, expected: str) -> None:
    """A relative file is one of the directory; everything else is what it was."""
    assert beside(url, Path("/etc/uac-trio")) == expected
