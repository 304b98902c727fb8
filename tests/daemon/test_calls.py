"""A call from the wire to the CRM, its recording's link and its log."""

from __future__ import annotations

import structlog.testing

from tests.daemon.world import (
    CALL_ID,
    WHOLE_CALL,
    World,
    answered,
    part_of_call,
    ringing,
    running,
)


async def test_call_from_the_wire_to_the_crm(world: World) -> None:
    """What the PBX says of a call arrives at the CRM in order, in real time, and once."""
    async with running(world.config()):
        session = await world.session()
        await session.say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
        await session.say(part_of_call(ringing, answered))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin", "DialAnswer"])
        await session.say(part_of_call(answered, None))
        await world.until(lambda: world.crm.steps(CALL_ID) == WHOLE_CALL)
    assert world.crm.steps(CALL_ID) == WHOLE_CALL
    assert world.crm.seen[0].form["vtigersignature"] == "crm-secret"
    assert world.crm.overlaps == []


async def test_recordings_are_linked_below_the_public_address(world: World) -> None:
    """With a public address the CRM gets a link of one parameter for the recording."""
    async with running(world.config(public_url="http://172.16.1.1:5000")):
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: "Record" in world.crm.steps(CALL_ID))
    link = world.crm.seen[-1].form["recordinglink"]
    assert link.startswith("http://172.16.1.1:5000/recording?id=")
    assert len(link) < 200
    assert "&" not in link


async def test_log_of_a_call(world: World) -> None:
    """The log follows a call: ringing, part ended, ended, what was concluded without being seen."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await (await world.session()).say(part_of_call(None, ringing))
            await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
            await world.pbx.sessions[0].stream.aclose()
            await world.session(2)  # in whose snapshot the call is not
            await world.until(lambda: any(line["event"] == "calls.ended" for line in logs))
    logged = [line["event"] for line in logs if line["event"].startswith("calls.")]
    assert logged[0] == "calls.ringing"
    assert {"calls.part_ended", "calls.ended", "calls.odd"} <= set(logged)
