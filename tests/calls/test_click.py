"""The outcome of a click, in a word and in words: every recorded end, and those that no recording shows."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.calls.scenes import event, list_channels
from tests.calls.streams import due, names, recorded, records_of, run
from tests.recorded import NAMES, rules_of, truth_of
from uac_trio.ami.message import Event
from uac_trio.calls.call import ClickOrder, Direction
from uac_trio.calls.click import OUTCOMES
from uac_trio.calls.fact import CallEnded, ClickFailed, Fact, ParticipationBegan
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import ORDER_LASTS, CallTracker

SAID = {
    "click_who_sees_what": ("completed", "the customer answered; they talked 1 s"),
    "click_as_if_dialled": ("completed", "the customer answered; they talked 1 s"),
    "click_colleague": ("completed", "the colleague answered; they talked 1 s"),
    "click_then_blind_transfer": ("transferred", "the customer answered and was transferred; 3 s of talk in all"),
    "click_then_attended_transfer": ("transferred", "the customer answered and was transferred; 3 s of talk in all"),
    "click_phone_off": (
        "employee-unreachable",
        "the employee's phone could not be called; is it registered, and is there such a device?",
    ),
    "click_employee_no_answer": ("employee-no-answer", "the employee did not answer within 5 s"),
    "click_employee_busy": ("employee-busy", "the employee's phone was busy"),
    "click_employee_cancels": ("employee-rejected", "the employee rejected the call"),
    "click_employee_gives_up": ("employee-hung-up", "the employee hung up before the customer answered"),
    "click_customer_busy": ("customer-busy", "the customer was busy"),
    "click_customer_rejects": ("customer-rejected", "the customer rejected the call"),
    "click_customer_no_answer": ("customer-no-answer", "the customer did not answer within 8 s"),
    "click_customer_invalid": (
        "customer-invalid-number",
        "the customer could not be reached: the number does not exist (cause 1)",
    ),
    "office_click_who_sees_what": ("completed", "the customer answered; they talked 2 s"),
    "office_click_answered_at_once": ("completed", "the customer answered; they talked 1 s"),
    "office_click_nobody": ("employee-no-answer", "the employee did not answer within 5 s"),
    "office_click_busy": ("employee-busy", "the employee's phone was busy"),
    "office_click_cancelled": ("employee-rejected", "the employee rejected the call"),
    "office_click_gives_up": ("employee-hung-up", "the employee hung up before the customer answered"),
    "office_click_customer_invalid": (
        "customer-invalid-number",
        "the customer could not be reached: the number does not exist (cause 1)",
    ),
    "office_click_customer_busy": ("customer-busy", "the customer was busy"),
    "office_click_then_blind_transfer": (
        "transferred",
        "the customer answered and was transferred; 3 s of talk in all",
    ),
}
CLICKS = [name for name in NAMES if name.rpartition("/")[2] in SAID]
ID = "uac-1764000000-3f9a2b7c"
RULES = TrackerRules(outside_prefix="9")


def ended(facts: list[Fact]) -> dict[str, Any]:
    """The record of the one call there was."""
    (record,) = [fact.summary.as_json() for fact in facts if isinstance(fact, CallEnded)]
    return dict(record)


def test_every_end_is_recorded_from_both() -> None:
    """Each scenario of clicks was recorded from Asterisk 16 and 22."""
    assert sorted(name.rpartition("/")[2] for name in CLICKS) == sorted([*SAID, *SAID])


@pytest.mark.parametrize("name", CLICKS)
def test_recorded_end(name: str) -> None:
    """A click is one call, announced once to the employee who clicked, and its record has the outcome."""
    facts = run(recorded(name), RULES)
    (record,) = [one for one in records_of(facts).values() if "click2call" in one]
    click = record["click2call"]
    assert (click["outcome"], click["words"]) == SAID[name.rpartition("/")[2]]
    assert json.dumps(click)
    began = [fact for fact in facts if isinstance(fact, ParticipationBegan) and fact.call_id == record["call_id"]]
    assert [fact.extension for fact in began if fact.role is Role.CALLER] == (
        [] if click["outcome"] == "employee-unreachable" else [record["caller"]]
    )
    assert [fact.direction for fact in began if fact.direction is Direction.INBOUND] == []


@pytest.mark.parametrize("name", CLICKS)
def test_failure_is_known_at_once(name: str) -> None:
    """Of a click that came to nothing, once, with its end and the same outcome; of one that led to a talk never."""
    facts = run(recorded(name), RULES)
    (ended,) = [fact for fact in facts if isinstance(fact, CallEnded) and fact.summary.click is not None]
    assert ended.summary.click is not None
    outcome = ended.summary.click.outcome
    failed = [fact for fact in facts if isinstance(fact, ClickFailed)]
    if outcome in ("completed", "transferred"):
        assert failed == []
    else:
        (fact,) = failed
        assert (fact.call_id, fact.extension, fact.outcome) == (ended.call_id, ended.summary.caller, outcome)
        assert fact.at - ended.ended_at < 0.01


@pytest.mark.parametrize("name", CLICKS)
def test_popup_before_the_employee_answers(name: str) -> None:
    """The participation begins as soon as the employee's phone rings: the customer is known from what it shows."""
    events = recorded(name)
    rung = next((at for at, one in events if one.name == "Newstate" and one.get("ChannelState") == "5"), None)
    began = [fact for fact in run(events, RULES) if isinstance(fact, ParticipationBegan)]
    if rung is not None and "colleague" not in name:
        assert began[0].at - rung < 0.2


