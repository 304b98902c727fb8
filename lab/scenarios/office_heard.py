"""Picked up is not heard: a queue that waits or announces, a key to press, FollowMe(), an announcement before the call.

Asterisk reports the answer when the phone is picked up. The truth is who talked to the customer.
"""

from __future__ import annotations

import trio

from lab.phone import Plan
from lab.scenarios.moves import CLIENT, MOBILE, queued
from lab.stage import Stage, scenario
from lab.truth import Truth, inbound

DELAY = 3.0
"""Seconds of `memberdelay` of queue 481."""
ANNOUNCED = 2.5
"""Seconds that the announcement of queue 482 and of group 685 lasts."""


@scenario(profile="office")
async def heard_queue_delay_talk(stage: Stage) -> list[Truth]:
    """Queue 481 (memberdelay): Dina picks up after 1 s, waits 3 s, and they talk 2 s; Vera's phone rang too."""
    stage.plan("2005", answer_after=1)
    call = stage.customer_calls("4956660481", CLIENT)
    await stage.taken("2005")
    await trio.sleep(DELAY + 2)
    call.bye()
    return [
        queued("completed", "481", rang=["2005", "2003"], answered_by="2005", ring=1 + DELAY, talk=2,
               parts={"2005": "completed", "2003": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(profile="office", everyday=True)
async def heard_queue_delay_customer_leaves(stage: Stage) -> list[Truth]:
    """Queue 481: Dina picks up after 1 s; the customer hangs up 1.5 s later, while Dina waits."""
    stage.plan("2005", answer_after=1)
    call = stage.customer_calls("4956660481", CLIENT)
    dina = await stage.taken("2005")
    await trio.sleep(1.5)
    call.bye()
    await stage.over(dina)  # Asterisk notices when it is done with Dina
    return [
        queued("cancelled", "481", rang=["2005", "2003"], ring=1, parts={"2005": "cancelled", "2003": "cancelled"},
               note="both phones fell silent when Dina picked up")
    ]  # fmt: skip


@scenario(profile="office")
async def heard_queue_delay_agent_leaves(stage: Stage) -> list[Truth]:
    """Queue 481: Dina picks up and hangs up while waiting; both phones ring again, Vera answers, they talk 2 s."""
    tries: list[str] = []

    def dina(number: str) -> Plan:
        tries.append(number)
        return Plan(answer_after=1, bye_after=1) if len(tries) == 1 else Plan()

    stage.phones["2005"].plan = dina
    call = stage.customer_calls("4956660481", CLIENT)
    await stage.over(await stage.rung("2003"))
    stage.plan("2003", answer_after=1)
    await stage.taken("2003")
    await trio.sleep(DELAY + 2)
    call.bye()
    return [
        queued("completed", "481", rang=["2005", "2003"], answered_by="2003", talk=2,
               parts={"2005": "answered-elsewhere", "2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office", everyday=True)
async def heard_queue_announce_talk(stage: Stage) -> list[Truth]:
    """Queue 482 (announce): Dina picks up after 1 s, hears the announcement, and they talk 2 s."""
    stage.plan("2005", answer_after=1)
    call = stage.customer_calls("4956660482", CLIENT)
    await stage.taken("2005")
    await trio.sleep(ANNOUNCED + 2)
    call.bye()
    return [
        queued("completed", "482", rang=["2005", "2003"], answered_by="2005", ring=1 + ANNOUNCED, talk=2,
               parts={"2005": "completed", "2003": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(profile="office")
async def heard_queue_announce_customer_leaves(stage: Stage) -> list[Truth]:
    """Queue 482: Dina picks up after 1 s; the customer hangs up while Dina hears the announcement."""
    stage.plan("2005", answer_after=1)
    call = stage.customer_calls("4956660482", CLIENT)
    dina = await stage.taken("2005")
    await trio.sleep(1)
    call.bye()
    await stage.over(dina)  # Asterisk notices when it is done with Dina
    return [queued("cancelled", "482", rang=["2005", "2003"], ring=1, parts={"2005": "cancelled", "2003": "cancelled"})]


@scenario(profile="office")
async def heard_queue_holdtime_talk(stage: Stage) -> list[Truth]:
    """Queue 483 (reportholdtime): Dina picks up after 3 s, hears how long the customer waited, and they talk."""
    stage.plan("2005", answer_after=3)
    call = stage.customer_calls("4956660483", CLIENT)
    await stage.taken("2005")
    await trio.sleep(5)
    call.bye()
    return [
        queued("completed", "483", rang=["2005"], answered_by="2005", talk=2.5, parts={"2005": "completed"},
               note="the report lasts about 2.5 s")
    ]  # fmt: skip


@scenario(profile="office", everyday=True)
async def heard_confirm_pressed(stage: Stage) -> list[Truth]:
    """Group 681: Grisha, behind a Local channel, picks up after 1 s, presses 1 after 1.5 s, and they talk 2 s."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660681", CLIENT)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(1.5)
    await grisha.dtmf("1")
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660681", CLIENT, rang=["2004"], answered_by="2004", ring=2.6, talk=2,
                parts={"2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office", everyday=True)
async def heard_confirm_not_pressed(stage: Stage) -> list[Truth]:
    """Group 681: Grisha picks up after 1 s and presses nothing; Asterisk gives up."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660681", CLIENT)
    await stage.over(call)
    return [inbound("no-answer", "4956660681", CLIENT, rang=["2004"], ring=1, parts={"2004": "no-answer"})]


@scenario(profile="office")
async def heard_confirm_declined(stage: Stage) -> list[Truth]:
    """Group 681: Grisha picks up after 1 s and presses 2, which declines; Asterisk gives up."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660681", CLIENT)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(1)
    await grisha.dtmf("2")
    await stage.over(call)
    return [inbound("no-answer", "4956660681", CLIENT, rang=["2004"], ring=1, parts={"2004": "no-answer"})]


@scenario(profile="office")
async def heard_confirm_customer_leaves(stage: Stage) -> list[Truth]:
    """Group 681: Grisha picks up after 1 s; the customer hangs up before Grisha presses anything."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660681", CLIENT)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(1.5)
    call.cancel()
    await stage.over(call, grisha)  # Grisha is asked for the key for another 3 s
    return [inbound("cancelled", "4956660681", CLIENT, rang=["2004"], ring=1, parts={"2004": "cancelled"})]


@scenario(profile="office")
async def heard_confirm_direct_not_pressed(stage: Stage) -> list[Truth]:
    """Group 684: the same without a Local channel: Grisha presses nothing."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660684", CLIENT)
    await stage.over(call)
    return [inbound("no-answer", "4956660684", CLIENT, rang=["2004"], ring=1, parts={"2004": "no-answer"})]


@scenario(profile="office")
async def heard_confirm_by_another(stage: Stage) -> list[Truth]:
    """Group 686: Grisha picks up and presses nothing; Vera picks up 1 s later, presses 1, and they talk 2 s."""
    stage.plan("desk-grisha", answer_after=1)
    stage.plan("2003", answer_after=2)
    call = stage.customer_calls("4956660686", CLIENT)
    vera = await stage.taken("2003")
    await trio.sleep(1)
    await vera.dtmf("1")
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660686", CLIENT, rang=["2004", "2003"], answered_by="2003", ring=3.1, talk=2,
                parts={"2004": "answered-elsewhere", "2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def heard_followme_accepted(stage: Stage) -> list[Truth]:
    """Group 682, FollowMe(): Grisha picks up after 1 s, presses 1 after 2 s, and they talk 2 s."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660682", CLIENT)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(2)
    await grisha.dtmf("1")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660682", CLIENT, rang=["2004"], answered_by="2004", ring=3.1, talk=2,
                parts={"2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office", everyday=True)
async def heard_followme_declined(stage: Stage) -> list[Truth]:
    """Group 682: Grisha picks up and presses 2; Vera's phone rings 2 s, and the customer hangs up."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660682", CLIENT)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(2)
    await grisha.dtmf("2")
    await stage.rung("2003")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("cancelled", "4956660682", CLIENT, rang=["2004", "2003"], ring=5,
                parts={"2004": "no-answer", "2003": "cancelled"})
    ]  # fmt: skip


@scenario(profile="office")
async def heard_followme_declined_then_accepted(stage: Stage) -> list[Truth]:
    """Group 682: Grisha picks up and presses 2; Vera picks up, presses 1, and they talk 2 s."""
    stage.plan("desk-grisha", answer_after=1)
    stage.plan("2003", answer_after=1)
    call = stage.customer_calls("4956660682", CLIENT)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(2)
    await grisha.dtmf("2")
    vera = await stage.taken("2003")
    await trio.sleep(2)
    await vera.dtmf("1")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660682", CLIENT, rang=["2004", "2003"], answered_by="2003", ring=6.2, talk=2,
                parts={"2004": "no-answer", "2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def heard_followme_customer_leaves(stage: Stage) -> list[Truth]:
    """Group 682: Grisha picks up after 1 s; the customer hangs up before Grisha presses anything."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660682", CLIENT)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(1.5)
    call.bye()
    await stage.over(grisha)
    return [inbound("cancelled", "4956660682", CLIENT, rang=["2004"], ring=1, parts={"2004": "cancelled"})]


@scenario(profile="office", everyday=True)
async def heard_announced_talk(stage: Stage) -> list[Truth]:
    """Group 685: Grisha, behind a Local channel, picks up after 1 s, hears an announcement, and they talk 2 s."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660685", CLIENT)
    await stage.taken("desk-grisha")
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660685", CLIENT, rang=["2004"], answered_by="2004", ring=1 + ANNOUNCED, talk=2,
                parts={"2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def heard_announced_customer_leaves(stage: Stage) -> list[Truth]:
    """Group 685: Grisha picks up after 1 s; the customer hangs up while Grisha hears the announcement."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660685", CLIENT)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(1)
    call.cancel()
    await stage.over(call, grisha)
    return [inbound("cancelled", "4956660685", CLIENT, rang=["2004"], ring=1, parts={"2004": "cancelled"})]


@scenario(profile="office", everyday=True)
async def heard_machine_abandoned(stage: Stage) -> list[Truth]:
    """Group 605: a mobile's answering machine picks up and presses nothing; Grisha's phone rings on; the customer
    hangs up after 4 s."""
    stage.plan("trunk", answer_after=1)
    call = stage.customer_calls("4956660605", CLIENT)
    machine = await stage.taken("trunk")
    await trio.sleep(3)
    call.cancel()
    await stage.over(call, machine)
    return [
        inbound("cancelled", "4956660605", CLIENT, rang=["2004", MOBILE], ring=4, parts={"2004": "cancelled"},
                note="the machine is asked for its key for another second")
    ]  # fmt: skip
