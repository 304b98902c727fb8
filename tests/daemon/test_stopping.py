"""A stop, and the next run."""

from __future__ import annotations

import sqlite3

import pytest
import structlog.testing
import trio
import trio.testing

from tests.daemon.world import (
    CALL_ID,
    CLICK,
    STORED_CALL,
    WHOLE_CALL,
    World,
    answered,
    asked,
    part_of_call,
    ringing,
    running,
    stored,
    until_in_memory,
)
from tests.fake_asterisk import silence
from tests.fake_vtiger import Silence


async def test_stop_in_mid_call_loses_nothing_that_was_seen(world: World) -> None:
    """All that was seen before a stop is in the outbox after it, with the CRM away; the next run ends what is over."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config(crm="http://127.0.0.1:9/away.php")):
            await (await world.session()).say(part_of_call(None, answered))
            await world.until(lambda: stored(world) == ["begin", "answer"])
            await world.until(lambda: any(line["event"] == "sender.crm_away" for line in logs))
    async with running(world.config()):
        await world.session(2)  # whose list of channels is empty
        await world.until(lambda: stored(world) == STORED_CALL)
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert world.crm.steps(CALL_ID)[0] == "DialBegin"
    assert world.crm.steps(CALL_ID).count("Hangup") == 1


async def test_event_in_the_moment_of_the_stop(world: World) -> None:
    """Requests that were handed over and not committed yet when the stop came are committed before the end."""
    config = world.config(crm="http://127.0.0.1:9/away.php")
    async with running(config) as address:
        session = await world.session()
        locked = sqlite3.connect(world.tmp_path / "connector.db", isolation_level=None)
        locked.execute("BEGIN EXCLUSIVE")
        await session.say(part_of_call(None, ringing))
        await until_in_memory(address, 1)
        locked.execute("ROLLBACK")
        locked.close()
    assert stored(world) == ["begin"]


async def test_call_goes_on_over_a_restart(world: World) -> None:
    """A call that is still up at the restart is carried on: one DialBegin, one end, with the whole duration."""
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, answered))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin", "DialAnswer"])
    world.pbx.channels = [
        channel("PJSIP/trunk-00000000", "1795413713.0", "+79161234567", "4951000101"),
        channel("PJSIP/101-00000001", "1795413713.1", "101", "101"),
    ]
    async with running(world.config()):
        session = await world.session(2)
        await session.say(part_of_call(answered, None))
        await world.until(lambda: world.crm.steps(CALL_ID) == WHOLE_CALL)
    assert (stored(world), world.crm.steps(CALL_ID)) == (STORED_CALL, WHOLE_CALL)  # nothing waits that would follow


def channel(name: str, uniqueid: str, number: str, exten: str) -> tuple[str, ...]:
    return (
        f"Channel: {name}",
        "ChannelState: 6",
        "ChannelStateDesc: Up",
        f"CallerIDNum: {number}",
        "CallerIDName: <unknown>",
        "ConnectedLineNum: <unknown>",
        "ConnectedLineName: <unknown>",
        "Context: from-trunk",
        f"Exten: {exten}",
        "Priority: 1",
        f"Uniqueid: {uniqueid}",
        "Linkedid: 1795413713.0",
        "BridgeId: 7b5ba1a5-1a5b-4d0c-8d26-0f5e0d1b9b11",
        "Application: Dial",
        "ApplicationData: PJSIP/101",
        "Duration: 00:00:05",
    )


async def test_stop_with_a_crm_that_says_nothing(world: World) -> None:
    """A request on the wire gets the sender's grace at a stop, no more, and stays in the outbox."""
    world.crm.script = lambda _: Silence()
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.seen)
        began = trio.current_time()
    assert trio.current_time() - began < 2
    assert stored(world) == ["begin"]


@pytest.mark.parametrize(("limit", "said"), [("COMMIT_WITHIN", []), ("END_WITHIN", ["daemon.shutdown_cut_short"])])
async def test_stop_that_takes_too_long(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: str, said: list[str]
) -> None:
    """With a store that is stuck, the end comes within its limits, and the log says how many requests are lost."""
    monkeypatch.setattr(f"uac_trio.daemon.run.{limit}", 0.3)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            session = await world.session()
            locked = sqlite3.connect(world.tmp_path / "connector.db", isolation_level=None)
            locked.execute("BEGIN EXCLUSIVE")
            await session.say(part_of_call(None, ringing))
            await world.until(lambda: any(line["event"] == "outbox.fails" for line in logs))
            began = trio.current_time()
        assert trio.current_time() - began < 2
    locked.close()
    errors = [line["event"] for line in logs if line["event"].startswith("daemon.") and line["log_level"] == "error"]
    assert errors == [*said, "daemon.deliveries_lost"]


async def test_stop_with_a_click_that_waits(world: World) -> None:
    """A click whose Originate has no response yet gets Error at once at a stop."""
    world.pbx.reactions["Originate"] = silence
    replies: list[tuple[int, str]] = []

    async def click(address: str) -> None:
        replies.append(await asked(address, CLICK))

    async with trio.open_nursery() as clients:
        async with running(world.config()) as address:
            session = await world.session()
            clients.start_soon(click, address)
            await world.until(lambda: "Originate" in session.names())
    assert replies == [(200, "Error")]
