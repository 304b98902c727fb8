"""Calls whose recordings are listened to: every phone sends a tone of its own, which shows who is heard.

``heard`` of the truth: what the link in each employee's row plays, its seconds and whose voices. MixMonitor writes
while channels are bridged (option b), so ringing and waiting are not in it. In the small office each dialled extension
starts a file; the customer's own channel keeps its first one, through transfers too.
"""

from __future__ import annotations

import trio

from lab.scenarios.moves import CLIENT, attended_transfer, blind_transfer, connected, queued
from lab.stage import Stage, scenario
from lab.truth import Truth, inbound, internal, transfer

DID = "4951000101"


@scenario(everyday=True, live_only=True)
async def recorded_direct(stage: Stage) -> list[Truth]:
    """A customer calls 101 and they talk 4 s."""
    stage.sound()
    stage.plan("101", answer_after=1.5)
    call = stage.customer_calls(DID)
    await stage.talk(call, 4)
    call.bye()
    return [
        inbound("completed", DID, rang=["101"], answered_by="101", ring=1.5, talk=4, parts={"101": "completed"},
                heard={"101": {"secs": 4, "voices": ["trunk", "101"]}})
    ]  # fmt: skip


@scenario(everyday=True, live_only=True)
async def recorded_queue(stage: Stage) -> list[Truth]:
    """A customer waits 2 s in queue support; 102 answers and they talk 4 s."""
    stage.sound()
    stage.plan("102", answer_after=2)
    call = stage.customer_calls("4951000701")
    await stage.taken("102")
    await trio.sleep(4)
    call.bye()
    return [
        inbound("completed", "4951000701", rang=["101", "102", "103"], answered_by="102", ring=2, talk=4,
                queue="support",
                parts={"101": "answered-elsewhere", "102": "completed", "103": "answered-elsewhere"},
                heard={"102": {"secs": 4, "voices": ["trunk", "102"]}})
    ]  # fmt: skip


@scenario(everyday=True, live_only=True)
async def recorded_blind_transfer(stage: Stage) -> list[Truth]:
    """101 talks 3 s with a customer, sends them to 102 by REFER; 102 rings 3 s and talks 4 s with them."""
    stage.sound()
    stage.plan("101", answer_after=1)
    call = stage.customer_calls(DID)
    agent = await stage.taken("101")
    await trio.sleep(3)
    await blind_transfer(stage, agent, "102", "102", answer_after=3)
    await trio.sleep(4)
    call.bye()
    return [
        inbound("completed", DID, rang=["101", "102"], answered_by="101", ring=1, talk=7, final_agent="102",
                transfers=[transfer("blind", "101", "102")], parts={"101": "transferred", "102": "completed"},
                heard={"101": {"secs": 7, "voices": ["trunk", "101", "102"]},
                       "102": {"secs": 4, "voices": ["trunk", "102"]}})
    ]  # fmt: skip


@scenario(everyday=True, live_only=True)
async def recorded_attended_transfer(stage: Stage) -> list[Truth]:
    """101 talks 3 s with a customer, holds them, asks 102 for 2 s, joins the two, who talk 4 s."""
    stage.sound()
    stage.plan("101", answer_after=1)
    call = stage.customer_calls(DID)
    agent = await stage.taken("101")
    await trio.sleep(3)
    await attended_transfer(stage, agent, "102", "102", talk=2)
    await trio.sleep(4)
    call.bye()
    return [
        inbound("completed", DID, rang=["101", "102"], answered_by="101", ring=1, talk=7, final_agent="102",
                transfers=[transfer("attended", "101", "102")], parts={"101": "transferred", "102": "completed"},
                heard={"101": {"secs": 10, "voices": ["trunk", "101", "102"]},
                       "102": {"secs": 10, "voices": ["trunk", "101", "102"]}},
                note="the 3 s of hold are in the recording"),
        internal("completed", "101", "102", rang=["102"], answered_by="102", ring=1, talk=2),
    ]  # fmt: skip


@scenario(profile="office", everyday=True, live_only=True)
async def recorded_office_queue(stage: Stage) -> list[Truth]:
    """Queue 402 (Dina, through Local channels): Dina answers, and they talk 4 s; one file, in a directory by date."""
    stage.sound()
    stage.plan("2005", answer_after=2)
    call = stage.customer_calls("4956660402", CLIENT)
    await stage.taken("2005")
    await trio.sleep(4)
    call.bye()
    return [
        queued("completed", "402", rang=["2005"], answered_by="2005", ring=2, talk=4, parts={"2005": "completed"},
               heard={"2005": {"secs": 4, "voices": ["trunk", "2005"]}})
    ]  # fmt: skip


@scenario(profile="office", everyday=True, live_only=True)
async def recorded_office_blind_transfer(stage: Stage) -> list[Truth]:
    """Vera talks 1.5 s with a customer, sends them to Grisha by REFER, who talks 4 s with them: one file for both."""
    stage.sound()
    call, vera = await connected(stage)
    await blind_transfer(stage, vera, "2004", "desk-grisha", answer_after=2)
    await trio.sleep(4)
    call.bye()
    both = {"secs": 5.5, "voices": ["trunk", "2003", "desk-grisha"]}
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004"], answered_by="2003", ring=0.5, talk=5.5,
                final_agent="2004", transfers=[transfer("blind", "2003", "2004")],
                parts={"2003": "transferred", "2004": "completed"}, heard={"2003": both, "2004": both})
    ]  # fmt: skip


@scenario(profile="office", everyday=True, live_only=True)
async def recorded_office_attended_transfer(stage: Stage) -> list[Truth]:
    """Vera holds the customer, asks Grisha for 2 s, joins the two, who talk 4 s."""
    stage.sound()
    call, vera = await connected(stage)
    await attended_transfer(stage, vera, "2004", "desk-grisha", talk=2)
    await trio.sleep(4)
    call.bye()
    both = {"secs": 8.5, "voices": ["trunk", "2003", "desk-grisha"]}
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004"], answered_by="2003", ring=0.5, talk=5.5,
                final_agent="2004", transfers=[transfer("attended", "2003", "2004")],
                parts={"2003": "transferred", "2004": "completed"}, heard={"2003": both, "2004": both},
                note="the 3 s of hold are in the recording"),
        internal("completed", "2003", "2004", rang=["2004"], answered_by="2004", ring=1, talk=2),
    ]  # fmt: skip
