"""Clicks whose phone is behind several Local channels: follow-me, a desk that forwards, the employee's mobile.

One row of the employee who clicked, whatever phone they take the call on. Clicks in the CRM are played by
`python -m lab run` only, those of other programs by `record` as well.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from lab.phone import Call, Plan
from lab.scenarios.clicks import clicked
from lab.scenarios.moves import MOBILE, until_over
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER, Truth, outbound

DINA = {"Channel": "Local/2005@"}
VERA = {"Channel": "Local/2003@"}


def busy(employee: str, phone: str, first: dict[str, str], note: str = "") -> list[Truth]:
    """The employee picked up on `phone`, the customer's phone rang 1 s and was busy."""
    return [
        outbound("busy", employee, first=first, rang=[phone, CUSTOMER], ring=1, recorded=False,
                 parts={employee: "busy"}, note=note)
    ]  # fmt: skip


def talked(employee: str, phone: str, first: dict[str, str], note: str = "") -> list[Truth]:
    """The employee picked up on `phone`, the customer answered after 1.5 s, and they talked 2 s."""
    return [
        outbound("completed", employee, first=first, rang=[phone, CUSTOMER], answered_by=CUSTOMER, ring=1.5, talk=2,
                 parts={employee: "completed"}, note=note)
    ]  # fmt: skip


async def until_talked(stage: Stage, employee: Call) -> None:
    """The customer answers, they talk 2 s, the employee hangs up."""
    await stage.taken("trunk")
    await trio.sleep(2)
    employee.bye()


CUSTOMER_BUSY = Plan(reject=(486, "Busy Here"), reject_after=1)
CUSTOMER_ANSWERS = Plan(answer_after=1.5)


def mobile_and(customer: Plan) -> Callable[[str], Plan]:
    """The provider's side: Vera answers on their mobile after 1 s, the customer does as planned."""
    return lambda number: Plan(answer_after=1) if number == MOBILE else customer


@scenario(profile="office", everyday=True, live_only=True)
async def click_followme_busy(stage: Stage) -> list[Truth]:
    """Dina has follow-me, clicks, and picks up; the customer is busy."""
    stage.plan("2005", answer_after=1)
    stage.phones["trunk"].plan = CUSTOMER_BUSY
    await clicked(stage, "2005")
    await until_over(await stage.taken("2005"))
    return busy("2005", "2005", DINA)


@scenario(profile="office", live_only=True)
async def click_followme_talk(stage: Stage) -> list[Truth]:
    """Dina has follow-me, clicks, and picks up; the customer answers; they talk."""
    stage.plan("2005", answer_after=1)
    stage.phones["trunk"].plan = CUSTOMER_ANSWERS
    await clicked(stage, "2005")
    await until_talked(stage, await stage.taken("2005"))
    return talked("2005", "2005", DINA)


@scenario(profile="office", live_only=True)
async def click_followme_no_answer(stage: Stage) -> list[Truth]:
    """Dina has follow-me, clicks, and does not pick up before the order lapses: Boris's phones rang 1 s as well."""
    await clicked(stage, "2005")
    dina = await stage.rung("2005")
    await stage.over(dina, await stage.rung("2002"))
    await trio.sleep(0.5)
    return [
        outbound("no-answer", "2005", first=DINA, rang=["2005", "2002"], ring=5, recorded=False,
                 parts={"2005": "no-answer"})
    ]  # fmt: skip


@scenario(profile="office", everyday=True, live_only=True)
async def click_forwarded_busy(stage: Stage) -> list[Truth]:
    """Vera clicks; their phone forwards by 302 to Grisha's desk, where Vera sits and picks up; the customer is busy."""
    stage.plan("2003", forward="2004", reject_after=0)
    stage.plan("desk-grisha", answer_after=1)
    stage.phones["trunk"].plan = CUSTOMER_BUSY
    await clicked(stage, "2003")
    await until_over(await stage.taken("desk-grisha"))
    return busy("2003", "2004", VERA, "only who ordered the click knows that it is Vera")


@scenario(profile="office", live_only=True)
async def click_forwarded_talk(stage: Stage) -> list[Truth]:
    """Vera clicks; their phone forwards by 302 to Grisha's desk; Vera picks up, the customer answers, they talk."""
    stage.plan("2003", forward="2004", reject_after=0)
    stage.plan("desk-grisha", answer_after=1)
    stage.phones["trunk"].plan = CUSTOMER_ANSWERS
    await clicked(stage, "2003")
    await until_talked(stage, await stage.taken("desk-grisha"))
    return talked("2003", "2004", VERA, "only who ordered the click knows that it is Vera")


