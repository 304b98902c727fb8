from __future__ import annotations

import pytest
import structlog.testing

from tests.calls.streams import recorded, run
from tests.daemon.world import CLICK, World, asked, running
from tests.fake_asterisk import FakeSession, Headers, answer, error
from tests.recorded import transcripts_of
from uac_trio.daemon.clicks import log_click
from uac_trio.transcript import read_transcript

RECORDED_ID = b"uac-1795834497-fbc8b50f"


def forwarded(channel_id: str) -> list[bytes]:
    """The events of a click whose phone sent the call on to the desk of 2004, a colleague."""
    (path,) = transcripts_of("cases/click_forwarded_desk")
    chunks = read_transcript(path.name, path.read_bytes()).chunks
    blocks = b"".join(chunk.data for chunk in chunks if chunk.direction == "recv").split(b"\r\n\r\n")
    of_call = [block + b"\r\n\r\n" for block in blocks if RECORDED_ID in block and b"Event: " in block]
    return [block.replace(RECORDED_ID, channel_id.encode()) for block in of_call]


def taken_at_once(_: FakeSession, action: Headers) -> bytes:
    """The PBX is so quick that its events come with the response."""
    return answer(action, "Message: Originate successfully queued") + b"".join(forwarded(action["ChannelId"]))


async def click(world: World, address: str) -> str:
    """2003 clicks; the identity that the order gives the first channel."""
    await asked(address, CLICK.replace("from=101", "from=2003"))
    (order,) = [action for action in world.pbx.sessions[-1].actions if action["Action"] == "Originate"]
    return order["ChannelId"]


async def hung_up(world: World, channel_id: str, rows: int = 1) -> set[str]:
    """Whose ``rows`` have ended once the call is over."""
    await world.until(lambda: world.crm.steps(f"main-{channel_id}").count("EndCall") == rows)
    return {seen.form["callerIdNum"] for seen in world.crm.seen if seen.step == "Hangup"}


async def test_what_we_ordered_is_whose_it_is(world: World) -> None:
    """The row of a click is that of who clicked, though a colleague's phone rang for it."""
    world.pbx.reactions["Originate"] = taken_at_once
    async with running(world.config()) as address:
        await world.session()
        channel_id = await click(world, address)
        assert await hung_up(world, channel_id) == {"2003"}
    (begun,) = [seen.form for seen in world.crm.seen if seen.step == "DialBegin"]
    assert (begun["callerIdNumber"], begun["dialString"]) == ("2003", "+79161234567")


async def test_click_that_the_pbx_refuses_has_a_row(world: World) -> None:
    """The CRM's page says "Success" whatever is answered: a row that failed says the truth."""
    world.pbx.reactions["Originate"] = lambda _, action: error(action, "Extension does not exist.")
    async with running(world.config()) as address:
        await world.session()
        channel_id = await click(world, address)
        call_id = f"main-{channel_id}"
        await world.until(lambda: world.crm.steps(call_id) == ["DialBegin", "Hangup", "EndCall"])
    forms = {seen.step: seen.form for seen in world.crm.seen if seen.call_id == call_id}
    assert (forms["DialBegin"]["callerIdNumber"], forms["DialBegin"]["dialString"]) == ("2003", "+79161234567")
    assert (forms["Hangup"]["causetxt"], forms["EndCall"]["billableseconds"]) == ("failed", "0")


async def test_order_that_the_pbx_refuses(world: World) -> None:
    """It is taken back: of a call that bears its name after all the events alone show whose it is, beside the row that
    failed."""
    world.pbx.reactions["Originate"] = lambda _, action: error(action, "Extension does not exist.")
    async with running(world.config()) as address:
        session = await world.session()
        channel_id = await click(world, address)
        await session.say(b"".join(forwarded(channel_id)))
        assert await hung_up(world, channel_id, rows=2) == {"2003", "2004"}


async def test_order_over_a_restart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run knows what this one ordered, when the phone rings later."""
    monkeypatch.setattr("uac_trio.daemon.storing.LOGGED_WITHIN", 0.02)
    async with running(world.config()) as address:
        session = await world.session()
        channel_id = await click(world, address)
        events = forwarded(channel_id)
        rings = next(number for number, event in enumerate(events) if b"ChannelState: 5" in event)
        await session.say(b"".join(events[:rings]))
    world.pbx.reactions["CoreShowChannels"] = lambda _, action: error(action, "Permission denied")
    async with running(world.config()):
        await (await world.session(2)).say(b"".join(events[rings:]))
        assert await hung_up(world, channel_id) == {"2003"}


def test_log_of_a_click() -> None:
    """The end of a click is one line, in a word and in words; calls of others have none."""
    with structlog.testing.capture_logs() as logs:
        for name in ("asterisk22/click_customer_busy", "asterisk22/inbound_answered"):
            for fact in run(recorded(name)):
                log_click(fact)
    (line,) = logs
    assert line["call"].startswith("main-uac-")
    assert {name: value for name, value in line.items() if name != "call"} == {
        "event": "click2call.ended",
        "log_level": "info",
        "extension": "101",
        "customer": "+79161234567",
        "outcome": "customer-busy",
        "words": "the customer was busy",
    }
