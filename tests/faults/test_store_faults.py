"""Whatever happens to the outbox's database: a clear word, calls go on being tracked, nothing is deleted."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import attrs
import httpx
import pytest
import sqlalchemy as sa
import structlog.testing
import trio

from tests.faults.conftest import World, is_answered, locked, rings, running
from uac_trio.crm.delivery import Delivery
from uac_trio.daemon.run import run_daemon
from uac_trio.store import deliveries
from uac_trio.store.settings import OutboxError


class Disk:
    """The state of the disk for SQLite from the next transaction on: a pragma that every transaction begins with."""

    pragma = ""


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()

    def set_pragma(connection: sa.Connection) -> None:
        raw = connection.connection.driver_connection
        if isinstance(raw, sqlite3.Connection):
            raw.execute(disk.pragma or "PRAGMA query_only = OFF")

    sa.event.listen(sa.Engine, "begin", set_pragma, insert=True)
    yield disk
    sa.event.remove(sa.Engine, "begin", set_pragma)


async def failing(world: World, address: str, words: str) -> None:
    """Wait until /healthz reports that the store fails, and why."""
    with trio.fail_after(20):
        while words not in (await world.health(address))["store"]["reason"]:  # noqa: ASYNC110 - as a supervisor does
            await trio.sleep(0.02)


@pytest.mark.parametrize(
    ("pragma", "words"),
    [("PRAGMA max_page_count = 1", "the disk is full: make room"), ("PRAGMA query_only = ON", "cannot be written")],
    ids=["full", "read-only"],
)
async def test_disk(world: World, disk: Disk, pragma: str, words: str) -> None:
    """Full or read-only in mid-call: deliveries wait in memory, /healthz says why; then the whole call is sent."""
    async with running(world.config()) as address:
        await world.watched()
        call = world.call()
        call.emit(rings)
        await world.until(lambda: world.crm.crm.stuck())
        disk.pragma = pragma
        call.emit(is_answered)
        others = [world.call("asterisk22/outbound_busy") for _ in range(20)]  # more than the last page has room for
        for other in others:
            other.emit()
            await trio.sleep(0.01)
        await failing(world, address, words)
        call.emit()
        await trio.sleep(0.1)
        assert (await world.health(address))["store"]["in_memory"] >= 1
        disk.pragma = ""
        await world.until_true(call, *others)
        await failing(world, address, "")
        assert (await world.health(address))["store"]["in_memory"] == 0


async def test_locked(world: World) -> None:
    """Another program holds the file for a while, in which a whole call takes place."""
    async with running(world.config()) as address:
        await world.watched()
        with locked(world):
            call = world.call()
            call.emit()
            await failing(world, address, "locked")
        await world.until_true(call)


@pytest.fixture
def hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A server that takes what is new and does not answer until the event is set."""
    healthy, answers = deliveries.put, threading.Event()

    def put(connection: sa.Connection, new: Sequence[Delivery], now: float) -> int:
        assert not new or answers.wait(30)
        return healthy(connection, new, now)

    monkeypatch.setattr(deliveries, "put", put)
    monkeypatch.setattr("uac_trio.store.writer.SLOW", 0.2)
    monkeypatch.setattr("uac_trio.store.writer.PAUSE", 0.05)
    yield answers
    answers.set()


async def test_hangs(world: World, hangs: threading.Event) -> None:
    """A store that hangs raises no error: it is reported all the same, and the call is sent once the store answers."""
    async with running(world.config()) as address:
        await world.watched()
        call = world.call()
        call.emit()
        await failing(world, address, "has given no answer for 0.2 s")
        hangs.set()
        await world.until_true(call)