def order(name: str, employee: str, number: str) -> ClickOrder:
    """The order of a recorded click, whose first channel is the first that was made."""
    first = next(one for _, one in recorded(name) if one.name == "Newchannel")
    return ClickOrder(first.get("Uniqueid"), employee, number, first.get("Channel").rpartition("-")[0])


def ordered(name: str, click: ClickOrder) -> list[Fact]:
    """The facts of a recorded click that was ordered before."""
    tracker = CallTracker("main", rules_of(name))
    tracker.ordered(click, recorded(name)[0][0])
    return [fact for at, one in recorded(name) for fact in (*due(tracker, at), *tracker.process(one, at))] + due(
        tracker, recorded(name)[-1][0] + 5.0
    )


@pytest.mark.parametrize("name", [name for name in CLICKS if not name.endswith("phone_off")])
def test_an_order_changes_nothing_that_events_show(name: str) -> None:
    """What is concluded of a click from its events alone is what was ordered."""
    truth = next(one for one in truth_of(name) if one["linkedid"].startswith("uac-"))
    facts = ordered(name, order(name, truth["caller"], truth["customer"] or truth["called"]))
    assert records_of(facts) == records_of(run(recorded(name), rules_of(name)))
    click = f"main-{truth['linkedid']}"
    began = [fact for fact in facts if isinstance(fact, ParticipationBegan) and fact.call_id == click]
    began = [fact for fact in began if fact.role is Role.CALLER]
    assert [(fact.extension, fact.customer) for fact in began] == [
        (truth["caller"], truth["customer"] or truth["called"])
    ]


def test_phone_of_a_click_that_is_forwarded_to_a_colleague() -> None:
    """2003 clicks, and their phone sends the call to 2004's desk (302): the call is that of 2003, who ordered it."""
    name = "cases/click_forwarded_desk"
    facts = ordered(name, order(name, "2003", "+79161234567"))
    record = ended(facts)
    assert (record["direction"], record["caller"], record["customer"]) == ("outbound", "2003", "+79161234567")
    assert [(part["extension"], part["outcome"]) for part in record["participations"]] == [("2003", "busy")]
    began = [fact for fact in facts if isinstance(fact, ParticipationBegan)]
    assert [(fact.extension, fact.role, fact.customer) for fact in began] == [("2003", Role.CALLER, "+79161234567")]


def test_customer_of_an_order_is_known_when_no_phone_shows_them() -> None:
    """The employee's phone shows the company's own name; what was ordered is the customer all the same."""
    events = [
        (at, Event(tuple((key, "Romashka" if "ConnectedLine" in key else value) for key, value in one.headers)))
        for at, one in recorded("asterisk22/click_customer_busy")
    ]
    tracker = CallTracker("main")
    tracker.ordered(order("asterisk22/click_customer_busy", "101", "+79161234567"), events[0][0])
    until_it_rings = [fact for at, one in events[:10] for fact in tracker.process(one, at)]
    assert [fact.customer for fact in until_it_rings if isinstance(fact, ParticipationBegan)] == ["+79161234567"]


def test_failed_order_without_a_channel() -> None:
    """OriginateResponse names a group of lines, the order who clicked, on which number."""
    tracker = CallTracker("main")
    tracker.ordered(ClickOrder(ID, "104", "+79161234567"), 99.0)
    (at_once,) = tracker.process(failed("0", "DAHDI/g1", exten="89161234567"), 100.0)
    assert isinstance(at_once, ClickFailed)
    assert (at_once.extension, at_once.outcome) == ("104", "employee-unreachable")
    record = ended(due(tracker, 102.0))
    assert (record["caller"], record["customer"], record["status"]) == ("104", "+79161234567", "failed")
    assert not tracker.graph.orders


