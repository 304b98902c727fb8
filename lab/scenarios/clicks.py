"""Clicks in the CRM on a customer's number, in every end state: by device, and through Local channels.

The daemon gives the orders, so these are played by `python -m lab run` only.
"""

from __future__ import annotations

import trio

from lab.phone import Call
from lab.scenarios.moves import attended_transfer, consultation, until_over
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER, Truth, internal, outbound, transfer

SHOWN = "+7 (916) 123-45-67"
DEVICE = {"Channel": "PJSIP/101-"}
LOCAL = {"Channel": "Local/200"}
RING = 5
"""`[click2call] ring_seconds` of the lab."""


async def clicked(stage: Stage, extension: str = "101", number: str = SHOWN) -> None:
    answer = await stage.click(extension, number)
    assert answer == "Success", f"/makecall said {answer!r}"


def sees(call: Call, number: str, *headers: str) -> None:
    """The call shows this number to the phone it rings, and carries these SIP headers."""
    assert call.invite is not None
    shown = call.invite.get("from")
    assert f"<sip:{number}@" in shown, f"{call.phone.user} is called from {shown}"
    for header in headers:
        name, _, value = header.partition(": ")
        found = call.invite.get(name.lower())
        assert found == value, f"{call.phone.user} gets {name}: {found!r}"


@scenario(everyday=True, live_only=True)
async def click_who_sees_what(stage: Stage) -> list[Truth]:
    """The employee sees the customer and a header for auto answer, the customer the company's number."""
    stage.plan("101", answer_after=0)
    stage.plan("trunk", answer_after=1)
    await clicked(stage)
    employee = await stage.taken("101")
    sees(employee, CUSTOMER, "Alert-Info: <http://lab.invalid>;info=auto-answer, 101")
    customer = await stage.taken("trunk")
    sees(customer, "4951000101")
    await trio.sleep(1)
    employee.bye()
    return [
        outbound("completed", "101", first=DEVICE, rang=["101", CUSTOMER], answered_by=CUSTOMER, ring=1, talk=1,
                 parts={"101": "completed"})
    ]  # fmt: skip


@scenario(live_only=True)
async def click_as_if_dialled(stage: Stage) -> list[Truth]:
    """A dialplan that keeps the caller's number (of what begins with 9) keeps the employee's, not the customer's."""
    stage.plan("101", answer_after=0.5)
    stage.plan("trunk", answer_after=1)
    await clicked(stage, number="916 123-45-67")
    await stage.taken("101")
    customer = await stage.taken("trunk")
    sees(customer, "101")
    await trio.sleep(1)
    customer.bye()
    return [
        outbound("completed", "101", "9161234567", first=DEVICE, rang=["101", "161234567"], answered_by="161234567",
                 ring=1, talk=1, parts={"101": "completed"})
    ]  # fmt: skip


@scenario(live_only=True)
async def click_employee_no_answer(stage: Stage) -> list[Truth]:
    """101 rings and does not answer: the order lapses."""
    await clicked(stage)
    await stage.over(await stage.rung("101"))
    return [
        outbound("no-answer", "101", first=DEVICE, rang=["101"], ring=RING, recorded=False,
                 parts={"101": "no-answer"})
    ]  # fmt: skip


@scenario(live_only=True)
async def click_employee_busy(stage: Stage) -> list[Truth]:
    """101 says busy (486) at once."""
    stage.plan("101", reject=(486, "Busy Here"), reject_after=0)
    await clicked(stage)
    await trio.sleep(1)
    return [outbound("busy", "101", first=DEVICE, recorded=False, parts={"101": "busy"})]


@scenario(live_only=True)
async def click_phone_off(stage: Stage) -> list[Truth]:
    """104 is not registered: no channel is made, no phone takes part, the log shows the rest."""
    await clicked(stage, "104")
    await stage.rec.wait_for("OriginateResponse")
    return []


@scenario(live_only=True)
async def click_employee_cancels(stage: Stage) -> list[Truth]:
    """101 rings; its user declines (603)."""
    stage.plan("101", reject=(603, "Decline"), reject_after=1.5)
    await clicked(stage)
    await stage.over(await stage.rung("101"))
    return [
        outbound("rejected", "101", first=DEVICE, rang=["101"], ring=1.5, recorded=False, parts={"101": "rejected"})
    ]


@scenario(live_only=True)
async def click_employee_gives_up(stage: Stage) -> list[Truth]:
    """101 answers, the customer's phone rings, 101 hangs up before the customer answers."""
    stage.plan("101", answer_after=0.5)
    await clicked(stage)
    employee = await stage.taken("101")
    await stage.rung("trunk")
    await trio.sleep(2)
    employee.bye()
    return [
        outbound("cancelled", "101", first=DEVICE, rang=["101", CUSTOMER], ring=2, recorded=False,
                 parts={"101": "cancelled"})
    ]  # fmt: skip


