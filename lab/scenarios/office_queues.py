"""Queues with Local members and devices; what comes after a queue."""

from __future__ import annotations

from collections.abc import Callable

import trio

from lab.phone import Plan
from lab.scenarios.moves import CLIENT, attended_transfer, blind_transfer, consultation, queued
from lab.stage import Stage, scenario
from lab.truth import Truth, transfer


@scenario(profile="office")
async def office_queue_local_ringall(stage: Stage) -> list[Truth]:
    """Queue 400: Local/200X@from-queue/n, all at once, two devices each; Boris answers on their mobile."""
    stage.plan("2002-mobile", answer_after=2)
    call = stage.customer_calls("4956660400", CLIENT)
    await stage.taken("2002-mobile")
    await trio.sleep(2)
    call.bye()
    return [
        queued("completed", "400", rang=["2001", "2002", "2003"], answered_by="2002", ring=2, talk=2,
               parts={"2001": "answered-elsewhere", "2002": "completed", "2003": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_queue_agent_rejects(stage: Stage) -> list[Truth]:
    """Queue 404 (devices, ringall): Anna declines (603) after 1 s, Vera is busy (486), Grisha answers."""
    stage.plan("sip-anna", reject=(603, "Decline"), reject_after=1)
    stage.plan("2003", reject=(486, "Busy Here"), reject_after=0.5)
    stage.plan("desk-grisha", answer_after=2.5)
    call = stage.customer_calls("4956660404", CLIENT)
    await stage.taken("desk-grisha")
    await trio.sleep(2)
    call.bye()
    return [
        queued("completed", "404", rang=["2001", "2003", "2004"], answered_by="2004", ring=2.5, talk=2,
               parts={"2001": "rejected", "2003": "busy", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_queue_optimized_second(stage: Stage) -> list[Truth]:
    """Queue 403 (rrmemory, Local without /n): the first member does not answer for 3 s, the second does."""
    rung: list[str] = []
    second = trio.Event()

    def member(user: str) -> Callable[[str], Plan]:
        def choose(number: str) -> Plan:
            rung.append(user)
            if len(rung) < 2:
                return Plan()
            second.set()
            return Plan(answer_after=1)

        return choose

    stage.phones["2003"].plan = member("2003")
    stage.phones["desk-grisha"].plan = member("2004")
    call = stage.customer_calls("4956660403", CLIENT)
    with trio.fail_after(20):
        await second.wait()
    await trio.sleep(1.05 + 2)
    call.bye()
    return [
        queued("completed", "403", rang=list(dict.fromkeys(rung[:2])), answered_by=rung[1], ring=5, talk=2,
               parts={rung[0]: "no-answer", rung[1]: "completed"},
               note="a second of retry between the two tries, which may be of the same member")
    ]  # fmt: skip


@scenario(profile="office")
async def office_queue_abandoned_unheard(stage: Stage) -> list[Truth]:
    """Queue 405 has no members; the customer waits 3 s and hangs up: no phone ever rang."""
    call = stage.customer_calls("4956660405", CLIENT)
    await stage.talk(call, 3)
    call.bye()
    return [queued("cancelled", "405", recorded=False, note="a missed call that no employee heard")]


@scenario(profile="office")
async def office_queue_abandoned_ringing(stage: Stage) -> list[Truth]:
    """Queue 400; the customer hangs up after 3 s while five devices of three users ring."""
    call = stage.customer_calls("4956660400", CLIENT)
    await stage.rung("2003")
    await trio.sleep(3)
    call.bye()
    return [
        queued("cancelled", "400", rang=["2001", "2002", "2003"], ring=3,
               parts={"2001": "cancelled", "2002": "cancelled", "2003": "cancelled"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_queue_to_queue(stage: Stage) -> list[Truth]:
    """Queue 402 (Dina, 4 s) gives up; the dialplan sends the caller to queue 400; Vera answers."""
    stage.plan("2003", answer_after=1.5)
    call = stage.customer_calls("4956660402", CLIENT)
    await stage.taken("2003")
    await trio.sleep(2)
    call.bye()
    return [
        queued("completed", "402", rang=["2005", "2001", "2002", "2003"], answered_by="2003", ring=5.5, talk=2,
               named="400", queues=["402", "400"],
               parts={"2005": "no-answer", "2001": "answered-elsewhere", "2002": "answered-elsewhere",
                      "2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_queue_then_voicemail(stage: Stage) -> list[Truth]:
    """Queue 402 (Dina, 4 s) gives up; voicemail takes the call; the customer talks 4 s to it."""
    call = stage.customer_calls("4956660406", CLIENT)
    await stage.rung("2005")
    await trio.sleep(4 + 5)
    call.bye()
    return [
        queued("voicemail", "406", named="402", rang=["2005"], ring=4, talk=0, parts={"2005": "no-answer"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_queue_then_ringgroup(stage: Stage) -> list[Truth]:
    """Queue 402 (Dina, 4 s) gives up; ring group 600 rings; Anna answers."""
    stage.plan("sip-anna", answer_after=1.5)
    call = stage.customer_calls("4956660407", CLIENT)
    await stage.taken("sip-anna")
    await trio.sleep(2)
    call.bye()
    return [
        queued("completed", "407", named="402", rang=["2005", "2001", "2002", "2003"], answered_by="2001", ring=5.5,
               talk=2, parts={"2005": "no-answer", "2001": "completed", "2002": "answered-elsewhere",
                              "2003": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_queue_blind_transfer_to_queue(stage: Stage) -> list[Truth]:
    """Queue 402: Dina answers, sends the customer to queue 404 by REFER, where Grisha answers."""
    stage.plan("2005", answer_after=1)
    call = stage.customer_calls("4956660402", CLIENT)
    dina = await stage.taken("2005")
    await trio.sleep(1.5)
    await blind_transfer(stage, dina, "404", "desk-grisha", answer_after=1.5)
    await trio.sleep(2)
    call.bye()
    return [
        queued("completed", "402", rang=["2005", "2001", "2003", "2004"], answered_by="2005", ring=1, talk=3.5,
               final_agent="2004", queues=["402", "404"], transfers=[transfer("blind", "2005", "404")],
               parts={"2005": "transferred", "2001": "answered-elsewhere", "2003": "answered-elsewhere",
                      "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_queue_attended_transfer(stage: Stage) -> list[Truth]:
    """Queue 400 (Local members): Vera answers, asks Grisha on a second line, joins Grisha to the customer."""
    stage.plan("2003", answer_after=1)
    call = stage.customer_calls("4956660400", CLIENT)
    vera = await stage.taken("2003")
    await trio.sleep(1.5)
    await attended_transfer(stage, vera, "2004", "desk-grisha")
    await trio.sleep(2)
    call.bye()
    await trio.sleep(0.3)
    return [
        queued("completed", "400", rang=["2001", "2002", "2003", "2004"], answered_by="2003", ring=1, talk=3.5,
               hold_secs=2.2, final_agent="2004", transfers=[transfer("attended", "2003", "2004")],
               parts={"2001": "answered-elsewhere", "2002": "answered-elsewhere", "2003": "transferred",
                      "2004": "completed"}),
        consultation("2003", "2004"),
    ]  # fmt: skip