async def test_hangs_until_the_end(world: World, hangs: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop does not wait for it beyond its time."""
    monkeypatch.setattr("uac_trio.daemon.run.END_WITHIN", 0.5)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()) as address:
            await world.watched()
            world.call().emit()
            await failing(world, address, "has given no answer")
            began = trio.current_time()
        assert trio.current_time() - began < 3
    assert "daemon.deliveries_lost" in [line["event"] for line in logs]


async def test_everything_hangs_until_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store, CRM and PBX hang at once: a stop takes no longer than its time, although the store keeps the last
    deliveries from being committed and the sender has its grace."""
    monkeypatch.setattr("uac_trio.daemon.run.END_WITHIN", 2.0)
    monkeypatch.setattr("uac_trio.daemon.run.COMMIT_WITHIN", 0.3)
    monkeypatch.setattr("uac_trio.store.writer.SLOW", 0.2)
    config = world.config()
    config = attrs.evolve(
        config,
        store=attrs.evolve(config.store, busy_timeout=30.0),
        sender=attrs.evolve(config.sender, shutdown_grace=1.6, reply_timeout=60.0),
    )
    with ExitStack() as until_the_end, structlog.testing.capture_logs() as logs:
        async with running(config) as address:
            await world.watched()
            world.crm_proxy.delay = 60
            world.call().emit()
            await world.until(lambda: world.crm_proxy.connections)
            until_the_end.enter_context(locked(world))
            world.call().emit()
            await failing(world, address, "has given no answer")
            world.pbx_proxy.stall()
            began = trio.current_time()
        assert trio.current_time() - began < 3
    assert "sender.cut_off" in [line["event"] for line in logs]  # it was on the wire, and had its grace


def overwrite(path: Path, byte: bytes) -> None:
    with path.open("r+b") as file:  # not cut off first: SQLite has it mapped
        file.write(byte * path.stat().st_size)


async def test_damaged_while_running(world: World) -> None:
    """The file is overwritten under us: it is left as it is; when it is moved away, a new one is made, and what waited
    in memory is sent."""
    async with running(world.config()) as address:
        await world.watched()
        before = world.call()
        before.emit()
        await world.until_true(before)
        path = world.folder / "connector.db"
        with locked(world):  # with no client in the middle of a transaction, whose end would hide the damage
            overwrite(path, b"\xff")
            overwrite(path.with_name("connector.db-wal"), b"\xff")
            overwrite(path.with_name("connector.db-shm"), b"\0")  # else what connections remember is enough for a while
        call = world.call()
        call.emit()
        await failing(world, address, "damaged or no SQLite database; move it away")
        for part in world.folder.glob("connector.db*"):
            part.rename(part.with_name(f"damaged-{part.name}"))
        await world.until_true(call)


async def test_deleted_while_running(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite goes on in a file without a name: nothing fails, so /readyz, /live and the log report it."""
    monkeypatch.setattr("uac_trio.daemon.store_file.LOOK_EVERY", 0.05)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()) as address:
            await world.watched()
            await failing(world, address, "")
            for part in world.folder.glob("connector.db*"):
                part.unlink()
            await failing(world, address, "connector.db was deleted or moved while in use")
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"{address}/readyz")).status_code == 503
    assert [line["event"] for line in logs].count("store.file_lost") == 1


async def test_overflow_while_the_store_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the memory is allowed to hold: bounded, said, and after the store's return the calls that still go on
    are sent from the snapshot."""
    monkeypatch.setattr("uac_trio.daemon.storing.MAX_WAITING", 20)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()) as address:
            await world.watched()
            with locked(world):
                for _ in range(6):
                    world.call().emit()
                living = world.call()
                living.emit(rings)
                await world.until(lambda: any(line["event"] == "daemon.starting_over" for line in logs))
                assert (await world.health(address))["store"]["in_memory"] <= 20
            await world.watched(before=1)
            living.emit()
            await world.until_true(living)
            await world.until(lambda: not world.crm.crm.stuck())


def spoil(path: Path) -> None:
    path.write_bytes(b"this is no database " * 500)


def make_of(revision: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE uac_trio_version (version_num TEXT)")
        connection.execute("INSERT INTO uac_trio_version VALUES (?)", (revision,))
        connection.commit()


def make_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE addresses (name TEXT)")
        connection.commit()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (spoil, "damaged or no SQLite database"),
        (partial(make_of, "9999"), "newer uac-trio"),
        (partial(make_of, "0003"), "was written by a version from before the first release"),
        (make_foreign, "belongs to another program"),
        (Path.mkdir, "cannot be opened or created"),
    ],
)
async def test_refusal_to_start(world: World, prepare: object, words: str) -> None:
    """A store that is not ours is refused in words, and left as it is; no PBX is touched."""
    assert callable(prepare)
    path = world.folder / "connector.db"
    prepare(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.RaisesGroup(pytest.RaisesExc(OutboxError, match=words), flatten_subgroups=True):
        await run_daemon(world.config())
    assert world.pbx_proxy.connections == 0
    assert (path.read_bytes() if path.is_file() else b"") == before
