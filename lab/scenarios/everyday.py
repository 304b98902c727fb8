"""The calls of every day in a small office: extensions 101 to 103, numbers 49510001XX straight to them.

These are played live against the real daemon by `python -m lab run`.
"""

from __future__ import annotations

import trio

from lab.scenarios.moves import hears_busy
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER, CUSTOMER2, Truth, inbound, internal, outbound

DID = "4951000101"
GROUP = "4951000600"
ALL = ["101", "102", "103"]


@scenario(everyday=True)
async def inbound_answered(stage: Stage) -> list[Truth]:
    """A customer calls 101; 101 answers; the customer hangs up."""
    stage.plan("101", answer_after=1.5)
    call = stage.customer_calls(DID)
    await stage.talk(call, 3)
    call.bye()
    return [inbound("completed", DID, rang=["101"], answered_by="101", ring=1.5, talk=3, parts={"101": "completed"})]


@scenario(everyday=True)
async def inbound_answered_agent_hangs_up(stage: Stage) -> list[Truth]:
    """A customer calls 101; 101 answers and hangs up first."""
    stage.plan("101", answer_after=1, bye_after=2)
    call = stage.customer_calls(DID)
    await stage.over(call)
    return [inbound("completed", DID, rang=["101"], answered_by="101", ring=1, talk=2, parts={"101": "completed"})]


@scenario(everyday=True)
async def inbound_no_answer(stage: Stage) -> list[Truth]:
    """A customer calls 101 and gives up while it rings."""
    call = stage.customer_calls(DID)
    await stage.rung("101")
    await trio.sleep(3)
    call.cancel()
    await stage.over(call)
    return [inbound("cancelled", DID, rang=["101"], ring=3, parts={"101": "cancelled"})]


@scenario(everyday=True)
async def inbound_busy(stage: Stage) -> list[Truth]:
    """101 is busy (486)."""
    stage.plan("101", reject=(486, "Busy Here"), reject_after=0)
    call = stage.customer_calls(DID)
    await stage.over(call)
    return [inbound("busy", DID, note="486 without 180: 101 was tried, did not ring", parts={"101": "busy"})]


@scenario(everyday=True)
async def inbound_rejected(stage: Stage) -> list[Truth]:
    """101 rings and declines (603)."""
    stage.plan("101", reject=(603, "Decline"), reject_after=1.5)
    call = stage.customer_calls(DID)
    await stage.over(call)
    return [inbound("rejected", DID, rang=["101"], ring=1.5, parts={"101": "rejected"})]


@scenario(everyday=True)
async def inbound_ringgroup_answered(stage: Stage) -> list[Truth]:
    """Three phones ring at once; 102 answers."""
    stage.plan("102", answer_after=1.5)
    call = stage.customer_calls(GROUP)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", GROUP, rang=ALL, answered_by="102", ring=1.5, talk=2,
                parts={"101": "answered-elsewhere", "102": "completed", "103": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(everyday=True)
async def inbound_ringgroup_nobody(stage: Stage) -> list[Truth]:
    """Three phones ring; no one answers; Dial times out after 8 s."""
    call = stage.customer_calls(GROUP)
    await stage.over(call)
    return [inbound("no-answer", GROUP, rang=ALL, ring=8, parts=dict.fromkeys(ALL, "no-answer"))]


@scenario(everyday=True)
async def inbound_no_answer_forward(stage: Stage) -> list[Truth]:
    """101 does not answer for 3 s; the dialplan goes on to 102, who does."""
    stage.plan("102", answer_after=1)
    call = stage.customer_calls("4951000202")
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4951000202", rang=["101", "102"], answered_by="102", ring=4, talk=2,
                parts={"101": "no-answer", "102": "completed"})
    ]  # fmt: skip


@scenario(everyday=True)
async def inbound_utf8_name(stage: Stage) -> list[Truth]:
    """The caller's name is Cyrillic, in UTF-8, and has a colon in it."""
    stage.plan("101", answer_after=0.5)
    call = stage.customer_calls(DID, name="ООО: Иван Петров")
    await stage.talk(call, 1)
    call.bye()
    return [
        inbound("completed", DID, rang=["101"], answered_by="101", ring=0.5, talk=1, parts={"101": "completed"},
                customer_name="ООО: Иван Петров")
    ]  # fmt: skip


@scenario(everyday=True)
async def inbound_anonymous(stage: Stage) -> list[Truth]:
    """The caller withholds the number: From is anonymous@."""
    stage.plan("101", answer_after=0.5)
    call = stage.customer_calls(DID, number="anonymous", name="Anonymous")
    await stage.talk(call, 1)
    call.bye()
    return [
        inbound("completed", DID, customer="anonymous", rang=["101"], answered_by="101", ring=0.5, talk=1,
                parts={"101": "completed"})
    ]  # fmt: skip


