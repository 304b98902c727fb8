"""Lines that are hard to distinguish from phones: an endpoint named by digits, callers with short numbers, IAX2."""

from __future__ import annotations

import trio

from lab.scenarios.moves import CLIENT, hears_busy
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER2, Truth, inbound, outbound

SHORT = "2777"
"""A caller id like an extension's."""
DID = "4956660003"


async def answered(stage: Stage, line: str, number: str) -> list[Truth]:
    """A customer calls over `line`; Vera answers after 1 s, and they talk 2 s."""
    stage.plan("2003", answer_after=1)
    call = stage.phones[line].call(DID, from_user=number)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", DID, number, rang=["2003"], answered_by="2003", ring=1, talk=2,
                parts={"2003": "completed"})
    ]  # fmt: skip


async def called(stage: Stage, line: str, prefix: str) -> list[Truth]:
    """Vera dials `prefix` and a customer's number, which leads to `line`; the customer answers after 1 s."""
    stage.plan(line, answer_after=1)
    call = stage.phones["2003"].call(prefix + CUSTOMER2)
    await stage.talk(call, 2)
    call.bye()
    return [
        outbound("completed", "2003", CUSTOMER2, first={"CallerIDNum": "2003", "Exten": prefix + CUSTOMER2},
                 rang=[CUSTOMER2], answered_by=CUSTOMER2, ring=1, talk=2, parts={"2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office", everyday=True)
async def trunk_numeric_in(stage: Stage) -> list[Truth]:
    """A customer calls over the provider whose endpoint is named 2915; Vera answers."""
    return await answered(stage, "2915", CLIENT)


@scenario(profile="office")
async def trunk_numeric_out(stage: Stage) -> list[Truth]:
    """Vera calls a customer over the provider whose endpoint is named 2915."""
    return await called(stage, "2915", "3")


@scenario(profile="office")
async def trunk_numeric_short_caller(stage: Stage) -> list[Truth]:
    """Over 2915 calls a customer whose number looks like an extension; Vera answers."""
    return await answered(stage, "2915", SHORT)


@scenario(profile="office")
async def trunk_short_caller(stage: Stage) -> list[Truth]:
    """Over the usual provider calls a customer whose number looks like an extension; Vera answers."""
    return await answered(stage, "trunk", SHORT)


@scenario(profile="office", everyday=True)
async def trunk_iax2_in(stage: Stage) -> list[Truth]:
    """A customer calls over IAX2; Vera answers."""
    return await answered(stage, "carrier", CLIENT)


@scenario(profile="office")
async def trunk_iax2_in_cancelled(stage: Stage) -> list[Truth]:
    """A customer calls over IAX2 and gives up after 3 s."""
    call = stage.phones["carrier"].call(DID, from_user=CLIENT)
    await stage.rung("2003")
    await trio.sleep(3)
    call.cancel()
    await stage.over(call)
    return [inbound("cancelled", DID, CLIENT, rang=["2003"], ring=3, parts={"2003": "cancelled"})]


@scenario(profile="office", everyday=True)
async def trunk_iax2_out(stage: Stage) -> list[Truth]:
    """Vera calls a customer over IAX2."""
    return await called(stage, "carrier", "1")


@scenario(profile="office")
async def trunk_iax2_out_busy(stage: Stage) -> list[Truth]:
    """Vera calls a customer over IAX2, who is busy after 1 s."""
    stage.plan("carrier", reject=(486, "Busy Here"), reject_after=1)
    call = stage.phones["2003"].call("1" + CUSTOMER2)
    await hears_busy(stage, call)
    return [
        outbound("busy", "2003", CUSTOMER2, first={"CallerIDNum": "2003", "Exten": "1" + CUSTOMER2},
                 rang=[CUSTOMER2], ring=1, parts={"2003": "busy"})
    ]  # fmt: skip