def test_order_of_which_no_channel_appears() -> None:
    """It is no call: nothing is emitted, nothing counts as live, and after a while it is forgotten."""
    tracker = CallTracker("main")
    tracker.ordered(ClickOrder(ID, "101", "+79161234567"), 100.0)
    assert (tracker.calls, tracker.live_calls()) == ({}, [])
    assert tracker.next_deadline == 100.0 + ORDER_LASTS
    assert due(tracker, 100.0 + ORDER_LASTS) == []
    assert not tracker.graph.orders
    assert tracker.next_deadline == math.inf


def test_order_that_is_refused() -> None:
    """Error response: it is forgotten at once; of another order the refusal says nothing."""
    tracker = CallTracker("main")
    tracker.ordered(ClickOrder("uac-1", "101", "102"), 100.0)
    tracker.ordered(ClickOrder("uac-2", "101", "103"), 100.0)
    tracker.order_refused("uac-1")
    tracker.order_refused("uac-0")
    assert "uac-2" in tracker.graph.orders
    assert len(tracker.graph.orders) == 1


@pytest.mark.parametrize("name", [*names("asterisk22", "click2call"), *names("asterisk22", "inbound_answered")])
def test_calls_of_others_have_none(name: str) -> None:
    """Only calls that we originated have the outcome of a click."""
    assert all("click2call" not in record for record in records_of(run(recorded(name))).values())


def failed(reason: str, channel: str = "PJSIP/101", exten: str = "9+79161234567", uniqueid: str = ID) -> Event:
    return event(
        "OriginateResponse", Response="Failure", Channel=channel, Exten=exten, Reason=reason, Uniqueid=uniqueid
    )


@pytest.mark.parametrize(
    ("response", "direction", "caller", "other", "words"),
    [
        (failed("0"), "outbound", "101", "+79161234567", "; is it registered, and is there such a device?"),
        (failed("8"), "outbound", "101", "+79161234567", ": congestion, or refused"),
        (failed("0", "SIP/sip-anna"), "outbound", "2001", "+79161234567", "; is it registered, and is there"),
        (failed("0", "Local/101@from-internal/n"), "outbound", "101", "+79161234567", "; is it registered"),
        (failed("0", exten="102"), "internal", "101", "102", "; is it registered"),
        (failed("0", "DAHDI/g1"), "outbound", None, "+79161234567", "; is it registered"),
    ],
)
def test_no_channel_was_ever_made(response: Event, direction: str, caller: str | None, other: str, words: str) -> None:
    """An unregistered phone makes no channel: the click is reported from OriginateResponse alone."""
    tracker = CallTracker("main", TrackerRules(outside_prefix="9", devices={"sip-anna": "2001"}))
    (at_once,) = tracker.process(response, 100.0)
    assert isinstance(at_once, ClickFailed)
    assert (at_once.extension, at_once.outcome) == (caller or "", "employee-unreachable")
    assert tracker.next_deadline == 102.0
    record = ended(due(tracker, 102.0))
    assert (record["call_id"], record["direction"], record["status"]) == (f"main-{ID}", direction, "failed")
    assert (record["caller"], record["customer"] or record["called"]) == (caller, other)
    assert record["click2call"]["outcome"] == "employee-unreachable"
    assert record["click2call"]["words"].startswith(f"the employee's phone could not be called{words}")
    assert tracker.graph.calls == {}
    assert tracker.process(response, 103.0) == []  # a second connection's copy
    assert due(tracker, 200.0) == []


def test_response_before_the_channel() -> None:
    """OriginateResponse goes past the other events and may come first: it is one call all the same."""
    busy = list(recorded("asterisk16/click_employee_busy"))
    response = next(one for one in busy if one[1].name == "OriginateResponse")
    first = next(i for i, one in enumerate(busy) if one[1].name == "Newchannel")
    busy.remove(response)
    busy.insert(first, (busy[first][0], response[1]))
    record = ended(run(busy))
    assert (record["status"], record["customer"]) == ("busy", "+79161234567")
    assert record["click2call"]["outcome"] == "employee-busy"


def test_failure_beside_another_click() -> None:
    """An order that fails while another click rings the same phone says nothing of that one."""
    tracker = CallTracker("main")
    for at, one in employee(answers=False):
        tracker.process(one, at)
    tracker.process(failed("5", uniqueid="uac-1764000001-00000000"), 2.0)
    (ringing,) = tracker.live_calls()
    assert (ringing.linkedid, ringing.click.failure) == (ID, None)
    assert ended(due(tracker, 10.0))["linkedid"] == "uac-1764000001-00000000"