async def refused_by_customer(stage: Stage, code: int, reason: str, after: float) -> None:
    """101 answers; the customer's side refuses; 101 hears a tone, and hangs up if the dialplan does not."""
    stage.plan("101", answer_after=0.5)
    stage.plan("trunk", reject=(code, reason), reject_after=after)
    await clicked(stage)
    employee = await stage.taken("101")
    await until_over(employee, seconds=5)
    await stage.over(employee)


@scenario(live_only=True)
async def click_customer_busy(stage: Stage) -> list[Truth]:
    """101 answers; the customer's phone rings for 1 s and says busy (486)."""
    await refused_by_customer(stage, 486, "Busy Here", 1)
    return [
        outbound("busy", "101", first=DEVICE, rang=["101", CUSTOMER], ring=1, recorded=False, parts={"101": "busy"})
    ]


@scenario(live_only=True)
async def click_customer_rejects(stage: Stage) -> list[Truth]:
    """101 answers; the customer declines (603)."""
    await refused_by_customer(stage, 603, "Decline", 1)
    return [
        outbound("rejected", "101", first=DEVICE, rang=["101", CUSTOMER], ring=1, recorded=False,
                 parts={"101": "rejected"})
    ]  # fmt: skip


@scenario(live_only=True)
async def click_customer_no_answer(stage: Stage) -> list[Truth]:
    """101 answers; the customer does not: Dial ends after 8 s."""
    stage.plan("101", answer_after=0.5)
    await clicked(stage)
    await stage.over(await stage.taken("101"))
    return [
        outbound("no-answer", "101", first=DEVICE, rang=["101", CUSTOMER], ring=8, recorded=False,
                 parts={"101": "no-answer"})
    ]  # fmt: skip


@scenario(live_only=True)
async def click_customer_invalid(stage: Stage) -> list[Truth]:
    """101 answers; the provider knows no such number (404)."""
    await refused_by_customer(stage, 404, "Not Found", 0)
    return [outbound("failed", "101", first=DEVICE, rang=["101"], recorded=False, parts={"101": "failed"})]


@scenario(live_only=True)
async def click_colleague(stage: Stage) -> list[Truth]:
    """A click on a colleague's number: a call between employees."""
    stage.plan("101", answer_after=0.5)
    stage.plan("102", answer_after=1)
    await clicked(stage, number="102")
    employee = await stage.taken("101")
    sees(employee, "102")
    colleague = await stage.taken("102")
    sees(colleague, "101")
    await trio.sleep(1)
    colleague.bye()
    return [internal("completed", "101", "102", first=DEVICE, rang=["101", "102"], answered_by="102", ring=1, talk=1)]


@scenario(live_only=True)
async def click_then_blind_transfer(stage: Stage) -> list[Truth]:
    """101 talks to the customer and sends them to 102 by REFER."""
    stage.plan("101", answer_after=0.5)
    stage.plan("trunk", answer_after=1)
    stage.plan("102", answer_after=1)
    await clicked(stage)
    employee = await stage.taken("101")
    customer = await stage.taken("trunk")
    await trio.sleep(1.5)
    employee.refer("102")
    await stage.taken("102")
    await trio.sleep(1.5)
    customer.bye()
    return [
        outbound("completed", "101", first=DEVICE, rang=["101", CUSTOMER, "102"], answered_by=CUSTOMER,
                 final_agent="102", ring=1, talk=3, transfers=[transfer("blind", "101", "102")],
                 parts={"101": "transferred", "102": "completed"})
    ]  # fmt: skip


@scenario(live_only=True)
async def click_then_attended_transfer(stage: Stage) -> list[Truth]:
    """101 talks to the customer, asks 102 on a second line, joins the two by REFER with Replaces."""
    stage.plan("101", answer_after=0.5)
    stage.plan("trunk", answer_after=1)
    await clicked(stage)
    employee = await stage.taken("101")
    customer = await stage.taken("trunk")
    await trio.sleep(1.5)
    await attended_transfer(stage, employee, "102", "102")
    await trio.sleep(1.5)
    customer.bye()
    return [
        outbound("completed", "101", first=DEVICE, rang=["101", CUSTOMER, "102"], answered_by=CUSTOMER,
                 final_agent="102", ring=1, talk=3, transfers=[transfer("attended", "101", "102")],
                 parts={"101": "transferred", "102": "completed"}),
        consultation("101", "102"),
    ]  # fmt: skip


@scenario(profile="office", live_only=True)
async def office_click_who_sees_what(stage: Stage) -> list[Truth]:
    """Both devices of Anna ring through a Local channel and show the customer; they see the company's number."""
    stage.plan("sip-anna-app", answer_after=1)
    stage.plan("trunk", answer_after=1.5)
    await clicked(stage, "2001")
    other = await stage.rung("sip-anna")
    sees(other, CUSTOMER, "Alert-Info: <http://lab.invalid>;info=auto-answer, 2001")
    employee = await stage.taken("sip-anna-app")
    sees(employee, CUSTOMER, "Alert-Info: <http://lab.invalid>;info=auto-answer, 2001")
    customer = await stage.taken("trunk")
    sees(customer, "4956660000")
    await trio.sleep(1.5)
    customer.bye()
    return [
        outbound("completed", "2001", first=LOCAL, rang=["2001", CUSTOMER], answered_by=CUSTOMER, ring=1.5, talk=1.5,
                 parts={"2001": "completed"})
    ]  # fmt: skip


