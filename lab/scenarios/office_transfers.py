"""Transfers and chains of them; of calls in, out and by click; to people, queues, groups and outside."""

from __future__ import annotations

import trio

from lab.scenarios.moves import (
    CLIENT,
    MOBILE,
    attended_transfer,
    blind_transfer,
    click_order,
    connected,
    consultation,
    dial_code,
    join,
)
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER2, Truth, inbound, outbound, transfer


@scenario(profile="office")
async def chain_blind_blind(stage: Stage) -> list[Truth]:
    """Vera sends the customer to Grisha, Grisha to Boris: REFER both times, both answered."""
    call, vera = await connected(stage)
    grisha = await blind_transfer(stage, vera, "2004", "desk-grisha")
    await trio.sleep(1.5)
    await blind_transfer(stage, grisha, "2002", "2002")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004", "2002"], answered_by="2003", ring=0.5, talk=5,
                final_agent="2002", transfers=[transfer("blind", "2003", "2004"), transfer("blind", "2004", "2002")],
                parts={"2003": "transferred", "2004": "transferred", "2002": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def chain_of_three_blind(stage: Stage) -> list[Truth]:
    """Vera to Grisha by REFER, Grisha to Boris by ##, Boris to Anna by REFER."""
    call, vera = await connected(stage)
    grisha = await blind_transfer(stage, vera, "2004", "desk-grisha", answer_after=0.7)
    await trio.sleep(1)
    stage.plan("2002", answer_after=0.7)
    await dial_code(grisha, "##", "2002")
    boris = await stage.taken("2002")
    await trio.sleep(1)
    await blind_transfer(stage, boris, "2001", "sip-anna", answer_after=0.7)
    await trio.sleep(1.5)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004", "2002", "2001"], answered_by="2003", ring=0.5,
                talk=5, final_agent="2001",
                transfers=[transfer("blind", "2003", "2004"), transfer("blind", "2004", "2002"),
                           transfer("blind", "2002", "2001")],
                parts={"2003": "transferred", "2004": "transferred", "2002": "transferred", "2001": "completed"},
                note="during ## the customer hears music for about 2 s: not counted as talk")
    ]  # fmt: skip


@scenario(profile="office")
async def chain_attended_blind(stage: Stage) -> list[Truth]:
    """Vera asks Grisha and joins Grisha to the customer (Replaces); Grisha sends the customer on to Boris (REFER)."""
    call, vera = await connected(stage)
    grisha = await attended_transfer(stage, vera, "2004", "desk-grisha")
    await trio.sleep(1.5)
    await blind_transfer(stage, grisha, "2002", "2002-mobile")
    await trio.sleep(1.5)
    call.bye()
    await trio.sleep(0.3)
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004", "2002"], answered_by="2003", ring=0.5,
                talk=4.5, hold_secs=2.2, final_agent="2002",
                transfers=[transfer("attended", "2003", "2004"), transfer("blind", "2004", "2002")],
                parts={"2003": "transferred", "2004": "transferred", "2002": "completed"}),
        consultation("2003", "2004"),
    ]  # fmt: skip


@scenario(profile="office")
async def chain_attended_attended(stage: Stage) -> list[Truth]:
    """Vera asks Grisha and joins the two; Grisha asks Anna and joins those: Replaces both times."""
    call, vera = await connected(stage)
    grisha = await attended_transfer(stage, vera, "2004", "desk-grisha")
    await trio.sleep(1.5)
    await attended_transfer(stage, grisha, "2001", "sip-anna")
    await trio.sleep(1.5)
    call.bye()
    await trio.sleep(0.3)
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004", "2001"], answered_by="2003", ring=0.5,
                talk=4.5, hold_secs=4.4, final_agent="2001",
                transfers=[transfer("attended", "2003", "2004"), transfer("attended", "2004", "2001")],
                parts={"2003": "transferred", "2004": "transferred", "2001": "completed"}),
        consultation("2003", "2004", note="the first consultation"),
        consultation("2004", "2001", note="the second consultation"),
    ]  # fmt: skip


@scenario(profile="office")
async def chain_of_three_attended(stage: Stage) -> list[Truth]:
    """Vera to Grisha, Grisha to Anna, Anna to Boris: three consultations, three merges."""
    call, vera = await connected(stage)
    grisha = await attended_transfer(stage, vera, "2004", "desk-grisha", talk=0.7)
    await trio.sleep(1)
    anna = await attended_transfer(stage, grisha, "2001", "sip-anna", talk=0.7)
    await trio.sleep(1)
    await attended_transfer(stage, anna, "2002", "2002", talk=0.7)
    await trio.sleep(1)
    call.bye()
    await trio.sleep(0.3)
    pairs = (("2003", "2004"), ("2004", "2001"), ("2001", "2002"))
    first = inbound(
        "completed", "4956660003", CLIENT, rang=["2003", "2004", "2001", "2002"], answered_by="2003", ring=0.5,
        talk=4.5, final_agent="2002", transfers=[transfer("attended", by, to) for by, to in pairs],
        parts={"2003": "transferred", "2004": "transferred", "2001": "transferred", "2002": "completed"},
    )  # fmt: skip
    return [first, *(consultation(by, to, talk=0.7, note="") for by, to in pairs)]


