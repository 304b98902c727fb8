"""Employees' mobiles: forwards, 302, *72, follow-me, with and without ``mobiles``; and phones that refuse at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from tests.calls.confirming import Confirmed
from tests.calls.wire import CUSTOMER, DID, Chan, Office, Wire
from uac_trio.calls.rules import TrackerRules

MOBILE = "89261234567"
WITH = TrackerRules(mobiles={"+7 926 123-45-67": "101"}, unreached="109")
WITHOUT = TrackerRules(unreached="109")

Way = Literal["forward", "forward through Local", "302", "302 through Local", "after no answer"]
WAYS: tuple[Way, ...] = ("forward", "forward through Local", "302", "302 through Local", "after no answer")
RULES = pytest.mark.parametrize("rules", [pytest.param(WITH, id="mobiles"), pytest.param(WITHOUT, id="without")])


def forwarded(wire: Wire, customer: Chan, way: Way) -> tuple[Chan, list[Chan]]:
    """A call for 101 goes to the mobile. Returns the line, and the halves of the Local channel between."""
    if way == "after no answer":
        desk = wire.dial(customer, wire.phone("101", customer))
        wire.rings(desk)
        wire.wait(10.0)
        wire.gives_up(customer, desk, status="NOANSWER")
    if not way.endswith("Local"):
        return direct(wire, customer, way), []
    desk_phone = wire.dial(customer, wire.phone("101", customer)) if way.startswith("302") else None
    first, second = wire.local(f"9{MOBILE}", of=customer)
    wire.shows(second, CUSTOMER)
    if desk_phone is not None:
        wire.ask_hangup(desk_phone, 23)
        wire.dial_ends(customer, desk_phone, "CANCEL", forward=f"Local/9{MOBILE}@from-internal")
    wire.dial(customer, first, f"9{MOBILE}@from-internal")
    if desk_phone is not None:
        wire.hang_up(desk_phone, cause=23)
    return wire.dials_out(second, MOBILE), [second, first]


def direct(wire: Wire, customer: Chan, way: Way) -> Chan:
    if way != "302":
        return wire.dials_out(customer, MOBILE)
    desk = wire.dial(customer, wire.phone("101", customer))
    wire.ask_hangup(desk, 23)
    line = wire.line(customer)
    wire.dial_ends(customer, desk, "CANCEL", forward=f"PJSIP/{MOBILE}@trunk")
    wire.dial(customer, line, f"{MOBILE}@trunk")
    wire.hang_up(desk, cause=23)
    return line


def rings_for(wire: Wire, line: Chan, halves: list[Chan], secs: float) -> None:
    wire.rings(line, *halves[1:])
    wire.wait(secs)


@RULES
@pytest.mark.parametrize("way", WAYS)
def test_a_mobile_that_answers(office: Office, way: Way, rules: TrackerRules) -> None:
    """The employee talked; without the setting, an outside number did."""
    wire = office.wire(rules)
    customer = wire.calls_in()
    line, halves = forwarded(wire, customer, way)
    rings_for(wire, line, halves, 3.0)
    wire.up(line)
    if halves:
        second, first = halves
        wire.dial_ends(second, line, "ANSWER")
        wire.up(second, first)
        wire.dial_ends(customer, first, "ANSWER")
        wire.bridge(line, second)
        wire.up(customer)
        wire.bridge(first, customer)
    else:
        wire.answers(customer, line)
    wire.wait(5.0)
    wire.talk_ends(customer, line, *halves)
    story = wire.story()
    who = "101" if rules is WITH else MOBILE
    story.shows(direction="inbound", customer=CUSTOMER, status="completed", answered_by=who, talk_secs=5.0)
    desk = [("101", "no-answer")] if way == "after no answer" else []
    owner = [("109", "completed")] if not desk and rules is WITHOUT else []
    assert story.ended == [*desk, *([("101", "completed")] if rules is WITH else owner)]
    assert {customer for _, _, customer in story.began} == {CUSTOMER}
    assert [transfer for call in story.calls for transfer in call["transfers"]] == []


REFUSALS = [
    pytest.param("BUSY", 17, False, "busy", id="busy at once"),
    pytest.param("BUSY", 17, True, "busy", id="busy after ringing"),
    pytest.param("NOANSWER", 0, True, "no-answer", id="away"),
    pytest.param("CHANUNAVAIL", 20, False, "failed", id="switched off"),
    pytest.param("CANCEL", 0, True, "cancelled", id="customer leaves"),
]


@RULES
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("status", "cause", "rings", "outcome"), REFUSALS)
def test_a_mobile_that_does_not_answer(
    office: Office, way: Way, rules: TrackerRules, status: str, cause: int, rings: bool, outcome: str
) -> None:
    """A missed call of the employee; without the setting, of who owns calls that reach no employee."""
    wire = office.wire(rules)
    customer = wire.calls_in()
    line, halves = forwarded(wire, customer, way)
    if rings:
        rings_for(wire, line, halves, 3.0)
    wire.ask_hangup(customer if status == "CANCEL" else line, cause)
    if status == "NOANSWER":
        wire.wait(5.0)
    if halves:
        second, first = halves
        wire.gives_up(second, line, status=status, cause=cause)
        wire.dial_ends(customer, first, status)
        wire.hang_up(second, first, cause=cause)
    else:
        wire.gives_up(customer, line, status=status, cause=cause)
    wire.hang_up(customer, cause=cause)
    story = wire.story()
    desk = [("101", "no-answer")] if way == "after no answer" else []
    is_second_ring = bool(desk) and not rings  # who saw it ring before has that row already
    own = [] if is_second_ring else [("101", outcome)]
    assert story.ended == [*desk, *(own if rules is WITH else [] if desk else [("109", outcome)])]
    (call,) = story.calls
    assert (call["direction"], call["answered_by"], call["recording"]) == ("inbound", None, None)
    if not desk:
        assert call["status"] == outcome


@RULES
@pytest.mark.parametrize("takes", ["desk", "mobile"])
def test_follow_me_rings_desk_and_mobile(office: Office, rules: TrackerRules, takes: str) -> None:
    """Both are the employee's: one row. Without the setting, another answered when the mobile did."""
    wire = office.wire(rules)
    customer = wire.calls_in()
    desk, mobile = Confirmed(wire, customer, "101"), Confirmed(wire, customer, "101", number=MOBILE)
    desk.rings()
    wire.wait(1.0)
    mobile.rings()
    wire.wait(3.0)
    winner, loser = (desk, mobile) if takes == "desk" else (mobile, desk)
    winner.picks_up()
    winner.confirms()
    wire.gives_up(customer, loser.first, cause=26)
    wire.gives_up(loser.second, loser.phone, cause=26)
    loser.ends()
    wire.wait(5.0)
    wire.talk_ends(customer)
    winner.ends()
    story = wire.story()
    is_employee = takes == "desk" or rules is WITH
    story.shows(status="completed", answered_by="101" if is_employee else MOBILE, ring_secs=4.0, talk_secs=5.0)
    assert story.ended == [("101", "completed" if is_employee else "answered-elsewhere")]
    assert story.began == [("101", "callee", CUSTOMER)]


