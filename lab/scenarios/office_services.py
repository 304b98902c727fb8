"""Pickup, parking, conference, menus, machines."""

from __future__ import annotations

import trio

from lab.scenarios.moves import CLIENT, DID, connected, queued
from lab.stage import Stage, scenario
from lab.truth import Truth, inbound, internal, transfer


@scenario(profile="office")
async def office_pickup_ringgroup(stage: Stage) -> list[Truth]:
    """Ring group 600 rings Anna, Boris and Vera; Grisha takes the call with **600 (Pickup by mark)."""
    call = stage.customer_calls("4956660600", CLIENT)
    await stage.rung("2003")
    await trio.sleep(1.5)
    grisha = stage.phones["desk-grisha"].call("**600")
    await stage.talk(grisha, 2)
    call.bye()
    return [
        inbound("completed", "4956660600", CLIENT, rang=["2001", "2002", "2003"], answered_by="2004", ring=1.5, talk=2,
                parts={"2001": "answered-elsewhere", "2002": "answered-elsewhere", "2003": "answered-elsewhere",
                       "2004": "completed"}, note="2004 did not ring; their leg begins as a call of its own")
    ]  # fmt: skip


@scenario(profile="office")
async def office_pickup_queue_group(stage: Stage) -> list[Truth]:
    """Queue 402 rings Dina; Grisha takes the call with *8 (group pickup)."""
    call = stage.customer_calls("4956660402", CLIENT)
    await stage.rung("2005")
    await trio.sleep(1.5)
    grisha = stage.phones["desk-grisha"].call("*8")
    await stage.talk(grisha, 2)
    call.bye()
    return [
        queued("completed", "402", rang=["2005"], answered_by="2004", ring=1.5, talk=2,
               parts={"2005": "answered-elsewhere", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_pickup_directed(stage: Stage) -> list[Truth]:
    """A customer calls Anna (two devices); Grisha takes the call with **2001."""
    call = stage.customer_calls(DID, CLIENT)
    await stage.rung("sip-anna-app")
    await trio.sleep(1.5)
    grisha = stage.phones["desk-grisha"].call("**2001")
    await stage.talk(grisha, 2)
    call.bye()
    return [
        inbound("completed", DID, CLIENT, rang=["2001"], answered_by="2004", ring=1.5, talk=2,
                parts={"2001": "answered-elsewhere", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_park_retrieved(stage: Stage) -> list[Truth]:
    """Vera parks the customer (REFER to 70); Grisha takes them from 71 after 2 s."""
    call, vera = await connected(stage)
    vera.refer("70")
    await trio.sleep(2)
    grisha = stage.phones["desk-grisha"].call("71")
    await stage.talk(grisha, 2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003"], answered_by="2003", ring=0.5, talk=3.5,
                final_agent="2004", transfers=[transfer("park", "2003", "2004")],
                parts={"2003": "transferred", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_park_timeout(stage: Stage) -> list[Truth]:
    """Vera parks the customer; no one takes the call for 8 s; it comes back to Vera, who answers."""
    call, vera = await connected(stage)
    vera.refer("70")
    await trio.sleep(1)
    stage.phones["2003"].forget()
    stage.plan("2003", answer_after=1)
    await stage.taken("2003")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003"], answered_by="2003", ring=0.5, talk=3.5,
                final_agent="2003", parts={"2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_conference_transfer(stage: Stage) -> list[Truth]:
    """Vera sends the customer into conference 5501, where Grisha waits; Anna joins; all talk 2 s."""
    call, vera = await connected(stage)
    grisha = stage.phones["desk-grisha"].call("5501")
    await stage.talk(grisha, 0.5)
    vera.refer("5501")
    await trio.sleep(1)
    anna = stage.phones["sip-anna"].call("5501")
    await stage.talk(anna, 2)
    call.bye()
    await trio.sleep(0.3)
    grisha.bye()
    anna.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003"], answered_by="2003", ring=0.5, talk=4.5,
                transfers=[transfer("blind", "2003", "5501")], parts={"2003": "transferred"},
                note="talk counts the customer's time in the conference"),
        internal("completed", "2004", "5501", recorded=False, note="conference"),
        internal("completed", "2001", "5501", first={"Channel": "PJSIP/sip-anna-", "Exten": "5501"}, recorded=False,
                 note="conference"),
    ]  # fmt: skip


@scenario(profile="office")
async def office_ivr_two_levels(stage: Stage) -> list[Truth]:
    """IVR: 2 leads to a second menu, 1 there to Vera, who answers."""
    stage.plan("2003", answer_after=1)
    call = stage.customer_calls("4956660800", CLIENT)
    await stage.talk(call, 1)
    await call.dtmf("2")
    await trio.sleep(1.5)
    await call.dtmf("1")
    await stage.taken("2003")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660800", CLIENT, rang=["2003"], answered_by="2003", ring=1, talk=2,
                parts={"2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_ivr_to_queue(stage: Stage) -> list[Truth]:
    """IVR: 2, then 2: queue 404; Anna answers on their desk phone."""
    stage.plan("sip-anna", answer_after=1.5)
    call = stage.customer_calls("4956660800", CLIENT)
    await stage.talk(call, 1)
    await call.dtmf("2")
    await trio.sleep(1.5)
    await call.dtmf("2")
    await stage.taken("sip-anna")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660800", CLIENT, queue="404", rang=["2001", "2003", "2004"], answered_by="2001",
                ring=1.5, talk=2,
                parts={"2001": "completed", "2003": "answered-elsewhere", "2004": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_ivr_abandoned(stage: Stage) -> list[Truth]:
    """IVR: 2, then the customer hangs up in the second menu."""
    call = stage.customer_calls("4956660800", CLIENT)
    await stage.talk(call, 1)
    await call.dtmf("2")
    await trio.sleep(1.5)
    call.bye()
    return [inbound("cancelled", "4956660800", CLIENT, recorded=False, note="no employee heard it")]


@scenario(profile="office")
async def office_fax(stage: Stage) -> list[Truth]:
    """A machine answers (Answer, Playback, Wait), and hangs up: no person took part."""
    call = stage.customer_calls("4956660950", CLIENT)
    await stage.over(call)
    return [inbound("no-answer", "4956660950", CLIENT, recorded=False, note="answered by the dialplan, by no person")]


@scenario(profile="office")
async def office_hold_twice(stage: Stage) -> list[Truth]:
    """Grisha holds the customer twice for 1 s."""
    call, grisha = await connected(stage, "desk-grisha", "4956660004")
    for _ in range(2):
        await grisha.hold()
        await trio.sleep(1)
        await grisha.hold(False)
        await trio.sleep(0.8)
    call.bye()
    return [
        inbound("completed", "4956660004", CLIENT, rang=["2004"], answered_by="2004", ring=0.5, talk=3.5,
                hold_secs=2.4, parts={"2004": "completed"})
    ]  # fmt: skip
