"""Dial attempts: begun, rung, picked up, refused."""

from __future__ import annotations

import math

import pytest

from tests.calls.pieces import call, change, channel, line, phone
from uac_trio.calls.channel import Channel
from uac_trio.calls.channel_events import ChannelState
from uac_trio.calls.endpoint import EndpointClassifier, Evidence, Identity
from uac_trio.calls.hearing import Hearing
from uac_trio.calls.legs import Legs
from uac_trio.calls.rules import TrackerRules


@pytest.fixture
def legs() -> Legs:
    return Legs(EndpointClassifier(TrackerRules()), Hearing())


@pytest.fixture
def caller() -> Channel:
    return line("1.1", call())


def test_a_leg_begins(legs: Legs, caller: Channel) -> None:
    """Once; what is known later completes it."""
    dialled, now = phone("1.2", "101", caller.call), change(5.0)
    leg = legs.begin(dialled, None, "", now)
    assert (leg.caller, leg.dial_string, leg.began_at, now.legs) == (None, "", 5.0, [leg])
    later = change(6.0)
    assert legs.begin(dialled, caller, "101", later) is leg
    assert (leg.caller, leg.dial_string, leg.began_at, later.legs) == (caller, "101", 5.0, [])
    assert list(caller.dialled) == [leg]
    assert list(caller.call.legs) == [leg]
    assert legs.begin(dialled, phone("1.9", "109", caller.call), "109", later).caller is caller
    assert leg.dial_string == "101"


def test_a_leg_to_a_local_channel(legs: Legs, caller: Channel) -> None:
    """No person is behind it, so it is no leg of the call's."""
    half, now = channel("1.2", "Local/101@q-01;1", caller.call), change()
    legs.begin(half, caller, "101@q", now)
    assert half.leg is not None
    assert (now.legs, list(caller.call.legs)) == ([], [])
    assert half in now.channels


def test_the_outside_comes_in(legs: Legs, caller: Channel) -> None:
    """With the first leg to a line the call has an outside party, which concerns all of its people."""
    own = phone("1.2", "101", caller.call)
    dialled, now = line("1.3", caller.call), change()
    leg = legs.begin(dialled, own, "trunk/+79161234567", now)
    assert leg.number == "+79161234567"
    assert caller.call.has_met_line
    assert set(now.channels) == {caller, own, dialled}
    later = change()
    legs.begin(line("1.4", caller.call), own, "+74950000000@trunk", later)
    assert len(later.channels) == 1


def test_an_employee_s_mobile(legs: Legs, caller: Channel) -> None:
    """It has a number, and is an employee's phone: no outside party."""
    mobile = line("1.3", caller.call, number="+79160000001")
    mobile.identity = Identity("101", Evidence.MOBILES)
    leg = legs.begin(mobile, caller, "", change())
    assert leg.number == "+79160000001"
    assert not caller.call.has_met_line


@pytest.mark.parametrize(("rang_first", "dial_string", "reported"), [
    (True, "101", True),
    (False, "101", False),
    (True, "", False),
])  # fmt: skip
def test_a_ring_and_what_was_dialled(
    legs: Legs, caller: Channel, rang_first: bool, dial_string: str, reported: bool
) -> None:
    """Reported once both are known: chan_iax2 rings before its DialBegin."""
    dialled = phone("1.2", "101", caller.call)
    if rang_first:
        dialled.rang_at = 4.0
    now = change(5.0)
    leg = legs.begin(dialled, caller, dial_string, now)
    assert (now.rang == [leg]) is reported
    assert leg.rang_at == (4.0 if rang_first else None)
    if not rang_first:
        legs.ring(dialled, now)
        assert (now.rang, leg.rang_at) == ([leg], 5.0)


def test_a_ring_that_counts(legs: Legs, caller: Channel) -> None:
    """The first ring counts, and none after the end of the attempt."""
    dialled, over = phone("1.2", "101", caller.call), phone("1.3", "102", caller.call)
    leg, late = legs.begin(dialled, caller, "101", change()), legs.begin(over, caller, "102", change())
    late.ended_at = 6.0
    for at in (7.0, 8.0):
        legs.ring(dialled, change(at))
        legs.ring(over, change(at))
    assert (leg.rang_at, dialled.rang_at, late.rang_at) == (7.0, 7.0, None)