def test_failures_of_others() -> None:
    """An Originate of another client without a channel is no call of ours."""
    tracker = CallTracker("main")
    assert tracker.process(failed("0", uniqueid="<unknown>"), 1.0) == []
    assert tracker.process(failed("0", uniqueid="crm-1"), 1.0) == []
    assert tracker.next_deadline == math.inf


def channel(state: int, **more: str) -> dict[str, str]:
    return {
        "Channel": "PJSIP/101-00000001", "Uniqueid": ID, "Linkedid": ID, "ChannelState": str(state),
        "CallerIDNum": "101", "ConnectedLineNum": "+79161234567", "Exten": "s", **more,
    }  # fmt: skip


def dest(state: int, **more: str) -> dict[str, str]:
    return {f"Dest{name}": value for name, value in channel(state).items()} | more


def employee(*, answers: bool) -> list[tuple[float, Event]]:
    """Their phone is called and rings; they answer, if they do."""
    events = [
        (1.0, event("Newchannel", **channel(0))),
        (1.1, event("DialBegin", **dest(0, DialString="101"))),
        (1.2, event("Newstate", **channel(5))),
    ]
    if answers:
        events += [(3.0, event("Newstate", **channel(6))), (3.1, event("DialEnd", **dest(6, DialStatus="ANSWER")))]
    return events


def click_of(events: list[tuple[float, Event]]) -> dict[str, Any]:
    click: dict[str, Any] = ended(run(events))["click2call"]
    assert click["outcome"] in OUTCOMES
    return click


def test_dialplan_that_dials_nothing() -> None:
    """The employee answered and the dialplan ended: the words say where to look."""
    click = click_of([*employee(answers=True), (4.0, event("Hangup", **channel(6, Cause="16")))])
    assert click["outcome"] == "not-dialled"
    assert "dialplan" in click["words"]


def test_employee_who_answers_and_hangs_up() -> None:
    """They hung up themselves before anything was dialled."""
    bye = (4.0, event("HangupRequest", **channel(6, Cause="16")))
    assert click_of([*employee(answers=True), bye, (4.1, event("Hangup", **channel(6, Cause="16")))]) == {
        "outcome": "employee-hung-up",
        "words": "the employee hung up before the number was dialled",
    }


def test_end_that_was_not_seen() -> None:
    """After a lost connection the click's call is not in the list of channels: its outcome is unknown."""
    tracker = CallTracker("main")
    for at, one in employee(answers=True):
        tracker.process(one, at)
    tracker.lost(4.0)
    tracker.connected(10.0)
    list_channels(tracker, [], 10.5)
    record = ended(due(tracker, 20.0))
    assert record["click2call"]["outcome"] == "unknown"


@pytest.mark.parametrize(
    ("cause", "outcome", "words"),
    [
        ("20", "employee-unreachable", "the phone is not registered (cause 20)"),
        ("34", "employee-unreachable", "no line is free (cause 34)"),
        ("99", "employee-no-answer", "the employee did not answer"),
    ],
)
def test_phone_that_cannot_be_reached(cause: str, outcome: str, words: str) -> None:
    """The cause of the hangup is shown in words where it means that the phone was not there."""
    events = employee(answers=False)[:2]
    events += [
        (1.3, event("HangupRequest", **channel(0, Cause=cause))),
        (1.3, event("DialEnd", **dest(0, DialStatus="NOANSWER"))),
        (1.4, event("Hangup", **channel(0, Cause=cause))),
    ]
    click = click_of(events)
    assert (click["outcome"], words in click["words"]) == (outcome, True)


def test_local_channel_that_leads_to_no_phone() -> None:
    """Originate of a Local channel whose dialplan calls no phone: the click is reported, by what was asked for."""
    half = {"Channel": "Local/101@from-internal-00000001;1", "Uniqueid": ID, "Linkedid": ID, "ChannelState": "0"}
    other = {**half, "Channel": "Local/101@from-internal-00000001;2", "Uniqueid": f"{ID};2"}
    events = [
        (1.0, event("Newchannel", **half)),
        (1.0, event("Newchannel", **other)),
        (1.1, event("DialBegin", **{f"Dest{name}": value for name, value in half.items()}, DialString="101")),
        (1.2, event("Hangup", **other, Cause="20")),
        (1.2, failed("0", "Local/101@from-internal")),
        (1.3, event("Hangup", **half, Cause="20")),
    ]
    record = ended(run(events, RULES))
    assert (record["direction"], record["caller"], record["customer"]) == ("outbound", "101", "+79161234567")
    assert record["click2call"] == {
        "outcome": "employee-unreachable",
        "words": "the employee's phone could not be called: the phone is not registered (cause 20)",
    }