@scenario(profile="office", everyday=True, live_only=True)
async def click_mobile_talk(stage: Stage) -> list[Truth]:
    """Vera clicks; their phone forwards by 302 to their mobile; Vera picks up, the customer answers, they talk."""
    stage.plan("2003", forward="9" + MOBILE, reject_after=0)
    stage.phones["trunk"].plan = mobile_and(CUSTOMER_ANSWERS)
    await clicked(stage, "2003")
    await until_talked(stage, await stage.taken("trunk"))
    return talked("2003", "2003", VERA, "Vera's mobile")


@scenario(profile="office", live_only=True)
async def click_mobile_busy(stage: Stage) -> list[Truth]:
    """Vera clicks, and picks up on their mobile; the customer is busy."""
    stage.plan("2003", forward="9" + MOBILE, reject_after=0)
    stage.phones["trunk"].plan = mobile_and(CUSTOMER_BUSY)
    await clicked(stage, "2003")
    await until_over(await stage.taken("trunk"))
    return busy("2003", "2003", VERA, "Vera's mobile")


@scenario(profile="office", live_only=True)
async def click_mobile_no_answer(stage: Stage) -> list[Truth]:
    """Vera clicks; their mobile rings until the order lapses."""
    stage.plan("2003", forward="9" + MOBILE, reject_after=0)
    await clicked(stage, "2003")
    await stage.over(await stage.rung("trunk"))
    await trio.sleep(0.5)
    return [
        outbound("no-answer", "2003", first=VERA, rang=["2003"], ring=5, recorded=False, parts={"2003": "no-answer"},
                 note="Vera's mobile")
    ]  # fmt: skip


@scenario(profile="office", live_only=True)
async def click_followme_colleague(stage: Stage) -> list[Truth]:
    """Dina clicks, and takes the call on Boris's desk phone, which their follow-me rings after 4 s; they talk."""
    stage.plan("2002", answer_after=0.3)
    stage.phones["trunk"].plan = CUSTOMER_ANSWERS
    await clicked(stage, "2005")
    await until_talked(stage, await stage.taken("2002"))
    return talked("2005", "2005", DINA, "only who ordered the click knows that it is Dina")


async def panel_clicks(stage: Stage, extension: str, seconds: int = 10) -> None:
    """Another program originates a call of this employee as the CRM does: a Local channel, then the number."""
    await stage.rec.action(
        "Originate", Channel=f"Local/{extension}@from-internal", Context="from-internal", Exten="9" + CUSTOMER,
        Priority="1", CallerID=f"<{CUSTOMER}>", Timeout=f"{seconds}000", Async="true",
    )  # fmt: skip


@scenario(profile="office")
async def panel_followme_busy(stage: Stage) -> list[Truth]:
    """Another program originates a call of Dina, who has follow-me and picks up; the customer is busy."""
    stage.plan("2005", answer_after=1)
    stage.phones["trunk"].plan = CUSTOMER_BUSY
    await panel_clicks(stage, "2005")
    await until_over(await stage.taken("2005"))
    return busy("2005", "2005", DINA)


@scenario(profile="office", everyday=True)
async def panel_followme_talk(stage: Stage) -> list[Truth]:
    """Another program originates a call of Dina, who has follow-me and picks up; the customer answers; they talk."""
    stage.plan("2005", answer_after=1)
    stage.phones["trunk"].plan = CUSTOMER_ANSWERS
    await panel_clicks(stage, "2005")
    await until_talked(stage, await stage.taken("2005"))
    return talked("2005", "2005", DINA)


@scenario(profile="office")
async def panel_followme_no_answer(stage: Stage) -> list[Truth]:
    """Another program originates a call of Dina, who has follow-me; no one picks up, Boris's phones ring 2 s of it."""
    await panel_clicks(stage, "2005", seconds=6)
    boris = await stage.rung("2002")
    await stage.over(boris)
    return [
        outbound("no-answer", "2005", first=DINA, rang=["2005", "2002"], ring=6, recorded=False,
                 parts={"2005": "no-answer"}, note="Boris's phones rang for Dina")
    ]  # fmt: skip


@scenario(profile="office")
async def panel_followme_colleague(stage: Stage) -> list[Truth]:
    """Another program originates a call of Dina, who has follow-me; after 4 s Boris's phones ring too; Boris picks up
    and talks to the customer: the call is Boris's."""
    stage.plan("2002", answer_after=1)
    stage.phones["trunk"].plan = CUSTOMER_ANSWERS
    await panel_clicks(stage, "2005")
    await until_talked(stage, await stage.taken("2002"))
    return [
        outbound("completed", "2002", first=DINA, rang=["2005", "2002", CUSTOMER], answered_by=CUSTOMER, ring=1.5,
                 talk=2, parts={"2005": "answered-elsewhere", "2002": "completed"})
    ]  # fmt: skip
