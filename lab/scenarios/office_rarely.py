"""What happens now and then in an office: two contacts, a second provider, confirmations, listening in, recalls."""

from __future__ import annotations

import trio

from lab.scenarios.moves import CLIENT, DID, MOBILE, connected, dial_code, hears_busy
from lab.stage import Stage, scenario
from lab.truth import CUSTOMER2, Truth, inbound, internal, outbound, transfer


@scenario(profile="office")
async def rarely_two_contacts(stage: Stage) -> list[Truth]:
    """Egor (2006) has one endpoint with two contacts, dialled as PJSIP_DIAL_CONTACTS(2006); the second answers."""
    stage.plan("2006-cell", answer_after=1.5)
    call = stage.customer_calls("4956660006", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660006", CLIENT, rang=["2006"], answered_by="2006", ring=1.5, talk=2,
                parts={"2006": "completed"}, note="two channels of one endpoint ring")
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_two_contacts_nobody(stage: Stage) -> list[Truth]:
    """Both contacts of Egor ring; one declines after 1 s; the customer gives up after 3 s."""
    stage.plan("2006", reject=(603, "Decline"), reject_after=1)
    call = stage.customer_calls("4956660006", CLIENT)
    await stage.rung("2006-cell")
    await trio.sleep(3)
    call.cancel()
    await stage.over(call)
    return [inbound("cancelled", "4956660006", CLIENT, rang=["2006"], ring=3, parts={"2006": "cancelled"})]


