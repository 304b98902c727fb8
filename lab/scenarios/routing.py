"""An incoming customer is sent to the owner of their contact: the dialplan asks the connector, it asks the CRM.

49510003XX of the plain profile: first the responsible employee, for 4 s, then the ring group. The CRM knows CUSTOMER as
102's, HUNG_UP_ON as 103's, and no other.
"""

from __future__ import annotations

import trio

from lab.scenarios.everyday import ALL
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER, CUSTOMER2, Truth, inbound

BY_FASTAGI = "4951000300"
BY_CURL = "4951000301"
CONNECTOR_AWAY = "4951000302"
HUNG_UP_ON = "+79031112233"
GROUP_ANSWERED = {"101": "completed", "102": "answered-elsewhere", "103": "answered-elsewhere"}


@scenario(everyday=True, live_only=True)
async def route_to_the_responsible(stage: Stage) -> list[Truth]:
    """102 owns the caller's contact: the phone of 102 alone rings, and is answered. Asked by FastAGI."""
    return await _answered_by_the_responsible(stage, BY_FASTAGI)


@scenario(everyday=True, live_only=True)
async def route_by_curl(stage: Stage) -> list[Truth]:
    """The same, asked by CURL()."""
    return await _answered_by_the_responsible(stage, BY_CURL)


@scenario(everyday=True, live_only=True)
async def route_responsible_does_not_answer(stage: Stage) -> list[Truth]:
    """102 owns the contact and does not answer for 4 s; then all phones ring, and 101 answers."""
    call = stage.customer_calls(BY_FASTAGI)
    await stage.rung("102")
    assert not stage.phones["101"].calls, "101 rang before the responsible employee had their time"
    stage.plan("101", answer_after=1)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", BY_FASTAGI, rang=["102", "101", "103"], answered_by="101", ring=5, talk=2,
                parts=GROUP_ANSWERED)
    ]  # fmt: skip


@scenario(everyday=True, live_only=True)
async def route_nobody_responsible(stage: Stage) -> list[Truth]:
    """The CRM does not know the caller: all phones ring at once."""
    return await _answered_by_the_group(stage, BY_FASTAGI, CUSTOMER2)


@scenario(everyday=True, live_only=True)
async def route_anonymous(stage: Stage) -> list[Truth]:
    """The caller withholds their number: all phones ring at once."""
    return await _answered_by_the_group(stage, BY_FASTAGI, "anonymous")


@scenario(everyday=True, live_only=True)
async def route_connector_away(stage: Stage) -> list[Truth]:
    """No server listens where FastAGI asks: AGI() fails, and all phones ring."""
    return await _answered_by_the_group(stage, CONNECTOR_AWAY, CUSTOMER)


@scenario(everyday=True, live_only=True)
async def route_crm_hangs(stage: Stage) -> list[Truth]:
    """The CRM never says who is responsible: after the deadline of 1 s all phones ring; at the next call at once."""
    assert stage.crm is not None
    stage.crm.owners_hang = True
    try:
        first = await _answered_by_the_group(stage, BY_FASTAGI, HUNG_UP_ON, least=0.8)
        return first + await _answered_by_the_group(stage, BY_FASTAGI, HUNG_UP_ON, most=0.8)
    finally:
        stage.crm.owners_hang = False


async def _answered_by_the_responsible(stage: Stage, did: str) -> list[Truth]:
    stage.plan("102", answer_after=1)
    call = stage.customer_calls(did)
    await stage.talk(call, 2)
    call.bye()
    await stage.over(call)
    assert not stage.phones["101"].calls, "101 rang too"
    assert not stage.phones["103"].calls, "103 rang too"
    return [inbound("completed", did, rang=["102"], answered_by="102", ring=1, talk=2, parts={"102": "completed"})]


async def _answered_by_the_group(
    stage: Stage, did: str, number: str, *, least: float = 0, most: float = 2
) -> list[Truth]:
    stage.plan("101", answer_after=1)
    began = trio.current_time()
    call = stage.customer_calls(did, number=number)
    rung = await stage.rung("103")
    waited = trio.current_time() - began
    assert least < waited < most, f"it took {waited:.1f} s until the phones rang"
    await stage.talk(call, 1)
    call.bye()
    await stage.over(call, rung)
    return [inbound("completed", did, number, rang=ALL, answered_by="101", ring=1, talk=1, parts=GROUP_ANSWERED)]
