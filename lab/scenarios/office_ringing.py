"""Who rings and who answers: devices not named like users, several devices, Local chains, forwarding."""

from __future__ import annotations

import trio

from lab.phone import Plan
from lab.scenarios.moves import ABROAD, CLIENT, DID, MOBILE, hears_busy, lasted
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER2, Truth, inbound, internal, outbound


@scenario(profile="office")
async def office_two_devices_answered(stage: Stage) -> list[Truth]:
    """A customer calls Anna (2001); both devices ring; Anna answers on the application."""
    stage.plan("sip-anna-app", answer_after=1.5)
    call = stage.customer_calls(DID, CLIENT, name="Ирина")
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", DID, CLIENT, rang=["2001"], answered_by="2001", ring=1.5, talk=2, customer_name="Ирина",
                parts={"2001": "completed"}, note="one person, two devices: sip-anna and sip-anna-app")
    ]  # fmt: skip


@scenario(profile="office")
async def office_two_devices_one_busy(stage: Stage) -> list[Truth]:
    """Boris's desk phone is busy (486), their mobile rings and is answered."""
    stage.plan("2002", reject=(486, "Busy Here"), reject_after=0)
    stage.plan("2002-mobile", answer_after=1.5, bye_after=2)
    call = stage.customer_calls("4956660002", CLIENT)
    await stage.over(call)
    return [
        inbound("completed", "4956660002", CLIENT, rang=["2002"], answered_by="2002", ring=1.5, talk=2,
                parts={"2002": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_two_devices_nobody(stage: Stage) -> list[Truth]:
    """Both devices of Boris ring; the customer gives up after 3 s."""
    call = stage.customer_calls("4956660002", CLIENT)
    await stage.rung("2002-mobile")
    await trio.sleep(3)
    call.cancel()
    await stage.over(call)
    return [inbound("cancelled", "4956660002", CLIENT, rang=["2002"], ring=3, parts={"2002": "cancelled"})]


@scenario(profile="office")
async def office_two_devices_declined(stage: Stage) -> list[Truth]:
    """Boris declines on their desk phone (603) after 1 s, the mobile rings on; no one answers; Dial ends after 15 s."""
    stage.plan("2002", reject=(603, "Decline"), reject_after=1)
    call = stage.customer_calls("4956660002", CLIENT)
    await stage.over(call)
    return [
        inbound("no-answer", "4956660002", CLIENT, rang=["2002"], ring=15, parts={"2002": "no-answer"},
                note="one device declined, the other rang to the end")
    ]  # fmt: skip


@scenario(profile="office")
async def office_ringgroup_answered(stage: Stage) -> list[Truth]:
    """Ring group 600 (Local/RG-600-200X@from-internal/n, devices behind them); Boris answers on their mobile."""
    stage.plan("2002-mobile", answer_after=2)
    call = stage.customer_calls("4956660600", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660600", CLIENT, rang=["2001", "2002", "2003"], answered_by="2002", ring=2, talk=2,
                parts={"2001": "answered-elsewhere", "2002": "completed", "2003": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_ringgroup_nobody(stage: Stage) -> list[Truth]:
    """Ring group 600; no one answers; the customer gives up after 4 s."""
    call = stage.customer_calls("4956660600", CLIENT)
    await stage.rung("2003")
    await trio.sleep(4)
    call.cancel()
    await stage.over(call)
    return [
        inbound("cancelled", "4956660600", CLIENT, rang=["2001", "2002", "2003"], ring=4,
                parts={"2001": "cancelled", "2002": "cancelled", "2003": "cancelled"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_ringgroup_two_at_once(stage: Stage) -> list[Truth]:
    """Ring group of devices (603); Anna and Vera answer at the same moment; one 200 comes too late."""
    stage.plan("sip-anna", answer_after=1.5)
    stage.plan("2003", answer_after=1.5)
    call = stage.customer_calls("4956660603", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    await trio.sleep(0.3)
    talked = [user for user, phone in (("2001", "sip-anna"), ("2003", "2003")) if lasted(stage, phone)]
    winner = talked[0] if len(talked) == 1 else "2001"
    users = ["2001", "2002", "2003"]
    return [
        inbound("completed", "4956660603", CLIENT, rang=users, answered_by=winner, ring=1.5, talk=2,
                parts={user: "completed" if user == winner else "answered-elsewhere" for user in users},
                note="the loser's phone was answered too, and hung up on by Asterisk at once")
    ]  # fmt: skip


@scenario(profile="office")
async def office_ringgroup_mobile_answers(stage: Stage) -> list[Truth]:
    """Ring group 601: Vera's device, Grisha through from-internal, a mobile through the trunk; the mobile answers."""
    stage.plan("trunk", answer_after=2)
    call = stage.customer_calls("4956660601", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660601", CLIENT, rang=["2003", "2004", MOBILE], answered_by=MOBILE, ring=2, talk=2,
                parts={"2003": "answered-elsewhere", "2004": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_ringgroup_member_answers_not_mobile(stage: Stage) -> list[Truth]:
    """Ring group 601; Grisha (device desk-grisha) answers while the mobile rings."""
    stage.plan("desk-grisha", answer_after=2)
    call = stage.customer_calls("4956660601", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660601", CLIENT, rang=["2003", "2004", MOBILE], answered_by="2004", ring=2, talk=2,
                parts={"2003": "answered-elsewhere", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_hunt_third_answers(stage: Stage) -> list[Truth]:
    """Hunt group 602, 3 s each, Local channels that optimise away: Anna no, Vera no, Grisha yes."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660602", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660602", CLIENT, rang=["2001", "2003", "2004"], answered_by="2004", ring=7, talk=2,
                parts={"2001": "no-answer", "2003": "no-answer", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_memory_hunt(stage: Stage) -> list[Truth]:
    """Group 604: Vera alone for 3 s, then Vera and Grisha; Vera answers on the second try."""
    tries: list[str] = []

    def vera(number: str) -> Plan:
        tries.append(number)
        return Plan(answer_after=1) if len(tries) == 2 else Plan()

    stage.phones["2003"].plan = vera
    call = stage.customer_calls("4956660604", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660604", CLIENT, rang=["2003", "2004"], answered_by="2003", ring=4, talk=2,
                parts={"2003": "completed", "2004": "answered-elsewhere"}, note="Vera rang twice")
    ]  # fmt: skip


@scenario(profile="office")
async def office_followme(stage: Stage) -> list[Truth]:
    """Dina (2005) has follow-me: their desk 4 s, then their desk and Boris's devices; Boris's desk answers."""
    stage.plan("2002", answer_after=1)
    call = stage.customer_calls("4956660005", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660005", CLIENT, rang=["2005", "2002"], answered_by="2002", ring=5, talk=2,
                parts={"2005": "answered-elsewhere", "2002": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_forward_302(stage: Stage) -> list[Truth]:
    """Vera's phone forwards by 302 to 2004; Grisha answers."""
    stage.plan("2003", forward="2004", reject_after=0)
    stage.plan("desk-grisha", answer_after=1.5)
    call = stage.customer_calls("4956660003", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2004"], answered_by="2004", ring=1.5, talk=2,
                parts={"2004": "completed"}, note="2003 did not ring: 302 at once")
    ]  # fmt: skip


@scenario(profile="office")
async def office_forward_302_mobile(stage: Stage) -> list[Truth]:
    """Vera's phone forwards by 302 to their mobile through the trunk (9 and the number), which answers."""
    stage.plan("2003", forward="9" + MOBILE, reject_after=0)
    stage.plan("trunk", answer_after=1.5)
    call = stage.customer_calls("4956660003", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=[MOBILE], answered_by=MOBILE, ring=1.5, talk=2,
                note="both ends on the trunk; 2003 did not ring")
    ]  # fmt: skip


@scenario(profile="office")
async def office_forward_unconditional(stage: Stage) -> list[Truth]:
    """2004's calls go to 2003 through Local/2003@from-internal/n; Vera answers."""
    stage.plan("2003", answer_after=1)
    call = stage.customer_calls("4956660904", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660904", CLIENT, rang=["2003"], answered_by="2003", ring=1, talk=2,
                parts={"2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_busy(stage: Stage) -> list[Truth]:
    """Grisha (device desk-grisha) is busy: 486 without ringing."""
    stage.plan("desk-grisha", reject=(486, "Busy Here"), reject_after=0)
    call = stage.customer_calls("4956660004", CLIENT)
    await stage.over(call)
    return [inbound("busy", "4956660004", CLIENT, note="486 without 180", parts={"2004": "busy"})]


@scenario(profile="office")
async def office_outbound_prefix_company_number(stage: Stage) -> list[Truth]:
    """Anna dials 9 and the number; the company's number is shown; the customer answers."""
    stage.plan("trunk", answer_after=1.5)
    call = stage.phones["sip-anna"].call("9" + CUSTOMER2, from_user="2001")
    await stage.talk(call, 2)
    call.bye()
    return [
        outbound("completed", "2001", CUSTOMER2, first={"CallerIDNum": "2001", "Exten": "9" + CUSTOMER2},
                 rang=[CUSTOMER2], answered_by=CUSTOMER2, ring=1.5, talk=2, parts={"2001": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_outbound_application(stage: Stage) -> list[Truth]:
    """Anna calls abroad from their application (sip-anna-app), +49..., prefix 9; the customer hangs up."""
    stage.plan("trunk", answer_after=1, bye_after=2)
    call = stage.phones["sip-anna-app"].call("9" + ABROAD, from_user="sip-anna-app")
    await stage.over(call)
    return [
        outbound("completed", "2001", ABROAD, first={"Channel": "PJSIP/sip-anna-app-", "Exten": "9" + ABROAD},
                 rang=[ABROAD], answered_by=ABROAD, ring=1, talk=2, parts={"2001": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_outbound_busy(stage: Stage) -> list[Truth]:
    """Grisha calls a customer, who is busy after ringing for 1 s."""
    stage.plan("trunk", reject=(486, "Busy Here"), reject_after=1)
    call = stage.phones["desk-grisha"].call("9" + CUSTOMER2)
    await hears_busy(stage, call)
    return [
        outbound("busy", "2004", CUSTOMER2, first={"Channel": "PJSIP/desk-grisha-", "Exten": "9" + CUSTOMER2},
                 rang=[CUSTOMER2], ring=1, parts={"2004": "busy"})
    ]  # fmt: skip


@scenario(profile="office")
async def office_internal_between_devices(stage: Stage) -> list[Truth]:
    """Anna (sip-anna) calls Grisha (desk-grisha)."""
    stage.plan("desk-grisha", answer_after=1)
    call = stage.phones["sip-anna"].call("2004")
    await stage.talk(call, 1.5)
    call.bye()
    return [
        internal("completed", "2001", "2004", first={"Channel": "PJSIP/sip-anna-", "Exten": "2004"}, rang=["2004"],
                 answered_by="2004", ring=1, talk=1.5)
    ]  # fmt: skip
