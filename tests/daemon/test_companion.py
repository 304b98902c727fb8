"""The daemon's events for browsers: what follows from AMI events, once the CRM has answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.calls.streams import recorded
from tests.daemon.world import CALL_ID, CLICK, World, answered, asked, part_of_call, ringing, running
from tests.fake_asterisk import answer, error
from tests.fake_vtiger import FAILURE, Answer
from tests.web.streaming import Client, fresh, open_stream
from uac_trio.clock import now

ON = "[companion]\nenabled = true\n"


@asynccontextmanager
async def stream_of(address: str, extension: str = "101") -> AsyncIterator[Client]:
    client = await open_stream(int(address.rpartition(":")[2]), fresh(x=extension, e=now() + 60))
    try:
        yield client
    finally:
        client.socket.socket.close()


async def test_off_by_default(world: World) -> None:
    """There is no such path, and nothing of it in the metrics."""
    async with running(world.config()) as address, stream_of(address) as client:
        assert client.status == 404
        assert "companion" not in (await asked(address, "/metrics"))[1]


@pytest.mark.parametrize("status", [200, 500])
async def test_event_follows_the_answer_of_the_crm(world: World, status: int) -> None:
    """A fresh SalesPlatform answers 500 to what it has written."""
    world.crm.script = lambda form: Answer(status=status, delay=0.05) if "callUUID" in form else FAILURE
    async with running(world.config(ON)) as address, stream_of(address) as client:
        session = await world.session()
        with trio.fail_after(20):
            assert await client.next() == {"ring": [], "look": 1}
            await session.say(part_of_call(None, ringing))
            assert await client.next() == {"ring": [CALL_ID], "look": 1}
            assert all(seen.ended for seen in world.crm.seen if seen.step == "DialBegin")
            await session.say(part_of_call(ringing, answered))
            assert await client.next() == {"ring": [CALL_ID], "look": 1}
            await session.say(part_of_call(answered, None))
            assert await client.next() == {"ring": [], "look": 1}
            assert world.crm.steps(CALL_ID)[-1] == "EndCall"


async def test_only_whose_phone_rings(world: World) -> None:
    async with running(world.config(ON)) as address:
        async with stream_of(address) as rings, stream_of(address, "102") as silent:
            session = await world.session()
            with trio.fail_after(10):
                assert [await rings.next(), await silent.next()] == [{"ring": [], "look": 1}] * 2
                await session.say(part_of_call(None, ringing))
                assert await rings.next() == {"ring": [CALL_ID], "look": 1}
            with trio.move_on_after(0.1) as patience:
                await silent.next()
            assert patience.cancelled_caught


async def test_row_of_a_call(world: World) -> None:
    """Of a stock vTiger, in which every user sees a ringing call: the list says whose phone rings."""
    async with running(world.config(ON, flavour="stock")) as address, stream_of(address) as client:
        session = await world.session()
        with trio.fail_after(10):
            await client.next()
            await session.say(part_of_call(None, ringing))
            assert await client.next() == {"ring": [CALL_ID], "look": 1}


async def test_restart_in_mid_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first event of a stream has the call that an earlier run began."""
    monkeypatch.setattr("uac_trio.daemon.storing.LOGGED_WITHIN", 0.02)
    async with running(world.config(ON)) as address:
        session = await world.session()
        await session.say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
    world.pbx.reactions["CoreShowChannels"] = lambda _, action: error(action, "Permission denied")
    async with running(world.config(ON)) as address:
        await world.session(2)
        async with stream_of(address) as client:
            with trio.fail_after(5):
                assert await client.next() == {"ring": [CALL_ID], "look": 1}


async def test_click_that_the_pbx_refuses(world: World) -> None:
    """Who clicked learns of it before the CRM's page has its answer, which is "Success" whatever happened."""
    world.pbx.reactions["Originate"] = lambda _, action: error(action, "Extension does not exist.")
    async with running(world.config(ON)) as address, stream_of(address) as client:
        await world.session()
        with trio.fail_after(10):
            await client.next()
            await asked(address, CLICK)
            assert await client.next() == {"click": "refused"}


async def test_click_whose_phone_is_busy(world: World) -> None:
    """The reason comes with the hangup; the call's record waits 2 s for a Cdr."""
    world.pbx.reactions["Originate"] = lambda _, action: answer(action, "Message: Originate successfully queued")
    async with running(world.config(ON)) as address:
        async with stream_of(address) as client:
            session = await world.session()
            with trio.fail_after(10):
                await client.next()
                await asked(address, CLICK)
                (order,) = [action for action in session.actions if action["Action"] == "Originate"]
                await session.say(_busy(order["ChannelId"]))
                events = [await client.next() for _ in range(2)]
            assert {"click": "employee-busy"} in events


def _busy(channel_id: str) -> bytes:
    """The events of a recorded click whose phone was busy, as those of this order."""
    events = [event for _, event in recorded("asterisk22/click_employee_busy")]
    first = next(event.get("Uniqueid") for event in events if event.name == "Newchannel")
    lines = ["".join(f"{name}: {value}\r\n" for name, value in event.headers) + "\r\n" for event in events]
    return "".join(lines).replace(first, channel_id).encode()


async def test_forged_tokens_block_no_click(world: World) -> None:
    """Behind the CRM's web server they come from the CRM's address."""
    world.pbx.reactions["Originate"] = lambda _, action: answer(action, "Message: Originate successfully queued")
    async with running(world.config(ON)) as address:
        await world.session()
        for _ in range(25):
            await open_stream_and_close(address, fresh(secret="guessed"))
        assert (await asked(address, CLICK)) == (200, "Success")


async def test_metrics_and_health(world: World) -> None:
    """How many streams are open, how many events were sent, what was refused; when a stream was last seen."""
    async with running(world.config(ON)) as address:
        assert (await asked(address, "/healthz"))[1]["companion"] == {"streams": 0, "last_seen": None}
        async with stream_of(address) as client:
            await client.next()
            health = (await asked(address, "/healthz"))[1]["companion"]
            assert health["streams"] == 1
            assert abs(health["last_seen"] - now()) < 60
            await open_stream_and_close(address, fresh(secret="guessed"))
            page = (await asked(address, "/metrics"))[1]
    for line in (
        "uac_companion_streams 1.0", "uac_companion_streams_opened_total 1.0", "uac_companion_events_total 0.0",
        'uac_companion_tokens_refused_total{reason="signature"} 1.0',
    ):  # fmt: skip
        assert line in page


async def open_stream_and_close(address: str, token: str) -> None:
    client = await open_stream(int(address.rpartition(":")[2]), token)
    client.socket.socket.close()
