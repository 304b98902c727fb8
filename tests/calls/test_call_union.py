"""Which channels make one call."""

from __future__ import annotations

import pytest

from tests.calls.pieces import bridged, change, dial, hung_up, line, phone, view
from uac_trio.calls import call_union
from uac_trio.calls.call import Call, CallEnd, ClickOrder, Direction, Remembered
from uac_trio.calls.call_union import CallUnion
from uac_trio.calls.channel import Channel
from uac_trio.calls.participation import Role

REMEMBERED = Remembered(
    call_id="main-1.1", extension="101", occurrence="1.2", role=Role.CALLEE, direction=Direction.INBOUND,
    customer="+79161234567", began_at=0.0, answered_at=None,
)  # fmt: skip


@pytest.fixture
def union() -> CallUnion:
    return CallUnion("main")


def one_of(union: CallUnion, linkedid: str, **more: object) -> Channel:
    """A line that began a call of its own."""
    return line(linkedid, union.call_of(linkedid, linkedid, 1.0), linkedid=linkedid, **more)


def test_a_call_of_a_linkedid(union: CallUnion) -> None:
    """Made once, with an identity that begins with the PBX."""
    made = union.call_of("1.1", "1.1", 1.0)
    assert union.call_of("1.1", "1.2", 2.0) is union.find("1.1") is made
    assert (made.id, made.started_at, list(union.calls)) == ("main-1.1", 1.0, ["main-1.1"])


def test_a_finished_call_does_not_come_again(union: CallUnion) -> None:
    """A late event with its Linkedid makes another call, and its channels are gone."""
    source = one_of(union, "1.1")
    union.forget(source.call)
    assert (union.find("1.1"), union.calls) == (None, {})
    assert union.is_gone("1.1")
    later = union.call_of("1.1", "9.9", 5.0)
    assert later.id == "main-9.9"
    assert union.call_of("1.1", "9.9", 6.0) is later