@RULES
@pytest.mark.parametrize("app", ["Dial", "FollowMe"])
def test_the_mobiles_voicemail_takes_the_call(
    office: Office, rules: TrackerRules, app: Literal["Dial", "FollowMe"]
) -> None:
    """No key is pressed: the employee missed the call, though a machine of theirs answered."""
    wire = office.wire(rules)
    customer = wire.calls_in()
    mobile = Confirmed(wire, customer, "101", number=MOBILE)
    mobile.rings()
    wire.wait(4.0)
    mobile.picks_up(app)
    wire.wait(15.0)
    wire.dial_ends(customer, mobile.first, "NOANSWER")
    wire.ask_hangup(mobile.second)
    mobile.ends()
    wire.hang_up(customer)
    story = wire.story()
    story.shows(status="no-answer", answered_by=None, ring_secs=4.0, talk_secs=None)
    assert story.ended == [("101" if rules is WITH else "109", "no-answer")]


# ---- an employee's mobile that calls in


def calls_from_mobile(wire: Wire) -> Chan:
    return wire.calls_in("+79261234567")


def test_a_mobile_that_calls_a_colleague(office: Office) -> None:
    """A call between employees."""
    wire = office.wire(TrackerRules(mobiles={MOBILE: "101"}, internal="report", unreached="109"))
    caller = calls_from_mobile(wire)
    phone = wire.dial(caller, wire.phone("102", caller))
    wire.rings(phone)
    wire.wait(2.0)
    wire.answers(caller, phone)
    wire.wait(5.0)
    wire.talk_ends(caller, phone)
    story = wire.story()
    story.shows(direction="internal", customer=None, caller="101", called=DID, answered_by="102", talk_secs=5.0)
    assert sorted(story.ended) == [("101", "completed"), ("102", "completed")]


