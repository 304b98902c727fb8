"""What connectors on one PostgreSQL let each other know."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import attrs
import pytest
import sqlalchemy as sa
import trio

from tests.postgres import restart_postgresql, temporary_postgresql, wanted
from tests.store.calls import NOW, delivery, lease
from uac_trio.crm.delivery import Kind, Scope
from uac_trio.crm.stream_events import StreamEvents
from uac_trio.daemon.companion import Companion
from uac_trio.store import notifying
from uac_trio.store.notifying import Notices
from uac_trio.store.outbox import open_outbox
from uac_trio.store.settings import OutboxError, OutboxSettings
from uac_trio.web.streams import Streams

needs_postgresql = pytest.mark.skipif(not wanted(), reason="UAC_TEST_POSTGRESQL is not set")
on_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@attrs.define
class Heard:
    """Notes what comes, in its order."""

    notes: list[str] = attrs.field(factory=list)

    def received(self, texts: Sequence[str]) -> None:
        self.notes += texts

    def missed(self) -> None:
        self.notes.append("missed")

    def deaf(self, why: OutboxError) -> None:
        self.notes.append(f"deaf: {why}")

    async def until(self, *notes: str) -> None:
        with trio.fail_after(20):
            while self.notes[-len(notes) :] != list(notes):  # noqa: ASYNC110  they come from a server
                await trio.sleep(0.01)


def notices_of(outbox: object) -> Notices:
    notices = getattr(outbox, "notices")  # noqa: B009
    assert isinstance(notices, Notices)
    return notices


async def test_sqlite_has_none(tmp_path: object) -> None:
    """It has one connector."""
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        assert outbox.notices is None


@needs_postgresql
@on_postgresql
async def test_all_connectors_hear_it(store_url: str) -> None:
    """In the order in which it was sent, the sender too; the pool keeps its connections."""
    settings = OutboxSettings(url=store_url, pool_size=1)
    async with open_outbox(settings) as one, open_outbox(settings) as two, trio.open_nursery() as nursery:
        here, there = Heard(), Heard()
        nursery.start_soon(notices_of(one).listen, here)
        nursery.start_soon(notices_of(two).listen, there)
        await here.until("missed")
        await there.until("missed")
        await notices_of(one).send(["a", "it's, Ъ"])
        await notices_of(two).send(["b"])
        for heard in (here, there):
            await heard.until("missed", "a", "it's, Ъ", "b")
        assert (await one.statistics()).waiting == 0
        nursery.cancel_scope.cancel()


@needs_postgresql
@on_postgresql
async def test_cancelled(store_url: str) -> None:
    """At once, but for the round that is under way."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        heard = Heard()
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(notices_of(outbox).listen, heard)
                await heard.until("missed")
                nursery.cancel_scope.cancel()


class _Hanging:
    """A connection to a server that stands still: nothing is answered, not even the end of the connection."""

    def __init__(self) -> None:
        self.asked, self.over = threading.Event(), threading.Event()

    def notifies(self, **_: object) -> list[object]:
        self.asked.set()
        self.over.wait(60)
        return []

    def close(self) -> None:
        self.over.wait(60)


async def test_a_server_that_stands_still_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uac_trio.store.notifying.ROUND", 0.05)
    connection = _Hanging()
    engine = sa.create_engine("sqlite://")
    monkeypatch.setattr(Notices, "_open", lambda _: connection)
    try:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Notices(engine, print).listen, Heard())  # type: ignore[arg-type]
                await trio.to_thread.run_sync(connection.asked.wait)
                nursery.cancel_scope.cancel()
    finally:
        connection.over.set()
        engine.dispose()


@needs_postgresql
@on_postgresql
async def test_browser_at_another_connector(store_url: str) -> None:
    """It sees what this one delivered, and why a click at this one failed; a browser here sees each once."""
    settings = OutboxSettings(url=store_url)
    async with open_outbox(settings) as one, open_outbox(settings) as two, trio.open_nursery() as nursery:
        companions = [
            Companion(streams=Streams(lambda: NOW), events=StreamEvents(scope=Scope.EMPLOYEE)) for _ in range(2)
        ]
        for companion, outbox in zip(companions, (one, two), strict=True):
            nursery.start_soon(companion.share, notices_of(outbox))
        with (
            companions[0].streams.stream("5", "101", "x") as here,
            companions[1].streams.stream("5", "101", "x") as far,
        ):
            for stream in (here, far):  # what came before it began to listen is not known, so it looks
                with trio.fail_after(20):
                    assert await stream.events.receive() == '{"ring":[],"look":1}'
            await one.put([delivery(Kind.BEGIN)], NOW)
            (row,) = await lease(one)
            companions[0].delivered(row)
            companions[0].click_failed("101", "refused")
            for stream in (here, far):
                with trio.fail_after(20):
                    assert await stream.events.receive() == '{"ring":[],"look":1}'
                    assert await stream.events.receive() == '{"click":"refused"}'
            with pytest.raises(trio.WouldBlock):
                here.events.receive_nowait()
        nursery.cancel_scope.cancel()


@needs_postgresql
async def test_server_that_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known that something may have been missed, and what comes then is heard."""
    monkeypatch.setattr(notifying, "PAUSE", 0.05)
    with temporary_postgresql() as directory:
        url = f"postgresql+psycopg://uac@/postgres?host={directory}"
        async with open_outbox(OutboxSettings(url=url)) as outbox, trio.open_nursery() as nursery:
            heard = Heard()
            nursery.start_soon(notices_of(outbox).listen, heard)
            await heard.until("missed")
            await trio.to_thread.run_sync(restart_postgresql, directory)
            with trio.fail_after(20):
                while not any(note.startswith("deaf") for note in heard.notes):  # noqa: ASYNC110
                    await trio.sleep(0.01)
            await heard.until("missed")
            await notices_of(outbox).send(["again"])
            await heard.until("missed", "again")
            nursery.cancel_scope.cancel()
