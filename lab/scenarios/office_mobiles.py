"""Grisha's own mobile, which `[calls] mobiles` names: who answers there is Grisha."""

from __future__ import annotations

import trio

from lab.phone import Plan
from lab.scenarios.clicks_local import CUSTOMER_ANSWERS, panel_clicks, talked, until_talked
from lab.scenarios.moves import CLIENT, hears_busy
from lab.stage import GRISHAS_MOBILE, Stage, scenario
from lab.truth import Truth, inbound, internal

DID = "4956660004"
DIALLED = "8" + GRISHAS_MOBILE.removeprefix("+7")
NOTE = "2004 is reached on their mobile"


@scenario(profile="office", everyday=True)
async def mobile_forwarded_talk(stage: Stage) -> list[Truth]:
    """Grisha's phone forwards by 302 to their mobile, which they answer after 1.5 s; they talk 2 s."""
    stage.plan("desk-grisha", forward="9" + DIALLED, reject_after=0)
    stage.plan("trunk", answer_after=1.5)
    call = stage.customer_calls(DID, CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", DID, CLIENT, rang=["2004"], answered_by="2004", ring=1.5, talk=2,
                parts={"2004": "completed"}, note=NOTE)
    ]  # fmt: skip


@scenario(profile="office")
async def mobile_forwarded_cancelled(stage: Stage) -> list[Truth]:
    """Grisha's phone rings 1 s and forwards by 302 to their mobile; the customer gives up after 2 s more."""
    stage.plan("desk-grisha", forward="9" + DIALLED, reject_after=1)
    call = stage.customer_calls(DID, CLIENT)
    await stage.rung("trunk")
    await trio.sleep(2)
    call.cancel()
    await stage.over(call)
    return [
        inbound(
            "cancelled", DID, CLIENT, rang=["2004"], ring=3, untimed=["2004"], parts={"2004": "cancelled"}, note=NOTE
        )
    ]


@scenario(profile="office")
async def mobile_busy(stage: Stage) -> list[Truth]:
    """Grisha's phone forwards by 302 to their mobile, which is busy."""
    stage.plan("desk-grisha", forward="9" + DIALLED, reject_after=0)
    stage.plan("trunk", reject=(486, "Busy Here"), reject_after=0)
    call = stage.customer_calls(DID, CLIENT)
    await hears_busy(stage, call)
    return [inbound("busy", DID, CLIENT, parts={"2004": "busy"}, note=NOTE)]


@scenario(profile="office")
async def mobile_of_a_panels_click(stage: Stage) -> list[Truth]:
    """Another program originates a call of Grisha, who picks up on their mobile; the customer answers; they talk."""
    stage.plan("desk-grisha", forward="9" + DIALLED, reject_after=0)
    stage.phones["trunk"].plan = lambda number: Plan(answer_after=1) if number == DIALLED else CUSTOMER_ANSWERS
    await panel_clicks(stage, "2004")
    await until_talked(stage, await stage.taken("trunk"))
    return talked("2004", "2004", {"Channel": "Local/2004@"}, NOTE)


@scenario(profile="office")
async def mobile_called_by_a_colleague(stage: Stage) -> list[Truth]:
    """Vera calls Grisha on their mobile: a call between employees, of which the CRM gets nothing."""
    stage.plan("trunk", answer_after=1)
    call = stage.phones["2003"].call("9" + DIALLED)
    await stage.talk(call, 2)
    call.bye()
    return [internal("completed", "2003", "9" + DIALLED, rang=["2004"], answered_by="2004", ring=1, talk=2, note=NOTE)]