@scenario(profile="office", live_only=True)
async def office_click_answered_at_once(stage: Stage) -> list[Truth]:
    """Vera's phone answers by itself."""
    stage.plan("2003", answer_after=0)
    stage.plan("trunk", answer_after=1)
    await clicked(stage, "2003")
    employee = await stage.taken("2003")
    sees(employee, CUSTOMER)
    customer = await stage.taken("trunk")
    sees(customer, "4956660000")
    await trio.sleep(1)
    employee.bye()
    return [
        outbound("completed", "2003", first=LOCAL, rang=["2003", CUSTOMER], answered_by=CUSTOMER, ring=1, talk=1,
                 parts={"2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office", live_only=True)
async def office_click_nobody(stage: Stage) -> list[Truth]:
    """Both devices of Anna ring, no one answers: the order lapses."""
    await clicked(stage, "2001")
    await stage.over(await stage.rung("sip-anna"))
    await trio.sleep(0.5)
    return [
        outbound("no-answer", "2001", first=LOCAL, rang=["2001"], ring=RING, recorded=False,
                 parts={"2001": "no-answer"})
    ]  # fmt: skip


@scenario(profile="office", live_only=True)
async def office_click_busy(stage: Stage) -> list[Truth]:
    """Vera's phone is busy (486)."""
    stage.plan("2003", reject=(486, "Busy Here"), reject_after=0)
    await clicked(stage, "2003")
    await trio.sleep(1.5)
    return [outbound("busy", "2003", first=LOCAL, recorded=False, parts={"2003": "busy"})]


@scenario(profile="office", live_only=True)
async def office_click_cancelled(stage: Stage) -> list[Truth]:
    """Vera's phone rings, and Vera declines (603)."""
    stage.plan("2003", reject=(603, "Decline"), reject_after=1.5)
    await clicked(stage, "2003")
    await stage.over(await stage.rung("2003"))
    await trio.sleep(1)
    return [
        outbound("rejected", "2003", first=LOCAL, rang=["2003"], ring=1.5, recorded=False, parts={"2003": "rejected"})
    ]


@scenario(profile="office", live_only=True)
async def office_click_gives_up(stage: Stage) -> list[Truth]:
    """Vera answers, the customer's phone rings, Vera hangs up before the customer answers."""
    stage.plan("2003", answer_after=0.5)
    await clicked(stage, "2003")
    employee = await stage.taken("2003")
    await stage.rung("trunk")
    await trio.sleep(2)
    employee.bye()
    await trio.sleep(1)
    return [
        outbound("cancelled", "2003", first=LOCAL, rang=["2003", CUSTOMER], ring=2, recorded=False,
                 parts={"2003": "cancelled"})
    ]  # fmt: skip


@scenario(profile="office", live_only=True)
async def office_click_customer_invalid(stage: Stage) -> list[Truth]:
    """Vera answers; the provider knows no such number (404)."""
    stage.plan("2003", answer_after=0.5)
    stage.plan("trunk", reject=(404, "Not Found"), reject_after=0)
    await clicked(stage, "2003")
    employee = await stage.taken("2003")
    await until_over(employee)
    await stage.over(employee)
    return [outbound("failed", "2003", first=LOCAL, rang=["2003"], recorded=False, parts={"2003": "failed"})]


@scenario(profile="office", live_only=True)
async def office_click_customer_busy(stage: Stage) -> list[Truth]:
    """Vera answers; the customer is busy; Vera hears the tone and hangs up."""
    stage.plan("2003", answer_after=0.5)
    stage.plan("trunk", reject=(486, "Busy Here"), reject_after=1)
    await clicked(stage, "2003")
    employee = await stage.taken("2003")
    await until_over(employee)
    await stage.over(employee)
    return [
        outbound("busy", "2003", first=LOCAL, rang=["2003", CUSTOMER], ring=1, recorded=False,
                 parts={"2003": "busy"})
    ]  # fmt: skip


@scenario(profile="office", live_only=True)
async def office_click_then_blind_transfer(stage: Stage) -> list[Truth]:
    """Vera, rung through a Local channel, talks to the customer and sends them to Grisha by REFER."""
    stage.plan("2003", answer_after=0.5)
    stage.plan("trunk", answer_after=1)
    stage.plan("desk-grisha", answer_after=1)
    await clicked(stage, "2003")
    vera = await stage.taken("2003")
    customer = await stage.taken("trunk")
    await trio.sleep(1.5)
    vera.refer("2004")
    await stage.taken("desk-grisha")
    await trio.sleep(1.5)
    customer.bye()
    return [
        outbound("completed", "2003", first=LOCAL, rang=["2003", CUSTOMER, "2004"], answered_by=CUSTOMER,
                 final_agent="2004", ring=1, talk=3, transfers=[transfer("blind", "2003", "2004")],
                 parts={"2003": "transferred", "2004": "completed"})
    ]  # fmt: skip
