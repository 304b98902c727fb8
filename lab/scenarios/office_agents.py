"""Agents who stay on the line (app_agent_pool): one channel of theirs, many customers; to each call its own row."""

from __future__ import annotations

import trio

from lab.phone import Call
from lab.scenarios.moves import CLIENT, queued
from lab.stage import Stage, scenario
from lab.truth import Truth, inbound

SECOND = "79167778899"
PROBATION = 5.0
"""Seconds after a login within which app_agent_pool gives the agent their first customer."""


async def logged_in(stage: Stage, phone: str) -> Call:
    """The agent has called *45 and their number, and waits for customers."""
    agent = stage.phones[phone].call(f"*45{phone}")
    with trio.move_on_after(PROBATION):
        await stage.rec.wait_for(f"Device: Agent:{phone}\r\nState: NOT_INUSE")
    return agent


@scenario(profile="office", everyday=True)
async def agents_two_customers(stage: Stage) -> list[Truth]:
    """Dina is logged in; two customers of queue 485 talk to them in turn."""
    dina = await logged_in(stage, "2005")
    for number in (CLIENT, SECOND):
        call = stage.customer_calls("4956660485", number)
        await stage.talk(call, 3.5)
        call.bye()
        await trio.sleep(1.5)
    dina.bye()
    await stage.over(dina)
    return [
        inbound("completed", "4956660485", number, queue="485", rang=["2005"], answered_by="2005", ring=0, talk=2.5,
                untimed=["2005"], parts={"2005": "completed"})
        for number in (CLIENT, SECOND)
    ]  # fmt: skip


@scenario(profile="office")
async def agents_log_off_with_a_customer(stage: Stage) -> list[Truth]:
    """Dina talks to a customer of queue 485 and hangs up, which logs them off too."""
    dina = await logged_in(stage, "2005")
    call = stage.customer_calls("4956660485", CLIENT)
    await stage.talk(call, 3.5)
    dina.bye()
    await trio.sleep(0.5)
    call.bye()
    await stage.over(call)
    return [
        queued("completed", "485", rang=["2005"], answered_by="2005", ring=0, talk=2.5, untimed=["2005"],
               parts={"2005": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def agents_acknowledge(stage: Stage) -> list[Truth]:
    """Queue 486 (ackcall): Vera hears a beep, presses # 2.5 s after the call began, and they talk 2 s."""
    vera = await logged_in(stage, "2003")
    call = stage.customer_calls("4956660486", CLIENT)
    await stage.talk(call, 2.5)
    await vera.dtmf("#")
    await trio.sleep(2)
    call.bye()
    await trio.sleep(1)
    vera.bye()
    await stage.over(vera)
    return [
        queued("completed", "486", rang=["2003"], answered_by="2003", talk=2, untimed=["2003"],
               parts={"2003": "completed"})
    ]  # fmt: skip
