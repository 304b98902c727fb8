"""The daemon cannot start, or starts over."""

from __future__ import annotations

import socket
import sqlite3
from typing import Any

import pytest
import structlog.testing

from tests.daemon.world import (
    CALL_ID,
    World,
    part_of_call,
    ringing,
    running,
    until_in_memory,
)
from uac_trio.daemon.run import run_daemon
from uac_trio.pipeline import Pipeline
from uac_trio.store.settings import OutboxError
from uac_trio.web.settings import CannotListenError


async def test_address_that_is_taken(world: World) -> None:
    """A daemon whose HTTP address is taken ends with an error that names the setting, and touches no PBX."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = world.config(bind=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.RaisesGroup(CannotListenError, flatten_subgroups=True):
            await run_daemon(config)
    assert world.pbx.sessions == []


async def test_store_that_cannot_be_opened(world: World) -> None:
    """A daemon whose outbox cannot be opened ends with an error about it."""
    (world.tmp_path / "connector.db").write_text("this is no database, but a text file of another program " * 100)
    with pytest.RaisesGroup(OutboxError, flatten_subgroups=True):
        await run_daemon(world.config())


async def test_too_much_for_the_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When requests had to be dropped, the daemon starts over from the outbox and a snapshot, and says so."""
    monkeypatch.setattr("uac_trio.store.writer.PAUSE", 0.05)
    monkeypatch.setattr("uac_trio.daemon.intake.START_OVER_PAUSE", 0.05)
    monkeypatch.setattr("uac_trio.daemon.storing.MAX_WAITING", 1)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()) as address:
            session = await world.session()
            locked = sqlite3.connect(world.tmp_path / "connector.db", isolation_level=None)
            locked.execute("BEGIN EXCLUSIVE")
            await session.say(part_of_call(None, ringing))
            await until_in_memory(address, 1)
            await session.say(part_of_call(ringing, None))
            await world.until(lambda: any(line["event"] == "daemon.starting_over" for line in logs))
            locked.execute("ROLLBACK")
            locked.close()
            await world.session(2)
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert world.crm.steps(CALL_ID).count("DialBegin") == world.crm.steps(CALL_ID).count("Hangup") == 1


async def test_fault_in_digesting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours over one event is logged with its traceback; the daemon starts over and goes on."""
    monkeypatch.setattr("uac_trio.daemon.intake.START_OVER_PAUSE", 0.05)
    healthy = Pipeline.received
    faults = iter([RuntimeError("a fault of ours")])

    def faulty(self: Pipeline, *arguments: Any) -> Any:
        if any(message.get("Event") == "Newstate" for message in arguments[1]):
            for fault in faults:
                raise fault
        return healthy(self, *arguments)

    monkeypatch.setattr(Pipeline, "received", faulty)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await (await world.session()).say(part_of_call(None, ringing))
            session = await world.session(2)
            await session.say(part_of_call(None, None))
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "daemon.digest_failed",
        "daemon.starting_over",
    ]
