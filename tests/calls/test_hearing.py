"""Who hears whom."""

from __future__ import annotations

import math

import pytest

from tests.calls.pieces import bridged, call, change, dial, hung_up, line, pair, phone
from uac_trio.calls.channel import Channel, Leg
from uac_trio.calls.hearing import BRIDGED_WITHIN, Hearing


def answered() -> tuple[Channel, Leg]:
    """A customer, and the leg that answered them."""
    of = call()
    customer = line("1.1", of)
    leg = dial(customer, phone("1.2", "101", of))
    leg.status = "ANSWER"
    return customer, leg


def test_alone() -> None:
    """Without a bridge a channel hears itself."""
    one = line("1.1")
    assert Hearing().is_alone(one)
    assert Hearing().audible(one) == (one,)


@pytest.mark.parametrize(("kind", "hears"), [("basic", 2), ("base", 2), ("holding", 1), ("parking", 1)])
def test_a_bridge(kind: str, hears: int) -> None:
    """Its members hear each other, unless it plays music."""
    one, other = line("1.1"), phone("1.2", "101")
    bridged(one, other, kind=kind)
    assert len(Hearing().audible(one)) == hears


def test_through_a_local_channel() -> None:
    """What enters one half comes out of the other; no person is behind the halves, and who is gone hears nothing."""
    of = call()
    one, other, gone = line("1.1", of), phone("1.2", "101", of), phone("1.5", "102", of)
    first, second = pair("1.3", "1.4", of)
    bridged(one, first)
    bridged(other, second, gone)
    hung_up(gone, 1.0)
    assert Hearing().audible(one) == (one, other)
    now = change()
    Hearing().touch_audience(first, now)
    assert set(now.channels) == {first, one, other}


def test_without_bridges_an_answered_dial_counts() -> None:
    """Where BridgeEnter does not reach us, caller and callee hear each other once the Dial is answered."""
    customer, leg = answered()
    hearing = Hearing()
    assert hearing.audible(customer) == (customer,)
    hearing.miss_bridges()
    assert hearing.audible(customer) == (customer, leg.channel)
    assert hearing.audible(leg.channel) == (leg.channel, customer)
    leg.status = "BUSY"
    assert hearing.audible(customer) == (customer,)


def test_a_queue_s_announcement() -> None:
    """A Queue's answer counts when the caller does not wait any more."""
    customer, leg = answered()
    leg.dial_string = "PJSIP/101"
    hearing = Hearing(by_dial=True)
    customer.call.queue.join("sales", customer, is_answered=False)
    assert hearing.audible(customer) == (customer,)
    customer.call.queue.leave(customer)
    assert hearing.audible(customer) == (customer, leg.channel)


@pytest.mark.parametrize("shows", [True, False])
def test_the_first_answer_shows_it(shows: bool) -> None:
    """The first BridgeEnter should follow the first answer; a server that showed one before is not doubted."""
    _, leg = answered()
    hearing = Hearing(shows_bridges=shows)
    hearing.await_bridge(leg, change(5.0))
    hearing.await_bridge(leg, change(6.0))
    assert hearing.bridge_due == (math.inf if shows else 5.0 + BRIDGED_WITHIN)
    hearing.see_bridge()
    assert (hearing.bridge_due, hearing.shows_bridges, hearing.by_dial) == (math.inf, True, False)


def test_an_answer_where_dials_count() -> None:
    """Those who hear each other now are touched; a refusal awaits nothing."""
    customer, leg = answered()
    hearing, now = Hearing(by_dial=True), change()
    hearing.await_bridge(leg, now)
    assert set(now.channels) == {customer, leg.channel}
    leg.status = "BUSY"
    doubtful = Hearing()
    doubtful.await_bridge(leg, change())
    assert doubtful.bridge_due == math.inf
