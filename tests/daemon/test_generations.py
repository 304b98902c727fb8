"""The daemon before servers that speak another AMI than today's, and before what is no Asterisk."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
import structlog.testing

from tests.daemon.test_live import live
from tests.daemon.world import WHOLE_CALL, World, running
from tests.fake_asterisk import error
from tests.recorded import transcripts_of
from uac_trio.transcript import read_transcript

INBOUND = "asterisk11/inbound_answered_agent_hangs_up"
CALL_ID = "main-1795832526.2"


def events(name: str) -> list[bytes]:
    """The events of a recording after its login."""
    (path,) = transcripts_of(name)
    chunks = read_transcript(path.name, path.read_bytes()).chunks
    blocks = b"".join(chunk.data for chunk in chunks if chunk.direction == "recv").split(b"\r\n\r\n")
    return [block + b"\r\n\r\n" for block in blocks if block.startswith(b"Event: ") and b"FullyBooted" not in block]


def of(logs: Sequence[MutableMapping[str, Any]], name: str) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == name]


@pytest.fixture
def old_world(world: World) -> World:
    """Its PBX is an Asterisk 11, which knows no action Filter for our user, and no list of channels."""
    world.pbx.banner = b"Asterisk Call Manager/1.3\r\n"
    for action in ("Filter", "CoreShowChannels"):
        world.pbx.reactions[action] = lambda _, action: error(action, "Invalid/unknown command")
    return world


async def test_call_on_asterisk_11(old_world: World) -> None:
    """A call that AMI 1.x shows arrives at the CRM; the log says at the login which AMI it is and what that needs."""
    with structlog.testing.capture_logs() as logs:
        async with running(old_world.config()) as address:
            session = await old_world.session()
            assert (await live(address))["pbx"][0]["ami"] == "AMI 1.x (Asterisk 1.8 to 11)"
            await session.say(b"".join(events(INBOUND)))
            await old_world.until(lambda: old_world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    (line,) = of(logs, "ami.generation")
    assert line["speaks"] == "AMI 1.x (Asterisk 1.8 to 11)"
    assert "eventwhencalled = yes in queues.conf" in line["hint"]
    (mask,) = [action["EventMask"] for action in session.actions if action["Action"] == "Events"]
    assert mask == "system,call,agent,cdr"  # classes of main/manager.c since 1.6
    (begun,) = [seen.form for seen in old_world.crm.seen if seen.step == "DialBegin"]
    assert (begun["callerIdNumber"], begun["dialString"]) == ("+79161234567", "101")


async def test_restart_in_mid_call_on_asterisk_11(old_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run replays the event log as AMI 1.x, before it has connected to the server again."""
    monkeypatch.setattr("uac_trio.daemon.storing.LOGGED_WITHIN", 0.02)
    recorded = events(INBOUND)
    rings = next(number for number, one in enumerate(recorded) if b"ChannelState: 5" in one) + 1
    async with running(old_world.config()):
        session = await old_world.session()
        await session.say(b"".join(recorded[:rings]))
        await old_world.until(lambda: old_world.crm.steps(CALL_ID) == ["DialBegin"])
    async with running(old_world.config()):
        await (await old_world.session(2)).say(b"".join(recorded[rings:]))
        await old_world.until(lambda: old_world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    steps = old_world.crm.steps(CALL_ID)
    assert [step for step in WHOLE_CALL if step in steps and step != "DialAnswer"] == ["DialBegin", "Hangup", "EndCall"]
    assert steps.count("DialBegin") == 1
    (hangup,) = [seen.form for seen in old_world.crm.seen if seen.step == "Hangup"]
    assert (hangup["callerIdNum"], hangup["HangupCause"]) == ("101", "ANSWER")


async def test_queue_without_agent_called(old_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server does not show is a condition with the setting, logged once however often it is missed."""
    stream = b"".join(events("asterisk11/office_queue_local_ringall"))
    monkeypatch.setattr("uac_trio.daemon.run.LOOK_EVERY", 0.02)

    def began() -> list[Any]:
        return [line for line in of(logs, "condition.began") if line["condition"] == "queue_calls_not_shown"]

    with structlog.testing.capture_logs() as logs:
        async with running(old_world.config()):
            session = await old_world.session()
            for linkedid in (b"1795832593.", b"1795932593."):
                await session.say(stream.replace(b"1795832593.", linkedid))
                call_id = f"main-{linkedid.decode()}0"
                await old_world.until(lambda call_id=call_id: old_world.crm.steps(call_id)[-1:] == ["EndCall"])  # type: ignore[misc]
            await old_world.until(lambda: began())
    (line,) = began()
    assert (line["log_level"], line["pbx"]) == ("warning", "main")
    assert "eventwhencalled = yes in each queue of queues.conf" in line["remedy"]


async def test_server_that_is_no_asterisk(world: World) -> None:
    """A proxy that greets with a line of its own is an error in the log, and the first trouble on the page."""
    world.pbx.banner = b"Asterisk Call Manager Proxy/1.21\r\n"
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()) as address:
            await world.session()
            findings = (await live(address))["findings"]
    (line,) = of(logs, "ami.unknown_server")
    assert (line["log_level"], line["banner"]) == ("error", "Asterisk Call Manager Proxy/1.21")
    assert "not of a proxy before it" in line["hint"]
    assert findings[0]["words"].startswith(
        "PBX main greets with 'Asterisk Call Manager Proxy/1.21', which is no Asterisk"
    )


async def test_server_of_today(world: World) -> None:
    """The log says what it speaks, and nothing is wrong."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()) as address:
            await world.session()
            assert (await live(address))["findings"] == []
    assert [line["speaks"] for line in of(logs, "ami.generation")] == ["AMI 2 or later (Asterisk 12 and later)"]
    assert of(logs, "ami.unknown_server") == []