@scenario(profile="office")
async def chain_feature_attended_then_refer(stage: Stage) -> list[Truth]:
    """Vera asks Grisha by *2 and hangs up; Grisha sends the customer to Boris by REFER."""
    call, vera = await connected(stage)
    stage.plan("desk-grisha", answer_after=1)
    await dial_code(vera, "*2", "2004")
    grisha = await stage.taken("desk-grisha")
    await trio.sleep(1)
    vera.bye()
    await trio.sleep(1.5)
    await blind_transfer(stage, grisha, "2002", "2002")
    await trio.sleep(1.5)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004", "2002"], answered_by="2003", ring=0.5,
                talk=4.5, final_agent="2002",
                transfers=[transfer("attended", "2003", "2004"), transfer("blind", "2004", "2002")],
                parts={"2003": "transferred", "2004": "transferred", "2002": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def transfer_blind_outside(stage: Stage) -> list[Truth]:
    """Vera sends the customer to a mobile (9 and the number) by REFER; it answers."""
    call, vera = await connected(stage)
    await blind_transfer(stage, vera, "9" + MOBILE, "trunk")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", MOBILE], answered_by="2003", ring=0.5, talk=3.5,
                final_agent=MOBILE, transfers=[transfer("blind", "2003", MOBILE)], parts={"2003": "transferred"},
                note="REFER to 9 and the number; customer and mobile are both on the trunk")
    ]  # fmt: skip


@scenario(profile="office")
async def transfer_attended_outside(stage: Stage) -> list[Truth]:
    """Vera calls a mobile on a second line, then joins the customer to it."""
    call, vera = await connected(stage)
    await vera.hold()
    stage.plan("trunk", answer_after=1)
    second = stage.phones["2003"].call("9" + MOBILE)
    await stage.taken("trunk")
    await stage.talk(second, 1)
    await join(vera, "9" + MOBILE, second)
    await trio.sleep(2)
    call.bye()
    await trio.sleep(0.3)
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", MOBILE], answered_by="2003", ring=0.5, talk=3.5,
                final_agent=MOBILE, transfers=[transfer("attended", "2003", MOBILE)], parts={"2003": "transferred"}),
        outbound("completed", "2003", MOBILE, first={"CallerIDNum": "2003", "Exten": "9" + MOBILE}, rang=[MOBILE],
                 answered_by=MOBILE, ring=1, talk=1, merged_into_first=True, parts={"2003": "completed"},
                 note="the consultation is a call out"),
    ]  # fmt: skip


@scenario(profile="office")
async def transfer_blind_to_queue(stage: Stage) -> list[Truth]:
    """Vera sends the customer to queue 404 (devices, ringall); Grisha answers there."""
    call, vera = await connected(stage)
    stage.plan("2003")
    await blind_transfer(stage, vera, "404", "desk-grisha", answer_after=1.5)
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2001", "2004"], answered_by="2003", ring=0.5,
                talk=3.5, final_agent="2004", queue="404", transfers=[transfer("blind", "2003", "404")],
                parts={"2003": "transferred", "2001": "answered-elsewhere", "2004": "completed"},
                note="2003 is a member of the queue too; whether it rings again is up to its device state")
    ]  # fmt: skip


