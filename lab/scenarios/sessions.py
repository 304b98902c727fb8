"""The AMI session is lost while calls go on, and another is opened: NAME.jsonl, then NAME_2.jsonl, are one story.

The second session asks for CoreShowChannels after its login. The truth is of both together (`inexact` names what AMI
cannot show exactly); by itself, the second is a connector that starts while calls are going on.
"""

from __future__ import annotations

import trio

from lab.scenarios.moves import CLIENT, blind_transfer, connected, queued
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER2, Truth, inbound, outbound, transfer

GAP = 1.0


@scenario(profile="office")
async def session_lost_while_talking(stage: Stage) -> list[Truth]:
    """Lost while Vera talks, back 1 s later; the customer hangs up after that."""
    call, _ = await connected(stage)
    await stage.lose_session()
    await trio.sleep(GAP)
    async with stage.next_session():
        await trio.sleep(2)
        call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003"], answered_by="2003", ring=0.5, talk=4.5,
                parts={"2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def session_lost_answered_meanwhile(stage: Stage) -> list[Truth]:
    """Lost while ring group 600 rings; Boris answers on their mobile before the next session."""
    stage.plan("2002-mobile", answer_after=2)
    call = stage.customer_calls("4956660600", CLIENT)
    await stage.rung("2003")
    await trio.sleep(1.2)
    await stage.lose_session()
    with trio.fail_after(10):
        await call.answered.wait()
    await trio.sleep(0.5)
    async with stage.next_session():
        await trio.sleep(1.5)
        call.bye()
    return [
        inbound("completed", "4956660600", CLIENT, rang=["2001", "2002", "2003"], answered_by="2002", ring=2, talk=2,
                parts={"2001": "answered-elsewhere", "2002": "completed", "2003": "answered-elsewhere"},
                inexact=["talk_secs"], note="the answer was not seen")
    ]  # fmt: skip


@scenario(profile="office")
async def session_lost_ended_meanwhile(stage: Stage) -> list[Truth]:
    """Lost while Vera talks; the customer hangs up before the next session: it finds nothing."""
    call, _ = await connected(stage)
    await stage.lose_session()
    await trio.sleep(0.5)
    call.bye()
    await trio.sleep(0.5)
    async with stage.next_session():
        await trio.sleep(1)
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003"], answered_by="2003", ring=0.5, talk=2,
                parts={"2003": "completed"}, inexact=["talk_secs"],
                note="the end was not seen: inferred")
    ]  # fmt: skip


@scenario(profile="office")
async def session_lost_transferred_meanwhile(stage: Stage) -> list[Truth]:
    """Lost while Vera talks; Vera sends the customer to Grisha by REFER, who answers, before the next session."""
    call, vera = await connected(stage)
    await stage.lose_session()
    await blind_transfer(stage, vera, "2004", "desk-grisha", answer_after=0.5)
    await trio.sleep(0.5)
    async with stage.next_session():
        await trio.sleep(1.5)
        call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004"], answered_by="2003", ring=0.5, talk=3.5,
                final_agent="2004", transfers=[transfer("blind", "2003", "2004")],
                parts={"2003": "transferred", "2004": "completed"}, note="the transfer was not seen")
    ]  # fmt: skip


@scenario(profile="office")
async def session_lost_in_queue(stage: Stage) -> list[Truth]:
    """Lost while queue 400 rings its members; back while they still ring; Vera answers then."""
    stage.plan("2003", answer_after=4)
    call = stage.customer_calls("4956660400", CLIENT)
    await stage.rung("2003")
    await trio.sleep(1)
    await stage.lose_session()
    await trio.sleep(GAP)
    async with stage.next_session():
        await stage.taken_already("2003")
        await trio.sleep(2)
        call.bye()
    return [
        queued("completed", "400", rang=["2001", "2002", "2003"], answered_by="2003", ring=4, talk=2,
               parts={"2001": "answered-elsewhere", "2002": "answered-elsewhere", "2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def session_lost_outbound(stage: Stage) -> list[Truth]:
    """Lost while the customer's phone rings; back before the customer answers."""
    stage.plan("trunk", answer_after=3.5)
    call = stage.phones["sip-anna"].call("9" + CUSTOMER2)
    await stage.rung("trunk")
    await trio.sleep(1)
    await stage.lose_session()
    await trio.sleep(GAP)
    async with stage.next_session():
        await stage.talk(call, 2)
        call.bye()
    return [
        outbound("completed", "2001", CUSTOMER2, first={"Channel": "PJSIP/sip-anna-", "Exten": "9" + CUSTOMER2},
                 rang=[CUSTOMER2], answered_by=CUSTOMER2, ring=3.5, talk=2, parts={"2001": "completed"})
    ]  # fmt: skip
