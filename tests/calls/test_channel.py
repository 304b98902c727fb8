"""What a channel, a leg and a bridge show of themselves."""

from __future__ import annotations

import pytest

from tests.calls.pieces import bridged, call, channel, dial, hung_up, line, pair, phone
from uac_trio.calls.channel import Channel, Moved


@pytest.mark.parametrize(
    ("one", "is_person", "is_line", "extension", "party"),
    [
        (phone("1.1", "101"), True, False, "101", "101"),
        (line("1.1", number="+79161234567"), True, True, "", "+79161234567"),
        (channel("1.1", "Local/101@queue-01;1"), False, False, "", ""),
    ],
)
def test_who_is_behind_it(one: Channel, is_person: bool, is_line: bool, extension: str, party: str) -> None:
    """An employee's device, a line to the outside, or no person at all."""
    assert (one.is_person, one.is_line, one.extension, one.party) == (is_person, is_line, extension, party)


def test_the_number_of_a_dialled_line() -> None:
    """What was dialled there, whatever CallerID it showed first."""
    one = line("1.2", number="4951000101")
    leg = dial(None, one)
    leg.number = "+79161234567"
    assert one.party == leg.party == "+79161234567"


def test_its_life() -> None:
    """It lives until its Hangup; its own end may have asked for that."""
    one = line("1.1")
    assert (one.is_live, one.has_hung_up) == (True, False)
    hung_up(one, 4.0, by_itself=True)
    assert (one.is_live, one.has_hung_up) == (False, True)


def test_where_it_was() -> None:
    """A channel that came over from another call knows which, and when."""
    one, before = line("1.1"), call("0.1")
    assert (one.home, one.joined_at) == (None, 0.0)
    one.moved = Moved(before, 3.0)
    assert (one.home, one.joined_at) == (before, 3.0)


def test_bridge_mates() -> None:
    """Itself included; none without a bridge."""
    one, other = line("1.1"), phone("1.2", "101")
    assert list(one.bridge_mates) == []
    bridged(one, other)
    assert list(one.bridge_mates) == [one, other]
    assert not one.is_waiting_agent
    bridged(other, kind="agent_hold")
    assert other.is_waiting_agent


def test_the_chain_of_a_leg() -> None:
    """Through Local channels to the outermost leg; a circle ends."""
    of = call()
    caller = line("1.1", of)
    first, second = pair("1.2", "1.3", of)
    outer = dial(caller, first)
    inner = dial(second, phone("1.4", "101", of))
    assert inner.chain == [inner, outer]
    assert outer.chain == [outer]
    outer.caller = second
    assert outer.chain == [outer]


@pytest.mark.parametrize(
    ("status", "is_up", "is_connected", "is_over", "is_undecided"),
    [
        ("", False, False, False, False),
        ("", True, False, False, True),
        ("ANSWER", False, False, False, True),
        ("ANSWER", True, True, False, False),
        ("BUSY", True, False, False, False),
        ("ANSWER", True, False, True, False),
    ],
)
def test_an_undecided_leg(status: str, is_up: bool, is_connected: bool, is_over: bool, is_undecided: bool) -> None:
    """Picked up, not refused, not over, and its user hears no one yet."""
    leg = dial(None, phone("1.2", "101"))
    leg.status = status
    leg.channel.up_at = 1.0 if is_up else None
    leg.connected_at = 2.0 if is_connected else None
    if is_over:
        hung_up(leg.channel, 3.0)
    assert leg.is_undecided is is_undecided


@pytest.mark.parametrize(("dial_string", "is_of_queue"), [("PJSIP/101", True), ("101", False), ("", False)])
def test_a_leg_of_a_queue(dial_string: str, is_of_queue: bool) -> None:
    """Queue() names the member's interface with its technology."""
    assert dial(None, phone("1.2", "101"), dial_string).is_of_queue is is_of_queue