@scenario(profile="office")
async def transfer_blind_to_ringgroup(stage: Stage) -> list[Truth]:
    """Grisha sends the customer to ring group 600 (Local members); Anna answers on sip-anna."""
    call, grisha = await connected(stage, "desk-grisha", "4956660004")
    await blind_transfer(stage, grisha, "600", "sip-anna", answer_after=1.5)
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660004", CLIENT, rang=["2004", "2001", "2002", "2003"], answered_by="2004",
                ring=0.5, talk=3.5, final_agent="2001", transfers=[transfer("blind", "2004", "600")],
                parts={"2004": "transferred", "2001": "completed", "2002": "answered-elsewhere",
                       "2003": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(profile="office")
async def transfer_blind_of_outbound(stage: Stage) -> list[Truth]:
    """Anna calls a customer out (9, company's number), sends them to Grisha by REFER."""
    stage.plan("trunk", answer_after=1)
    anna = stage.phones["sip-anna"].call("9" + CUSTOMER2)
    customer = await stage.taken("trunk")
    await stage.talk(anna, 1.5)
    await blind_transfer(stage, anna, "2004", "desk-grisha")
    await trio.sleep(2)
    customer.bye()
    return [
        outbound("completed", "2001", CUSTOMER2, first={"Channel": "PJSIP/sip-anna-", "Exten": "9" + CUSTOMER2},
                 rang=[CUSTOMER2, "2004"], answered_by=CUSTOMER2, ring=1, talk=3.5, final_agent="2004",
                 transfers=[transfer("blind", "2001", "2004")], parts={"2001": "transferred", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def transfer_attended_of_outbound(stage: Stage) -> list[Truth]:
    """Vera calls a customer out, asks Grisha on a second line, joins them."""
    stage.plan("trunk", answer_after=1)
    vera = stage.phones["2003"].call("9" + CUSTOMER2)
    customer = await stage.taken("trunk")
    await stage.talk(vera, 1.5)
    await attended_transfer(stage, vera, "2004", "desk-grisha")
    await trio.sleep(2)
    customer.bye()
    await trio.sleep(0.3)
    return [
        outbound("completed", "2003", CUSTOMER2, first={"CallerIDNum": "2003", "Exten": "9" + CUSTOMER2},
                 rang=[CUSTOMER2, "2004"], answered_by=CUSTOMER2, ring=1, talk=3.5, hold_secs=2.2, final_agent="2004",
                 transfers=[transfer("attended", "2003", "2004")],
                 parts={"2003": "transferred", "2004": "completed"}),
        consultation("2003", "2004"),
    ]  # fmt: skip


@scenario(profile="office")
async def transfer_returned(stage: Stage) -> list[Truth]:
    """Vera sends the customer to Grisha, who declines; no one else rings; the dialplan ends the call."""
    call, vera = await connected(stage)
    stage.plan("desk-grisha", reject=(603, "Decline"), reject_after=1)
    vera.refer("2004")
    await stage.over(call)
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004"], answered_by="2003", ring=0.5, talk=1.5,
                final_agent="2003", transfers=[transfer("blind", "2003", "2004", answered=False)],
                parts={"2003": "transferred", "2004": "rejected"})
    ]  # fmt: skip


@scenario(profile="office")
async def click2call_device(stage: Stage) -> list[Truth]:
    """Originate rings Grisha's device (desk-grisha); then 9 and the customer's number."""
    stage.plan("desk-grisha", answer_after=1)
    stage.plan("trunk", answer_after=1.5)
    await stage.rec.action("Originate", **click_order("2004", "PJSIP/desk-grisha", "9" + CUSTOMER2))
    agent = await stage.taken("desk-grisha")
    await stage.taken("trunk")
    await trio.sleep(2)
    agent.bye()
    return [
        outbound("completed", "2004", CUSTOMER2, first={"Channel": "PJSIP/desk-grisha-"}, rang=["2004", CUSTOMER2],
                 answered_by=CUSTOMER2, ring=1.5, talk=2, parts={"2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def click2call_then_blind_transfer(stage: Stage) -> list[Truth]:
    """Originate rings Vera, who talks to the customer and sends them to Grisha by REFER."""
    stage.plan("2003", answer_after=1)
    stage.plan("trunk", answer_after=1)
    await stage.rec.action("Originate", **click_order("2003", "PJSIP/2003", "9" + CUSTOMER2))
    vera = await stage.taken("2003")
    customer = await stage.taken("trunk")
    await trio.sleep(1.5)
    await blind_transfer(stage, vera, "2004", "desk-grisha")
    await trio.sleep(2)
    customer.bye()
    return [
        outbound("completed", "2003", CUSTOMER2, first={"Channel": "PJSIP/2003-"}, rang=["2003", CUSTOMER2, "2004"],
                 answered_by=CUSTOMER2, ring=1, talk=3.5, final_agent="2004",
                 transfers=[transfer("blind", "2003", "2004")], parts={"2003": "transferred", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def click2call_then_attended_transfer(stage: Stage) -> list[Truth]:
    """Originate rings Vera, who talks to the customer, asks Grisha on a second line, joins them."""
    stage.plan("2003", answer_after=1)
    stage.plan("trunk", answer_after=1)
    await stage.rec.action("Originate", **click_order("2003", "PJSIP/2003", "9" + CUSTOMER2))
    vera = await stage.taken("2003")
    customer = await stage.taken("trunk")
    await trio.sleep(1.5)
    await attended_transfer(stage, vera, "2004", "desk-grisha")
    await trio.sleep(2)
    customer.bye()
    await trio.sleep(0.3)
    return [
        outbound("completed", "2003", CUSTOMER2, first={"Channel": "PJSIP/2003-"}, rang=["2003", CUSTOMER2, "2004"],
                 answered_by=CUSTOMER2, ring=1, talk=3.5, hold_secs=2.2, final_agent="2004",
                 transfers=[transfer("attended", "2003", "2004")],
                 parts={"2003": "transferred", "2004": "completed"}),
        consultation("2003", "2004"),
    ]  # fmt: skip
