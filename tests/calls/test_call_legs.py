"""The legs of one call."""

from __future__ import annotations

from tests.calls.pieces import call, dial, phone
from uac_trio.calls.call_legs import MOST_PICKED_UP, CallLegs


def test_legs_in_order() -> None:
    """Each once, in the order in which they began."""
    of = call()
    first, second = dial(None, phone("1.1", "101", of)), dial(None, phone("1.2", "102", of))
    of.legs.add(first)
    assert (list(of.legs), len(of.legs)) == ([first, second], 2)
    assert first in of.legs
    assert dial(None, phone("2.1", "103")) not in of.legs


def test_picked_up() -> None:
    """The latest comes first, and no more than are looked at for each leg that ends."""
    legs = CallLegs()
    of = call()
    many = [dial(None, phone(f"1.{number}", "101", of)) for number in range(MOST_PICKED_UP + 3)]
    for leg in many:
        legs.pick_up(leg)
    assert list(legs.latest_picked_up()) == many[:2:-1]
    assert legs.is_picked_up(many[0])


def test_another_call_s() -> None:
    """What is known of a leg comes over with it."""
    one, other = call("1.1"), call("2.1")
    up, down = dial(None, phone("2.2", "101", other)), dial(None, phone("2.3", "102", other))
    other.legs.pick_up(up)
    for leg in (up, down):
        one.legs.take_over(leg, other.legs)
    assert list(one.legs) == [up, down]
    assert list(one.legs.latest_picked_up()) == [up]
