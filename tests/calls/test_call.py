"""A call and its roster as values."""

from __future__ import annotations

from tests.calls.pieces import call
from uac_trio.calls.call import CallEnd, Direction, Orientation, Roster, Unseen
from uac_trio.calls.participation import Participation, Role


def test_a_call_to_begin_with() -> None:
    """Nothing is known of it: no direction, no end, no call that absorbed it."""
    new = call()
    assert (new.direction, new.ended_at, new.merged_into) == (None, None, "")
    assert (new.is_adopted, new.is_inferred) == (False, False)


def test_what_is_concluded() -> None:
    """The end and what was not seen show in the properties."""
    one = call()
    one.orientation = Orientation(direction=Direction.INBOUND)
    one.end = CallEnd(at=9.0, merged_into="main-0.1")
    one.unseen |= Unseen.BEGINNING
    assert (one.direction, one.ended_at, one.merged_into) == (Direction.INBOUND, 9.0, "main-0.1")
    assert (one.is_adopted, one.is_inferred) == (True, False)
    one.unseen |= Unseen.END
    assert (one.is_adopted, one.is_inferred) == (True, True)


def test_calls_are_not_equal() -> None:
    """A call is itself alone, whatever it holds."""
    assert call() != call()


def part(extension: str, occurrence: str) -> Participation:
    return Participation(extension, Role.CALLEE, occurrence, 0.0)


def test_roster() -> None:
    """An employee's last participation counts until it has ended."""
    roster = Roster()
    assert roster.current("101") is None
    first, again, other = part("101", "1.2"), part("101", "1.4"), part("102", "1.3")
    roster.add(first)
    assert roster.current("101") is first
    first.ended_at = 5.0
    assert roster.current("101") is None
    roster.add(other)
    roster.add(again)
    assert roster.current("101") is again
    assert (list(roster), len(roster)) == ([first, other, again], 3)
    assert roster.unfinished == [other, again]
    assert not roster.is_announced
    other.is_announced = True
    assert roster.is_announced
