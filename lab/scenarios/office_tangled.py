"""Calls that tangle: transfers out of Local chains, back to the same person, across calls, while others go on."""

from __future__ import annotations

import trio

from lab.phone import Plan
from lab.scenarios.moves import (
    CLIENT,
    DID,
    MOBILE,
    attended_transfer,
    blind_transfer,
    click_order,
    connected,
    consultation,
    dial_code,
    join,
    queued,
)
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER2, Truth, inbound, internal, outbound, transfer

CLIENT2 = "79164445566"


# --- transfers by people who were reached through Local channels -------------------


@scenario(profile="office")
async def tangled_queue_local_then_refer(stage: Stage) -> list[Truth]:
    """Queue 400 (Local/...@from-queue/n): Vera answers, sends the customer to Grisha by REFER."""
    stage.plan("2003", answer_after=1)
    call = stage.customer_calls("4956660400", CLIENT)
    vera = await stage.taken("2003")
    await trio.sleep(1.5)
    await blind_transfer(stage, vera, "2004", "desk-grisha")
    await trio.sleep(2)
    call.bye()
    return [
        queued("completed", "400", rang=["2001", "2002", "2003", "2004"], answered_by="2003", ring=1, talk=3.5,
               final_agent="2004", transfers=[transfer("blind", "2003", "2004")],
               parts={"2001": "answered-elsewhere", "2002": "answered-elsewhere", "2003": "transferred",
                      "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_ringgroup_local_then_feature(stage: Stage) -> list[Truth]:
    """Ring group 600 (Local members): Vera answers, sends the customer to Grisha by ##2004."""
    stage.plan("2003", answer_after=1)
    call = stage.customer_calls("4956660600", CLIENT)
    vera = await stage.taken("2003")
    await trio.sleep(1.5)
    stage.plan("desk-grisha", answer_after=1)
    await dial_code(vera, "##", "2004")
    await stage.taken("desk-grisha")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660600", CLIENT, rang=["2001", "2002", "2003", "2004"], answered_by="2003", ring=1,
                talk=3.5, final_agent="2004", transfers=[transfer("blind", "2003", "2004")],
                parts={"2001": "answered-elsewhere", "2002": "answered-elsewhere", "2003": "transferred",
                       "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_ringgroup_local_then_attended_feature(stage: Stage) -> list[Truth]:
    """Ring group 600: Vera answers, asks Grisha by *2, hangs up to complete."""
    stage.plan("2003", answer_after=1)
    call = stage.customer_calls("4956660600", CLIENT)
    vera = await stage.taken("2003")
    await trio.sleep(1.5)
    stage.plan("desk-grisha", answer_after=1)
    await dial_code(vera, "*2", "2004")
    await stage.taken("desk-grisha")
    await trio.sleep(1.5)
    vera.bye()
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660600", CLIENT, rang=["2001", "2002", "2003", "2004"], answered_by="2003", ring=1,
                talk=3.5, final_agent="2004", transfers=[transfer("attended", "2003", "2004")],
                parts={"2001": "answered-elsewhere", "2002": "answered-elsewhere", "2003": "transferred",
                       "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_ringgroup_local_then_attended_refer(stage: Stage) -> list[Truth]:
    """Ring group 600: Vera answers, asks Anna (two devices) on a second line, joins the two by Replaces."""
    stage.plan("2003", answer_after=1)
    call = stage.customer_calls("4956660600", CLIENT)
    vera = await stage.taken("2003")
    await trio.sleep(1.5)
    stage.phones["sip-anna-app"].forget()
    await attended_transfer(stage, vera, "2001", "sip-anna-app")
    await trio.sleep(2)
    call.bye()
    await trio.sleep(0.3)
    return [
        inbound("completed", "4956660600", CLIENT, rang=["2001", "2002", "2003"], answered_by="2003", ring=1,
                talk=3.5, final_agent="2001", transfers=[transfer("attended", "2003", "2001")],
                parts={"2001": "completed", "2002": "answered-elsewhere", "2003": "transferred"},
                note="2001 first rang in vain with the group, then got the call by the transfer: one participation"),
        consultation("2003", "2001"),
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_forwarded_then_refer(stage: Stage) -> list[Truth]:
    """Vera's phone forwards (302) to Grisha; Grisha answers and sends the customer to Boris by REFER."""
    stage.plan("2003", forward="2004", reject_after=0)
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660003", CLIENT)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(1.5)
    await blind_transfer(stage, grisha, "2002", "2002")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2004", "2002"], answered_by="2004", ring=1, talk=3.5,
                final_agent="2002", transfers=[transfer("blind", "2004", "2002")],
                parts={"2004": "transferred", "2002": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_queue_mobile_member(stage: Stage) -> list[Truth]:
    """Queue 408: members Local/9MOBILE@from-internal/n and Dina's device; the mobile answers."""
    stage.plan("trunk", answer_after=1.5)
    call = stage.customer_calls("4956660408", CLIENT)
    await stage.taken("trunk")
    await trio.sleep(2)
    call.bye()
    return [
        queued("completed", "408", rang=["2005", MOBILE], answered_by=MOBILE, ring=1.5, talk=2,
               parts={"2005": "answered-elsewhere"}, note="a queue member outside, through the trunk")
    ]  # fmt: skip


# --- transfers that come back, end early, or cross ------------------------------------


@scenario(profile="office")
async def tangled_ping_pong(stage: Stage) -> list[Truth]:
    """Vera sends the customer to Grisha, Grisha sends them back to Vera: REFER both times."""
    call, vera = await connected(stage)
    grisha = await blind_transfer(stage, vera, "2004", "desk-grisha")
    await trio.sleep(1.5)
    await blind_transfer(stage, grisha, "2003", "2003")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004"], answered_by="2003", ring=0.5, talk=5,
                final_agent="2003", transfers=[transfer("blind", "2003", "2004"), transfer("blind", "2004", "2003")],
                parts={"2003": "completed", "2004": "transferred"}, note="2003 took part twice: one participation")
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_blind_transfer_abandoned(stage: Stage) -> list[Truth]:
    """Anna sends the customer to Boris by REFER; both their devices ring; the customer gives up after 3 s."""
    call, anna = await connected(stage, "sip-anna-app", DID)
    anna.refer("2002")
    await stage.rung("2002-mobile")
    await trio.sleep(3)
    call.bye()
    return [
        inbound("completed", DID, CLIENT, rang=["2001", "2002"], answered_by="2001", ring=0.5, talk=1.5,
                final_agent="2001", transfers=[transfer("blind", "2001", "2002", answered=False)],
                parts={"2001": "transferred", "2002": "cancelled"})
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_blond_then_blind(stage: Stage) -> list[Truth]:
    """Vera completes by Replaces while Grisha still rings (blond); Grisha answers and sends the customer to Boris."""
    call, vera = await connected(stage)
    await vera.hold()
    stage.plan("desk-grisha", answer_after=2.5)
    second = stage.phones["2003"].call("2004")
    with trio.fail_after(5):
        await second.ringing.wait()
    await trio.sleep(1)
    vera.refer("2004", replaces=second)
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(1.5)
    await blind_transfer(stage, grisha, "2002", "2002")
    await trio.sleep(1.5)
    call.bye()
    await trio.sleep(0.3)
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004", "2002"], answered_by="2003", ring=0.5,
                talk=4.5, final_agent="2002",
                transfers=[transfer("attended", "2003", "2004"), transfer("blind", "2004", "2002")],
                parts={"2003": "transferred", "2004": "transferred", "2002": "completed"}),
        internal("cancelled", "2003", "2004", rang=["2004"], recorded=False, merged_into_first=True,
                 note="the consultation, never answered"),
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_internal_first_then_customer(stage: Stage) -> list[Truth]:
    """Vera talks to Grisha; holds Grisha, calls a customer out on a second line, joins the two by Replaces."""
    stage.plan("desk-grisha", answer_after=1)
    first = stage.phones["2003"].call("2004")
    await stage.talk(first, 1.5)
    await first.hold()
    stage.plan("trunk", answer_after=1)
    second = stage.phones["2003"].call("9" + CUSTOMER2)
    customer = await stage.taken("trunk")
    await stage.talk(second, 1.5)
    await join(first, "9" + CUSTOMER2, second)
    await trio.sleep(2)
    customer.bye()
    await trio.sleep(0.3)
    return [
        outbound("completed", "2003", CUSTOMER2, first={"CallerIDNum": "2003", "Exten": "9" + CUSTOMER2},
                 rang=[CUSTOMER2], answered_by=CUSTOMER2, ring=1, talk=3.5, final_agent="2004",
                 transfers=[transfer("attended", "2003", "2004")],
                 parts={"2003": "transferred", "2004": "completed"},
                 note="the call with the customer is the younger; Asterisk gives all channels the older linkedid; "
                      "2004 did not ring for the customer"),
        internal("completed", "2003", "2004", rang=["2004"], answered_by="2004", ring=1, talk=1.5,
                 merged_into_first=True, note="older than the call with the customer"),
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_attended_to_ringgroup(stage: Stage) -> list[Truth]:
    """Grisha calls ring group 600 on a second line, Anna answers, and is joined to the customer."""
    call, grisha = await connected(stage, "desk-grisha", "4956660004")
    await attended_transfer(stage, grisha, "600", "sip-anna")
    await trio.sleep(2)
    call.bye()
    await trio.sleep(0.3)
    return [
        inbound("completed", "4956660004", CLIENT, rang=["2004", "2001"], answered_by="2004", ring=0.5, talk=3.5,
                final_agent="2001", transfers=[transfer("attended", "2004", "2001")],
                parts={"2004": "transferred", "2001": "completed"},
                note="2002 and 2003 rang for the consultation only"),
        internal("completed", "2004", "600", rang=["2001", "2002", "2003"], answered_by="2001", ring=1, talk=1,
                 merged_into_first=True, note="the consultation, to a ring group"),
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_attended_to_queue(stage: Stage) -> list[Truth]:
    """Grisha calls queue 402 on a second line, Dina answers, and is joined to the customer."""
    call, grisha = await connected(stage, "desk-grisha", "4956660004")
    await grisha.hold()
    stage.plan("2005", answer_after=1)
    second = grisha.phone.call("402")
    await stage.taken("2005")
    await trio.sleep(1)
    await join(grisha, "402", second)
    await trio.sleep(2)
    call.bye()
    await trio.sleep(0.3)
    return [
        inbound("completed", "4956660004", CLIENT, rang=["2004", "2005"], answered_by="2004", ring=0.5, talk=3.5,
                final_agent="2005", transfers=[transfer("attended", "2004", "2005")],
                parts={"2004": "transferred", "2005": "completed"}),
        internal("completed", "2004", "402", rang=["2005"], answered_by="2005", ring=1, talk=1, queue="402",
                 merged_into_first=True, note="the consultation, through a queue"),
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_pickup_of_transfer(stage: Stage) -> list[Truth]:
    """Vera sends the customer to Dina by REFER; Dina's phone rings; Grisha picks the call up with *8."""
    call, vera = await connected(stage)
    vera.refer("2005")
    await stage.rung("2005")
    await trio.sleep(1)
    grisha = stage.phones["desk-grisha"].call("*8")
    await stage.talk(grisha, 2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2005"], answered_by="2003", ring=0.5, talk=3.5,
                final_agent="2004", transfers=[transfer("blind", "2003", "2005")],
                parts={"2003": "transferred", "2005": "answered-elsewhere", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_park_of_outbound(stage: Stage) -> list[Truth]:
    """Vera calls a customer out, parks them (REFER to 70); Anna takes them from 71."""
    stage.plan("trunk", answer_after=1)
    vera = stage.phones["2003"].call("9" + CUSTOMER2)
    customer = await stage.taken("trunk")
    await stage.talk(vera, 1.5)
    vera.refer("70")
    await trio.sleep(2)
    anna = stage.phones["sip-anna"].call("71")
    await stage.talk(anna, 2)
    customer.bye()
    return [
        outbound("completed", "2003", CUSTOMER2, first={"CallerIDNum": "2003", "Exten": "9" + CUSTOMER2},
                 rang=[CUSTOMER2], answered_by=CUSTOMER2, ring=1, talk=3.5, final_agent="2001",
                 transfers=[transfer("park", "2003", "2001")], parts={"2003": "transferred", "2001": "completed"})
    ]  # fmt: skip


# --- several calls at once ---------------------------------------------------------------


@scenario(profile="office")
async def tangled_second_call_to_busy_agent(stage: Stage) -> list[Truth]:
    """Vera talks to one customer; a second calls; the phone rings (call waiting) and rings on; the second gives up."""
    one, _ = await connected(stage)
    stage.plan("2003")
    two = stage.customer_calls("4956660003", CLIENT2)
    await stage.rung("2003")
    await trio.sleep(2)
    two.cancel()
    await stage.over(two)
    await trio.sleep(0.5)
    one.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003"], answered_by="2003", ring=0.5, talk=4.1,
                parts={"2003": "completed"}),
        inbound("cancelled", "4956660003", CLIENT2, rang=["2003"], ring=2, parts={"2003": "cancelled"}),
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_agent_swaps_two_customers(stage: Stage) -> list[Truth]:
    """Vera talks to one customer, holds them, answers a second, ends that call, takes the first back."""
    one, vera = await connected(stage)
    await vera.hold()
    stage.plan("2003", answer_after=0.5)
    two = stage.customer_calls("4956660003", CLIENT2)
    second = await stage.taken("2003")
    await trio.sleep(1.5)
    second.bye()
    await vera.hold(False)
    await trio.sleep(1)
    one.bye()
    await stage.over(two)
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003"], answered_by="2003", ring=0.5, talk=2.5,
                hold_secs=2.3, parts={"2003": "completed"}),
        inbound("completed", "4956660003", CLIENT2, rang=["2003"], answered_by="2003", ring=0.5, talk=1.5,
                parts={"2003": "completed"}),
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_two_callers_one_group(stage: Stage) -> list[Truth]:
    """Two customers call ring group 600 0.3 s apart; every phone gets both calls; Anna takes one, Vera the other."""

    def takes(wanted: int) -> Plan:
        return Plan(answer_after=1.5) if wanted else Plan()

    rung = {"sip-anna": 0, "2003": 0}

    def anna(number: str) -> Plan:
        rung["sip-anna"] += 1
        return takes(rung["sip-anna"] == 1)

    def vera(number: str) -> Plan:
        rung["2003"] += 1
        return takes(rung["2003"] == 2)

    stage.phones["sip-anna"].plan, stage.phones["2003"].plan = anna, vera
    one = stage.customer_calls("4956660600", CLIENT)
    await trio.sleep(0.3)
    two = stage.customer_calls("4956660600", CLIENT2)
    await stage.talk(two, 1)
    one.bye()
    await trio.sleep(1)
    two.bye()
    users = ["2001", "2002", "2003"]
    return [
        inbound("completed", "4956660600", CLIENT, rang=users, answered_by="2001", ring=1.5, talk=1.3,
                parts={"2001": "completed", "2002": "answered-elsewhere", "2003": "answered-elsewhere"}),
        inbound("completed", "4956660600", CLIENT2, rang=users, answered_by="2003", ring=1.5, talk=2,
                parts={"2001": "answered-elsewhere", "2002": "answered-elsewhere", "2003": "completed"}),
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_two_callers_one_queue_agent(stage: Stage) -> list[Truth]:
    """Queue 409 (Dina alone, not during a talk): two customers wait; Dina takes the first, then the second."""
    stage.plan("2005", answer_after=1, bye_after=2)
    one = stage.customer_calls("4956660409", CLIENT)
    await trio.sleep(0.3)
    two = stage.customer_calls("4956660409", CLIENT2)
    await stage.over(one)
    await stage.taken("2005")
    await stage.taken("2005")
    await stage.over(two)
    first = queued("completed", "409", rang=["2005"], answered_by="2005", ring=1, talk=2, parts={"2005": "completed"})
    second = inbound("completed", "4956660409", CLIENT2, queue="409", rang=["2005"], answered_by="2005", ring=1,
                     talk=2, parts={"2005": "completed"}, note="waited about 3 s before any phone rang")  # fmt: skip
    return [first, second]


@scenario(profile="office")
async def tangled_same_agent_called_and_calling(stage: Stage) -> list[Truth]:
    """Anna's application calls a customer out while their desk phone gets a customer's call, which Vera picks up."""
    stage.plan("trunk", answer_after=1)
    out = stage.phones["sip-anna-app"].call("9" + CUSTOMER2)
    await stage.talk(out, 0.5)
    call = stage.customer_calls(DID, CLIENT)
    await stage.rung("sip-anna")
    await trio.sleep(1)
    vera = stage.phones["2003"].call("**2001")
    await stage.talk(vera, 1.5)
    call.bye()
    out.bye()
    return [
        outbound("completed", "2001", CUSTOMER2, first={"Channel": "PJSIP/sip-anna-app-", "Exten": "9" + CUSTOMER2},
                 rang=[CUSTOMER2], answered_by=CUSTOMER2, ring=1, talk=3.1, parts={"2001": "completed"}),
        inbound("completed", DID, CLIENT, rang=["2001"], answered_by="2003", ring=1, talk=1.5,
                parts={"2001": "answered-elsewhere", "2003": "completed"}),
    ]  # fmt: skip


# --- clicks ------------------------------------------------------------------------------


@scenario(profile="office")
async def tangled_click_local_two_devices(stage: Stage) -> list[Truth]:
    """Originate of Local/2001@from-internal/n: both devices of Anna ring, the application answers; then 9..."""
    stage.plan("sip-anna-app", answer_after=1)
    stage.plan("trunk", answer_after=1.5)
    await stage.rec.action("Originate", **click_order("2001", "Local/2001@from-internal/n", "9" + CUSTOMER2))
    agent = await stage.taken("sip-anna-app")
    await stage.taken("trunk")
    await trio.sleep(2)
    agent.bye()
    return [
        outbound("completed", "2001", CUSTOMER2, first={"Channel": "Local/2001@from-internal-"},
                 rang=["2001", CUSTOMER2], answered_by=CUSTOMER2, ring=1.5, talk=2, parts={"2001": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def tangled_click_local_nobody(stage: Stage) -> list[Truth]:
    """Originate of Local/2001@from-internal/n: both devices ring for 5 s, no one answers; no customer is called."""
    order = click_order("2001", "Local/2001@from-internal/n", "9" + CUSTOMER2, seconds=5)
    await stage.rec.action("Originate", **order)
    ringing = await stage.rung("sip-anna")
    await stage.over(ringing)
    await trio.sleep(0.5)
    return [
        outbound("no-answer", "2001", CUSTOMER2, first={"Channel": "Local/2001@from-internal-"}, rang=["2001"], ring=5,
                 recorded=False, parts={"2001": "no-answer"}, note="the customer was never called")
    ]  # fmt: skip