def test_what_is_gone_is_forgotten_in_time(union: CallUnion, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first."""
    monkeypatch.setattr(call_union, "MAX_GONE", 2)
    for number in range(4):
        union.forget(one_of(union, f"1.{number}").call)
    assert [union.is_gone(f"1.{number}") for number in range(4)] == [False, False, True, True]


def test_orders_and_memories(union: CallUnion) -> None:
    """A new call takes what was ordered, and what an earlier run began."""
    order = ClickOrder("uac-1", "101", "+79161234567")
    union.orders.add("uac-1", order, 9.0)
    union.remembered["main-1.1"] = {"101": REMEMBERED}
    assert union.call_of("uac-1", "uac-1", 1.0).click.order is order
    assert dict(union.call_of("1.1", "1.1", 1.0).participations.remembered) == {"101": REMEMBERED}
    assert (len(union.orders), union.remembered) == (0, {})


@pytest.mark.parametrize(
    ("uniqueid", "linkedid", "call_id"),
    [
        ("1.1", "0.5", "main-1.1"),  # the call began with this channel
        ("1.2", "0.5", "main-1.1"),  # one of its people took part with it
        ("1.3", "0.5", None),
        ("1.3", "1.1", None),  # it has the identity by itself
    ],
)
def test_a_call_that_an_earlier_run_reported(
    union: CallUnion, uniqueid: str, linkedid: str, call_id: str | None
) -> None:
    """A merge may have changed its Linkedid meanwhile."""
    union.remembered["main-1.1"] = {"101": REMEMBERED}
    union.recognise(view(uniqueid, "PJSIP/101-01", linkedid=linkedid), 1.0)
    found = union.find(linkedid)
    assert (found.id if found is not None else None) == call_id


def test_what_did_not_turn_up(union: CallUnion) -> None:
    """After the snapshot nothing is remembered any more."""
    union.remembered["main-1.1"] = {"101": REMEMBERED}
    made = union.call_of("1.1", "1.1", 1.0)
    union.remembered["main-2.1"] = {"101": REMEMBERED}
    union.forget_remembered()
    assert (union.remembered, dict(made.participations.remembered)) == ({}, {})


def test_a_tie(union: CallUnion) -> None:
    """Two calls become one; a tie to nothing, or within one call, changes nothing."""
    one, other, now = one_of(union, "1.1"), one_of(union, "2.1"), change()
    union.tie(one, None, now)
    union.tie(None, one, now)
    union.tie(one, one, now)
    assert now.merges == []
    union.tie(other, one, now)
    (merge,) = now.merges
    assert (merge.survivor, merge.because) == (one.call, f"Event {other.full_name}")
    assert other.call is one.call
    assert list(now.channels) == [other]


def test_a_chain_of_three(union: CallUnion) -> None:
    """An absorbed call's Linkedids lead to the survivor for good."""
    one, two, three = (one_of(union, f"{number}.1") for number in (1, 2, 3))
    now = change()
    union.tie(three, two, now)
    union.tie(two, one, now)
    assert {union.find(linkedid) for linkedid in ("1.1", "2.1", "3.1")} == {one.call}
    assert [each.call for each in (one, two, three)] == [one.call] * 3
    assert three.moved is not None
    assert three.moved.home.id == "main-3.1"


def test_what_comes_over(union: CallUnion) -> None:
    """Live channels with the legs to them, the queue, the order; what hung up stays where it was."""
    one, other = one_of(union, "1.1"), one_of(union, "2.1")
    absorbed = other.call
    ringing, over = phone("2.2", "101", absorbed), phone("2.3", "102", absorbed)
    leg, gone = dial(other, ringing), dial(other, over)
    absorbed.legs.pick_up(leg)
    hung_up(over, 2.0)
    absorbed.queue.join("sales", other, is_answered=False)
    absorbed.click.order = ClickOrder("uac-1", "101", "102")
    union.merge(one.call, absorbed, "test", change(7.0))
    assert (list(one.call.legs), list(one.call.legs.latest_picked_up())) == ([leg], [leg])
    assert gone not in one.call.legs
    assert over.call is absorbed
    assert (one.call.queue.entry, one.call.click.order) == ("sales", absorbed.click.order)
    assert one.call.seen_at == 7.0


def weights(union: CallUnion) -> tuple[Call, Call]:
    return one_of(union, "1.1").call, one_of(union, "2.1").call


def test_who_survives(union: CallUnion) -> None:
    """Of two alike the older; a customer's call before one without; an agent's line never."""
    older, newer = weights(union)
    now = change()
    newer.has_met_line = True
    union.merge(older, newer, "test", now)
    assert now.merges[0].survivor is newer
    other = CallUnion("main")
    older, newer = weights(other)
    older.is_agents = older.has_met_line = True
    other.merge(newer, older, "test", now)
    assert now.merges[1].survivor is newer
    assert newer.has_met_line


def test_a_line_that_comes_over_concerns_all(union: CallUnion) -> None:
    """With the first outside party all people of the call may talk to a customer."""
    older, newer = weights(union)
    older.has_met_line = newer.is_agents = False
    newer.has_met_line = True
    now = change()
    union.merge(older, newer, "test", now)
    assert len(now.channels) == 1
    another = CallUnion("main")
    older, newer = weights(another)
    older.is_agents, older.has_met_line = True, True
    now = change()
    another.merge(older, newer, "test", now)
    assert len(now.channels) == 2


def test_a_call_that_seemed_over(union: CallUnion) -> None:
    """The survivor goes on."""
    older, newer = weights(union)
    older.end = CallEnd(3.0)
    now = change()
    union.merge(older, newer, "test", now)
    assert now.reopened == [older]


@pytest.mark.parametrize("is_idle", [False, True])
def test_another_linkedid(union: CallUnion, is_idle: bool) -> None:
    """Asterisk counts the channel to another call: they are one, unless only waiting agents are left in one of them."""
    one, other = one_of(union, "1.1"), one_of(union, "2.1")
    if is_idle:
        hung_up(other, 3.0)
        bridged(phone("2.2", "101", other.call), kind="agent_hold")
    one.view = one.view._replace(linkedid="2.1")
    now = change()
    union.follow_linkedid(one, now)
    assert len(now.merges) == (0 if is_idle else 1)


def test_an_unknown_linkedid(union: CallUnion) -> None:
    """It means the channel's call from now on; one that meant another call does not any more."""
    one = one_of(union, "1.1")
    one.view = one.view._replace(linkedid="7.7")
    union.follow_linkedid(one, change())
    assert union.find("7.7") is one.call


def test_an_agent_parts(union: CallUnion) -> None:
    """They get a call of their own, named after their channel; the customer's goes on without them."""
    customer = one_of(union, "1.1")
    agent = phone("0.1", "101", customer.call)
    dial(customer, agent)
    now = change(8.0)
    union.part(agent, now)
    assert (agent.call.id, agent.call.is_agents, agent.leg, agent.joined_at) == ("main-0.1", True, None, 8.0)
    assert union.find("0.1") is agent.call
    assert list(customer.call.channels.live) == [customer]
    assert set(now.channels) == {agent, customer}


def test_an_agent_parts_again(union: CallUnion) -> None:
    """A second call of the same channel has another identity; alone in their call they stay in it."""
    agent = one_of(union, "0.1")
    union.part(agent, change())
    assert (agent.call.id, agent.call.is_agents) == ("main-0.1", True)
    customer = one_of(union, "1.1")
    union.merge(customer.call, agent.call, "test", change())
    customer.call.channels.add(agent)
    agent.call = customer.call
    union.part(agent, change(8.4))
    assert agent.call.id == "main-0.1~8"
