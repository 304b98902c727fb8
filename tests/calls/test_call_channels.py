"""The channels of one call."""

from __future__ import annotations

import pytest

from tests.calls.pieces import bridged, call, channel, hung_up, line, phone


def test_live_ones_and_those_that_were() -> None:
    """One that hung up is still the call's; a Cdr may follow."""
    of = call()
    first, second = line("1.1", of), phone("1.2", "101", of)
    hung_up(first, 4.0)
    hung_up(second, 3.0)
    assert (list(of.channels), len(of.channels), list(of.channels.live)) == ([first, second], 2, [])
    assert of.channels.latest is second
    assert of.channels.last_end(9.0) == 4.0
    assert call().channels.last_end(9.0) == 9.0


def test_people() -> None:
    """No person is behind a helper's channel."""
    of = call()
    first = line("1.1", of)
    channel("1.2", "Local/101@queue-01;1", of)
    assert of.channels.people == [first]


def test_idle_agents() -> None:
    """A call of which only waiting agents are left is idle, one without channels is not."""
    of = call()
    assert not of.channels.are_idle
    agent = phone("1.1", "101", of)
    bridged(agent, kind="agent_hold")
    assert of.channels.are_idle
    line("1.2", of)
    assert not of.channels.are_idle


def test_another_call_s() -> None:
    """Live ones come over and are lost to their call, hangups are known in order of time."""
    one, other = call("1.1"), call("2.1")
    mine = line("1.1", one)
    theirs, over = phone("2.1", "101", other), phone("2.2", "102", other)
    hung_up(over, 2.0, by_itself=True)
    one.channels.request_hangup(mine, 3.0)
    assert one.channels.take_over(other.channels) == [theirs]
    assert list(one.channels) == [mine, theirs]
    assert (list(other.channels.live), list(other.channels)) == ([], [theirs, over])
    assert one.channels.hangups == [2.0, 3.0]


def test_hangups_of_people() -> None:
    """Only a person's hangup counts; every channel knows of its own."""
    of = call()
    helper = channel("1.1", "Local/101@queue-01;1", of)
    of.channels.request_hangup(helper, 1.0)
    assert helper.has_hung_up
    assert of.channels.hangups == []


@pytest.mark.parametrize(("at", "is_near"), [(9.4, False), (9.5, False), (9.6, True), (10.4, True), (10.5, False)])
def test_a_hangup_near_a_time(at: float, is_near: bool) -> None:
    """Less than the given seconds before or after."""
    of = call()
    person = line("1.1", of)
    for asked_at in (1.0, 10.0, 20.0):
        of.channels.request_hangup(person, asked_at)
    assert of.channels.has_hangup_near(at, 0.5) is is_near
