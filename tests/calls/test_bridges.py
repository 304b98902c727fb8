"""Who is in which bridge, and what a bridge shows."""

from __future__ import annotations

import pytest

from tests.calls.pieces import call, change, channel, dial, line, pair, phone
from uac_trio.calls.bridges import Bridges
from uac_trio.calls.call_union import CallUnion
from uac_trio.calls.channel import Channel
from uac_trio.calls.conversation import Answer
from uac_trio.calls.endpoint import EndpointClassifier
from uac_trio.calls.hearing import Hearing
from uac_trio.calls.legs import Legs
from uac_trio.calls.rules import TrackerRules


@pytest.fixture
def bridges() -> Bridges:
    return Bridges(CallUnion("main"), Legs(EndpointClassifier(TrackerRules()), Hearing()))


def test_a_channel_is_in_one_bridge(bridges: Bridges) -> None:
    """It leaves the bridge it was in, and an empty bridge is forgotten: its id may come with another type."""
    one, other = phone("1.1", "101"), line("1.2")
    bridges.enter(one, "a", "base", change())
    bridges.enter(other, "a", "base", change())
    first = one.bridge
    bridges.enter(one, "b", "basic", change())
    assert first is not None
    assert (list(first.members), [mate.uniqueid for mate in one.bridge_mates]) == ([other], ["1.1"])
    assert one.was_bridged
    bridges.leave(other)
    bridges.enter(other, "a", "basic", change())
    assert other.bridge is not first


@pytest.mark.parametrize(("named", "is_in"), [("", False), ("a", False), ("another", True)])
def test_leaving(bridges: Bridges, named: str, is_in: bool) -> None:
    """A BridgeLeave of a bridge that the channel left before changes nothing."""
    one = phone("1.1", "101")
    bridges.enter(one, "a", "basic", change())
    bridges.leave(one, named)
    assert (one.bridge is not None) is is_in
    bridges.leave(line("1.9"))  # in no bridge


def test_no_bridge(bridges: Bridges) -> None:
    """A listing without a bridge id leaves the channel where it is."""
    one = phone("1.1", "101")
    bridges.enter(one, "", "basic", change())
    assert one.bridge is None
    assert not one.was_bridged


def test_a_type_that_is_learned_later(bridges: Bridges) -> None:
    """A listing does not show the type; an event that does not either leaves it."""
    one, other = phone("1.1", "101"), line("1.2")
    for each, kind in ((one, ""), (other, "holding"), (one, "")):
        bridges.enter(each, "a", kind, change())
    assert one.bridge is not None
    assert one.bridge.type == "holding"


@pytest.mark.parametrize(
    ("kind", "linkedid", "merges"),
    [("basic", "1.1", 1), ("basic", "", 1), ("base", "", 0), ("holding", "", 0), ("", "1.1", 0), ("", "", 1)],
)
def test_which_bridges_tie(bridges: Bridges, kind: str, linkedid: str, merges: int) -> None:
    """Who is in a basic bridge belongs to one call; of a bridge without a type only servers without Linkedids."""
    now = change()
    bridges.enter(phone("1.1", "101", linkedid=linkedid), "a", kind, now)
    bridges.enter(line("1.2", linkedid=linkedid), "a", kind, now)
    assert len(now.merges) == merges


def test_agents_who_wait(bridges: Bridges) -> None:
    """An agent who goes back to wait for the next customer leaves this one's call."""
    of = call()
    line("1.1", of)
    agent = phone("1.2", "101", of)
    bridges.enter(agent, "pool", "agent_hold", change())
    assert agent.call is not of
    assert agent.call.is_agents
    assert not agent.was_bridged


def caller_and_phone() -> tuple[Channel, Channel]:
    of = call()
    return line("1.1", of), phone("1.2", "101", of)


def test_a_phone_that_nothing_dialled(bridges: Bridges) -> None:
    """Without a Pickup event the bridge with the caller shows that an employee took the call."""
    caller, taker = caller_and_phone()
    for each in (caller, taker):
        bridges.enter(each, "a", "basic", change(7.0))
    assert taker.leg is not None
    assert (taker.leg.caller, taker.leg.status, taker.leg.began_at, taker.leg.rang_at) == (caller, "ANSWER", 7.0, 7.0)
    assert caller.leg is None


def test_a_phone_in_a_call_that_was_answered(bridges: Bridges) -> None:
    """Another in the bridge with a caller who was answered before did not answer them."""
    caller, other = caller_and_phone()
    caller.call.conversation.answer = Answer(at=1.0, by="102")
    for each in (caller, other):
        bridges.enter(each, "a", "basic", change())
    assert other.leg is None


def test_an_agent_on_the_line(bridges: Bridges) -> None:
    """The half that is put into the agent's bridge shows who rang for them, and since when."""
    of = call()
    caller = line("1.1", of)
    one, two = pair("1.2", "1.3", of)
    dial(caller, one, at=2.0, rang_at=3.0)
    agent = channel("0.9", "PJSIP/101-00000009", of, "101")
    for each in (agent, two):
        bridges.enter(each, "a", "basic", change(6.0))
    assert agent.leg is not None
    assert (agent.leg.caller, agent.leg.began_at, agent.leg.rang_at, agent.leg.ended_at) == (caller, 2.0, 3.0, 6.0)
