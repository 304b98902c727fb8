"""What scenarios have in common: the numbers of the office, and moves made of several steps.

Users of the office: 2001 Anna (sip-anna, sip-anna-app), 2002 Boris (2002, 2002-mobile), 2003 Vera,
2004 Grisha (desk-grisha), 2005 Dina. Numbers: 49566600XX users, 49566606XX ring groups, 49566604XX queues,
4956660800 IVR; 9 dials out.
"""

from __future__ import annotations

from typing import Any

import trio

from lab.phone import Call
from lab.stage import Stage
from lab.truth import Truth, inbound, internal

CLIENT = "79161112233"  # as this provider shows a caller: no plus
ABROAD = "+4930123456"
MOBILE = "89260000001"  # a colleague's, reached by 9 and this
DID = "4956660001"  # Anna's


async def connected(
    stage: Stage, phone: str = "2003", did: str = "4956660003", number: str = CLIENT
) -> tuple[Call, Call]:
    """A customer talks to this phone 1.5 s: their leg and the agent's."""
    stage.plan(phone, answer_after=0.5)
    call = stage.customer_calls(did, number)
    agent = await stage.taken(phone)
    with trio.fail_after(5):
        await call.answered.wait()
    await trio.sleep(1.5)
    return call, agent


async def blind_transfer(stage: Stage, agent: Call, number: str, phone: str, answer_after: float = 1) -> Call:
    """The agent sends the customer to `number` by REFER; this phone answers after so long. Returns its call."""
    stage.plan(phone, answer_after=answer_after)
    agent.refer(number)
    return await stage.taken(phone)


async def attended_transfer(stage: Stage, agent: Call, number: str, phone: str, talk: float = 1.0) -> Call:
    """The agent holds the customer, talks to `number` on a second line, and joins the two. Returns the phone's call."""
    await agent.hold()
    stage.plan(phone, answer_after=1)
    second = agent.phone.call(number)
    other = await stage.taken(phone)
    await stage.talk(second, talk)
    await join(agent, number, second)
    return other


async def join(agent: Call, number: str, second: Call) -> None:
    """REFER with Replaces: the agent joins their two calls and is gone."""
    agent.refer(number, replaces=second)
    with trio.fail_after(5):
        await agent.referred.wait()


def consultation(by: str, to: str, *, talk: float = 1, note: str = "the consultation") -> Truth:
    """The second call of an attended transfer, which becomes part of the customer's."""
    return internal(
        "completed", by, to, rang=[to], answered_by=to, ring=1, talk=talk, merged_into_first=True, note=note
    )


async def dial_code(agent: Call, code: str, number: str) -> None:
    """The agent presses a feature code (## blind, *2 attended), and `number` once Asterisk asks for it."""
    await agent.dtmf(code)
    await trio.sleep(1.5)
    await agent.dtmf(number)


async def hears_busy(stage: Stage, call: Call) -> None:
    """The caller hears a busy tone, and hangs up after 4 s if the dialplan does not."""
    with trio.move_on_after(4):
        await call.ended.wait()
    if not call.ended.is_set():
        call.cancel()
        await stage.over(call)


async def until_over(employee: Call, seconds: float = 4) -> None:
    """The employee who clicked hears a tone, and hangs up after so long if the dialplan does not."""
    with trio.move_on_after(seconds):
        await employee.ended.wait()
    if not employee.ended.is_set():
        employee.bye()


def lasted(stage: Stage, phone: str) -> bool:
    """Whether a call this phone answered went on for a second: a loser's is hung up at once."""
    return any(
        call.answered_at and call.ended_at and call.ended_at - call.answered_at > 1
        for call in stage.phones[phone].calls.values()
    )


def click_order(extension: str, channel: str, number: str, seconds: int = 10) -> dict[str, str]:
    """An Originate as a click in the CRM makes it: the channel rings for so long, then the number is called."""
    return {
        "Channel": channel, "Context": "from-internal", "Exten": number, "Priority": "1",
        "CallerID": f'"CRM" <{extension}>', "Timeout": f"{seconds}000", "Async": "true",
    }  # fmt: skip


def queued(status: str, queue: str, **more: Any) -> Truth:
    """A customer called queue number `queue`; `named` is the queue that counts, where it is another."""
    return inbound(status, f"4956660{queue}", CLIENT, queue=more.pop("named", queue), **more)