@scenario(profile="office")
async def rarely_second_provider(stage: Stage) -> list[Truth]:
    """Vera calls out; the first provider has no line (503), the second one's customer answers."""
    stage.plan("trunk", reject=(503, "Service Unavailable"), reject_after=0)
    stage.plan("trunk-2", answer_after=1.5)
    call = stage.phones["2003"].call("9" + CUSTOMER2)
    await stage.talk(call, 2)
    call.bye()
    return [
        outbound("completed", "2003", CUSTOMER2, first={"CallerIDNum": "2003", "Exten": "9" + CUSTOMER2},
                 rang=[CUSTOMER2], answered_by=CUSTOMER2, ring=1.5, talk=2, parts={"2003": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_out_through_local(stage: Stage) -> list[Truth]:
    """Anna dials 7 and the number: Local/9...@from-internal/n, then the trunk; the customer answers."""
    stage.plan("trunk", answer_after=1.5)
    call = stage.phones["sip-anna"].call("7" + CUSTOMER2)
    await stage.talk(call, 2)
    call.bye()
    return [
        outbound("completed", "2001", CUSTOMER2, first={"Channel": "PJSIP/sip-anna-", "Exten": "7" + CUSTOMER2},
                 rang=[CUSTOMER2], answered_by=CUSTOMER2, ring=1.5, talk=2, parts={"2001": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_confirmed_by_mobile(stage: Stage) -> list[Truth]:
    """Group 605: Grisha and a mobile that must press 1; the mobile answers, presses 1 after 1 s, talks."""
    stage.plan("trunk", answer_after=1)
    call = stage.customer_calls("4956660605", CLIENT)
    mobile = await stage.taken("trunk")
    await trio.sleep(1)
    await mobile.dtmf("1")
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660605", CLIENT, rang=["2004", MOBILE], answered_by=MOBILE, ring=2.2, talk=2,
                parts={"2004": "answered-elsewhere"})
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_not_confirmed(stage: Stage) -> list[Truth]:
    """Group 605: the mobile answers (its voicemail) and never presses 1; Grisha answers after 7 s."""
    stage.plan("trunk", answer_after=1)
    stage.plan("desk-grisha", answer_after=8)
    call = stage.customer_calls("4956660605", CLIENT)
    await stage.taken("desk-grisha")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660605", CLIENT, rang=["2004", MOBILE], answered_by="2004", ring=8, talk=2,
                parts={"2004": "completed"}, note="the mobile's leg was answered but never reached the customer")
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_do_not_disturb(stage: Stage) -> list[Truth]:
    """The dialplan says busy for 2003 without dialling a phone."""
    call = stage.customer_calls("4956660903", CLIENT)
    await hears_busy(stage, call)
    return [inbound("busy", "4956660903", CLIENT, recorded=False, note="no phone was tried")]


@scenario(profile="office")
async def rarely_closed(stage: Stage) -> list[Truth]:
    """An announcement that the office is closed; the customer hangs up after 3 s."""
    call = stage.customer_calls("4956660902", CLIENT)
    await stage.talk(call, 3)
    call.bye()
    return [inbound("cancelled", "4956660902", CLIENT, recorded=False, note="no phone was tried")]


@scenario(profile="office")
async def rarely_forwarded_after_ringing(stage: Stage) -> list[Truth]:
    """Vera's phone rings 2 s, then forwards by 302 to Grisha, who answers."""
    stage.plan("2003", forward="2004", reject_after=2)
    stage.plan("desk-grisha", answer_after=1)
    call = stage.customer_calls("4956660003", CLIENT)
    await stage.talk(call, 2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004"], answered_by="2004", ring=3, talk=2,
                parts={"2003": "no-answer", "2004": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_listened_in(stage: Stage) -> list[Truth]:
    """Vera talks to a customer; Grisha listens in by ChanSpy (*3332003) for 1.5 s."""
    call, _ = await connected(stage)
    spy = stage.phones["desk-grisha"].call("*3332003")
    await stage.talk(spy, 1.5)
    spy.bye()
    await trio.sleep(0.5)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003"], answered_by="2003", ring=0.5, talk=3.5,
                parts={"2003": "completed"}),
        internal("completed", "2004", "*3332003", first={"Channel": "PJSIP/desk-grisha-", "Exten": "*3332003"},
                 recorded=False, note="listening in: no part of the customer's call"),
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_sent_to_voicemail(stage: Stage) -> list[Truth]:
    """Vera sends the customer to Anna's voice mailbox (REFER to *2001); they talk 4 s to it."""
    call, vera = await connected(stage)
    vera.refer("*2001")
    await trio.sleep(5)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003"], answered_by="2003", ring=0.5, talk=1.5,
                transfers=[transfer("blind", "2003", "*2001", answered=False)], final_agent="2003",
                parts={"2003": "transferred"}, note="no person at the other end of the transfer")
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_sent_to_menu(stage: Stage) -> list[Truth]:
    """Vera sends the customer into the menu (REFER to 8001); they press 1; Anna answers on their desk phone."""
    call, vera = await connected(stage)
    vera.refer("8001")
    await trio.sleep(1.5)
    stage.plan("sip-anna", answer_after=1)
    await call.dtmf("1")
    await stage.taken("sip-anna")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2001"], answered_by="2003", ring=0.5, talk=3.5,
                final_agent="2001", transfers=[transfer("blind", "2003", "8001")],
                parts={"2003": "transferred", "2001": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_redirected_to_queue(stage: Stage) -> list[Truth]:
    """A panel sends the customer from Vera to queue 402 by Action: Redirect; Dina answers."""
    call, _ = await connected(stage)
    stage.plan("2005", answer_after=1)
    await stage.rec.action(
        "Redirect", Channel=stage.channel("PJSIP/provider-1-"), Context="from-internal", Exten="402", Priority="1"
    )
    await stage.taken("2005")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, queue="402", rang=["2003", "2005"], answered_by="2003", ring=0.5,
                talk=3.5, final_agent="2005", transfers=[transfer("redirect", "2003", "402")],
                parts={"2003": "transferred", "2005": "completed"})
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_asked_mobile_by_feature(stage: Stage) -> list[Truth]:
    """Vera asks a mobile by *2 (9 and the number), hangs up to complete."""
    call, vera = await connected(stage)
    stage.plan("trunk", answer_after=1)
    await dial_code(vera, "*2", "9" + MOBILE)
    await stage.taken("trunk")
    await trio.sleep(1)
    vera.bye()
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", MOBILE], answered_by="2003", ring=0.5, talk=3.5,
                final_agent=MOBILE, transfers=[transfer("attended", "2003", MOBILE)], parts={"2003": "transferred"})
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_recalled(stage: Stage) -> list[Truth]:
    """Vera asks Grisha by *2, hangs up while that rings; no answer in 6 s; Asterisk rings Vera, who answers."""
    call, vera = await connected(stage)
    stage.phones["2003"].forget()
    stage.plan("2003", answer_after=1)
    await dial_code(vera, "*2", "2004")
    await stage.rung("desk-grisha")
    await trio.sleep(1)
    vera.bye()
    await stage.taken("2003")
    await trio.sleep(2)
    call.bye()
    return [
        inbound("completed", "4956660003", CLIENT, rang=["2003", "2004"], answered_by="2003", ring=0.5, talk=3.5,
                final_agent="2003", transfers=[transfer("attended", "2003", "2004", answered=False)],
                parts={"2003": "completed", "2004": "no-answer"}, note="blond, not answered, returned")
    ]  # fmt: skip


@scenario(profile="office")
async def rarely_second_provider_calls_in(stage: Stage) -> list[Truth]:
    """A customer who hides their number comes in over the second provider; Anna answers on their desk phone."""
    stage.plan("sip-anna", answer_after=1, bye_after=2)
    call = stage.phones["trunk-2"].call(DID, from_user="anonymous", from_name="Anonymous")
    await stage.over(call)
    return [
        inbound("completed", DID, "anonymous", rang=["2001"], answered_by="2001", ring=1, talk=2,
                parts={"2001": "completed"})
    ]  # fmt: skip