@scenario(everyday=True)
async def outbound_answered(stage: Stage) -> list[Truth]:
    """101 calls a customer, who answers; 101 hangs up."""
    stage.plan("trunk", answer_after=2)
    call = stage.phones["101"].call(CUSTOMER)
    await stage.talk(call, 3)
    call.bye()
    return [
        outbound("completed", "101", rang=[CUSTOMER], answered_by=CUSTOMER, ring=2, talk=3, parts={"101": "completed"})
    ]


@scenario(everyday=True)
async def outbound_busy(stage: Stage) -> list[Truth]:
    """The customer's phone rings for 1 s, then says busy (486); 101 hears the tone and hangs up."""
    stage.plan("trunk", reject=(486, "Busy Here"), reject_after=1)
    call = stage.phones["101"].call(CUSTOMER)
    await hears_busy(stage, call)
    return [outbound("busy", "101", rang=[CUSTOMER], ring=1, parts={"101": "busy"})]


@scenario(everyday=True)
async def outbound_no_answer(stage: Stage) -> list[Truth]:
    """The customer does not answer; Dial times out after 8 s."""
    call = stage.phones["101"].call(CUSTOMER)
    await stage.over(call)
    return [outbound("no-answer", "101", rang=[CUSTOMER], ring=8, parts={"101": "no-answer"})]


@scenario(everyday=True)
async def outbound_cancelled(stage: Stage) -> list[Truth]:
    """101 hangs up while the customer's phone rings."""
    call = stage.phones["101"].call(CUSTOMER)
    await stage.rung("trunk")
    await trio.sleep(2)
    call.cancel()
    await stage.over(call)
    return [outbound("cancelled", "101", rang=[CUSTOMER], ring=2, parts={"101": "cancelled"})]


@scenario(everyday=True)
async def internal_answered(stage: Stage) -> list[Truth]:
    """101 calls 102, who answers: no business of the CRM's."""
    stage.plan("102", answer_after=1)
    call = stage.phones["101"].call("102")
    await stage.talk(call, 2)
    call.bye()
    return [internal("completed", "101", "102", rang=["102"], answered_by="102", ring=1, talk=2)]


@scenario(everyday=True)
async def concurrent(stage: Stage) -> list[Truth]:
    """Two customers call in, and 103 calls out, all at once."""
    stage.plan("101", answer_after=1)
    stage.plan("102", answer_after=1.2)
    stage.plan("trunk", answer_after=1.4)
    one = stage.customer_calls(DID)
    two = stage.customer_calls("4951000102", number=CUSTOMER2)
    three = stage.phones["103"].call("+79990001122")
    await stage.talk(one, 2)
    two.bye()
    await trio.sleep(1)
    one.bye()
    three.bye()
    return [
        inbound("completed", DID, rang=["101"], answered_by="101", ring=1, talk=3, parts={"101": "completed"}),
        inbound("completed", "4951000102", CUSTOMER2, rang=["102"], answered_by="102", ring=1.2, talk=1.8,
                parts={"102": "completed"}),
        outbound("completed", "103", "+79990001122", rang=["+79990001122"], answered_by="+79990001122", ring=1.4,
                 talk=2.6, parts={"103": "completed"}),
    ]  # fmt: skip


@scenario(everyday=True)
async def same_customer_twice(stage: Stage) -> list[Truth]:
    """A customer gives up, calls again at once, and is answered."""
    call = stage.customer_calls(DID)
    await stage.rung("101")
    await trio.sleep(1)
    call.cancel()
    await stage.over(call)
    stage.plan("101", answer_after=0.5)
    call = stage.customer_calls(DID)
    await stage.talk(call, 1)
    call.bye()
    return [
        inbound("cancelled", DID, rang=["101"], ring=1, parts={"101": "cancelled"}),
        inbound("completed", DID, rang=["101"], answered_by="101", ring=0.5, talk=1, parts={"101": "completed"}),
    ]


@scenario(everyday=True, live_only=True)
async def click2call_from_the_crm(stage: Stage) -> list[Truth]:
    """A CRM user clicks on a number as it is shown; 101 rings and answers; the customer is called and answers."""
    stage.plan("101", answer_after=1)
    stage.plan("trunk", answer_after=1.5)
    answer = await stage.click("101", "+7 (916) 123-45-67")
    assert answer == "Success", f"/makecall said {answer!r}"
    await stage.taken("101")
    customer = await stage.taken("trunk")
    await trio.sleep(2)
    customer.bye()
    return [
        outbound("completed", "101", first={"Channel": "PJSIP/101-"}, rang=["101", CUSTOMER], answered_by=CUSTOMER,
                 ring=1.5, talk=2, parts={"101": "completed"})
    ]  # fmt: skip