def test_a_mobile_that_calls_a_customer_through_the_pbx(office: Office) -> None:
    """DISA: the employee's outbound call, by the number that was dialled there."""
    wire = office.wire(WITH)
    caller = calls_from_mobile(wire)
    wire.up(caller)
    wire.wait(10.0)
    line = wire.dials_out(caller)
    wire.rings(line)
    wire.wait(2.0)
    wire.answers(caller, line)
    wire.wait(5.0)
    wire.talk_ends(caller, line)
    story = wire.story()
    story.shows(direction="outbound", customer=CUSTOMER, caller="101", answered_by=CUSTOMER, parts={"101": "completed"})
    assert story.began == [("101", "caller", CUSTOMER)]


def test_a_mobile_that_reaches_no_one(office: Office) -> None:
    """An employee's mobile is no customer to call back."""
    wire = office.wire(WITH)
    caller = calls_from_mobile(wire)
    wire.joins_queue(caller)
    wire.wait(10.0)
    wire.ask_hangup(caller)
    wire.leaves_queue(caller)
    wire.hang_up(caller)
    assert wire.story().began == []


# ---- a phone that refuses at once

Refusal = Callable[[Wire, Chan], None]


def busy_phone(wire: Wire, customer: Chan) -> None:
    """DND of the phone itself: 486."""
    phone = wire.dial(customer, wire.phone("101", customer))
    wire.ask_hangup(phone, 17)
    wire.gives_up(customer, phone, status="BUSY", cause=17)
    wire.hang_up(customer, cause=17)


def busy_dialplan(wire: Wire, customer: Chan) -> None:
    """DND by *78: Busy() without any Dial (main/pbx_builtins.c sets the state)."""
    wire.enter_state(customer, 7)
    wire.hang_up(customer, cause=17)


def congestion(wire: Wire, customer: Chan) -> None:
    wire.hang_up(customer, cause=34)


@pytest.mark.parametrize(
    ("happens", "status", "ended"),
    [
        pytest.param(busy_phone, "busy", [("101", "busy")], id="phone"),
        pytest.param(busy_dialplan, "busy", [("102", "busy")], id="dialplan"),
        pytest.param(congestion, "failed", [("102", "failed")], id="congestion"),
    ],
)
def test_do_not_disturb(office: Office, happens: Refusal, status: str, ended: list[tuple[str, str]]) -> None:
    """A row of the employee whose phone refused; where none was tried, of who owns the number (``unreached_by``)."""
    wire = office.wire(TrackerRules(unreached="109", unreached_by={DID: "102", "4951000999": "103"}))
    customer = wire.calls_in()
    wire.wait(1.0)
    happens(wire, customer)
    story = wire.story()
    story.shows(direction="inbound", customer=CUSTOMER, did=DID, status=status, answered_by=None, recording=None)
    assert story.ended == ended
    assert story.began == [(ended[0][0], "callee", CUSTOMER)]