@pytest.mark.parametrize(
    ("name", "linkedid", "has_leg"),
    [
        ("PJSIP/101-01", "1.1", True),
        ("PJSIP/101-01", "", False),
        ("PJSIP/101-01", "1.2", False),
        ("Local/1@q-01;1", "1.1", False),
    ],
)
def test_a_ring_without_a_dial(legs: Legs, name: str, linkedid: str, has_leg: bool) -> None:
    """A device that rings in another's call was dialled, though no event shows by whom."""
    dialled = channel("1.2", name, call(), linkedid=linkedid)
    legs.ring(dialled, change())
    assert (dialled.leg is not None) is has_leg


def test_states(legs: Legs, caller: Channel) -> None:
    """Ringing rings, Up picks up: the first time counts, and other states only touch the channel."""
    dialled = phone("1.2", "101", caller.call)
    leg = legs.begin(dialled, caller, "101", change())
    now = change(5.0)
    legs.enter_state(dialled, ChannelState.DIALING, now)
    assert (leg.rang_at, dialled.up_at, dialled in now.channels) == (None, None, True)
    legs.enter_state(dialled, ChannelState.RINGING, change(6.0))
    for at in (7.0, 8.0):
        legs.enter_state(dialled, ChannelState.UP, change(at))
    assert (leg.rang_at, dialled.up_at) == (6.0, 7.0)
    assert caller.call.legs.is_picked_up(leg)


def test_a_phone_that_was_up_before_its_dial(legs: Legs, caller: Channel) -> None:
    """The leg is picked up from the beginning."""
    dialled = phone("1.2", "101", caller.call)
    dialled.up_at = 4.0
    leg = legs.begin(dialled, caller, "101", change())
    assert caller.call.legs.is_picked_up(leg)


@pytest.mark.parametrize(
    ("statuses", "is_connected", "status", "ended_at"),
    [
        (["BUSY"], False, "BUSY", 6.0),
        (["BUSY", "NOANSWER"], False, "BUSY", 6.0),  # a Queue repeats it
        (["ANSWER", "ANSWER"], False, "ANSWER", 6.0),
        (["ANSWER", "BUSY"], False, "BUSY", 7.0),  # picked up, and declined
        (["ANSWER", "BUSY"], True, "", None),
    ],
)
def test_dial_statuses(
    legs: Legs, caller: Channel, statuses: list[str], is_connected: bool, status: str, ended_at: float | None
) -> None:
    """The first refusal counts, and takes back an ANSWER that no conversation followed."""
    dialled = phone("1.2", "101", caller.call)
    leg = legs.begin(dialled, caller, "101", change())
    leg.connected_at = 5.0 if is_connected else None
    for at, each in enumerate(statuses, start=6):
        legs.refuse_or_answer(leg, caller, each, change(at))
    assert (leg.status, leg.ended_at) == (status, ended_at)
    assert caller.call.legs.is_picked_up(leg) is ("ANSWER" in statuses and not is_connected)


def test_another_caller_answers(legs: Legs, caller: Channel) -> None:
    """A pickup or a blond transfer: another than began it is connected. A bridge is awaited."""
    dialled, other = phone("1.2", "101", caller.call), line("1.3", caller.call)
    leg = legs.begin(dialled, caller, "101", change())
    legs.refuse_or_answer(leg, other, "ANSWER", change(6.0))
    assert leg.caller is other
    assert leg in other.dialled
    assert legs._hearing.bridge_due < math.inf


def test_what_was_learned_since(legs: Legs, caller: Channel) -> None:
    """Another identity makes a leg one to a line, or none any more."""
    dialled = phone("1.2", "101", caller.call)
    leg = legs.begin(dialled, caller, "101/+79161234567", change())
    legs.identify(dialled, dialled.identity)
    caller.call.has_met_line = False
    legs.identify(dialled, Identity("", Evidence.CALLS_IN))
    assert (dialled.extension, leg.number, caller.call.has_met_line) == ("", "+79161234567", True)
