"""The store fails, or has to forget."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from tests.daemon.world import (
    CALL_ID,
    World,
    asked,
    part_of_call,
    ringing,
    running,
    states,
    stored,
)
from uac_trio.clock import now
from uac_trio.store.outbox import Outbox
from uac_trio.store.settings import OutboxError


async def test_store_that_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store takes nothing, requests wait in memory and /readyz shows it; then they are stored and sent."""
    monkeypatch.setattr("uac_trio.store.writer.PAUSE", 0.05)
    async with running(world.config()) as address:
        session = await world.session()
        locked = sqlite3.connect(world.tmp_path / "connector.db", isolation_level=None)
        locked.execute("BEGIN EXCLUSIVE")
        await session.say(part_of_call(None, ringing))
        with trio.fail_after(3):
            while (await asked(address, "/readyz"))[0] == 200:  # noqa: ASYNC110 - as a supervisor does
                await trio.sleep(0.05)
        status, health = await asked(address, "/healthz")
        assert status == 200  # a restart would not mend the store, and lose what is in memory
        assert health["store"]["in_memory"] == 1
        assert "locked" in health["store"]["reason"]
        locked.execute("ROLLBACK")
        locked.close()
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
        assert (await asked(address, "/readyz"))[0] == 200


async def test_store_that_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails while the daemon reads it at the start, or its figures later, is asked again."""
    monkeypatch.setattr("uac_trio.store.writer.PAUSE", 0.02)
    monkeypatch.setattr("uac_trio.daemon.storing.STATISTICS_EVERY", 0.02)
    for method, after in (("open_participations", 0), ("statistics", 1)):
        monkeypatch.setattr(Outbox, method, failing_once(getattr(Outbox, method), after))
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await (await world.session()).say(part_of_call(None, ringing))
            await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
            await world.until(lambda: any(line["event"] == "outbox.works_again" for line in logs))
    assert [line["event"] for line in logs].count("outbox.fails") == 2


def failing_once(method: Callable[..., Any], after: int) -> Callable[..., Any]:
    calls = iter(range(1000))

    async def wrapper(*arguments: Any) -> Any:
        if next(calls) == after:
            raise OutboxError(f"no {method.__name__} now")
        return await method(*arguments)

    return wrapper


async def test_old_rows_are_purged(world: World) -> None:
    """Delivered rows older than keep_delivered are gone after the start."""
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
        await world.until(lambda: states(world) <= {"delivered", "superseded"})
    later = now() + 30 * 86400
    async with running(world.config(), now=lambda: later):
        await world.until(lambda: stored(world) == [])
