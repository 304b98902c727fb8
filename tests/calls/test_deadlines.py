"""Deadlines: what is due, in order of time."""

from __future__ import annotations

import math

from uac_trio.calls.deadlines import Deadlines


def test_nothing_is_due() -> None:
    """The first of none is never."""
    empty = Deadlines[str]()
    assert (empty.first, empty.due(1e12), len(empty), empty.pop("x")) == (math.inf, [], 0, None)


def test_what_is_due_stays_until_it_is_popped() -> None:
    """Key, value and time of each that is due, the bound included."""
    deadlines = Deadlines[str]()
    for number in (1, 2, 3):
        deadlines.add(f"k{number}", f"v{number}", 10.0 * number)
    assert deadlines.first == 10.0
    assert deadlines.due(9.9) == []
    assert deadlines.due(20.0) == [("k1", "v1", 10.0), ("k2", "v2", 20.0)]
    assert (deadlines.pop("k1"), deadlines.first) == ("v1", 20.0)
    assert "k1" not in deadlines
    assert "k2" in deadlines


def test_a_new_time_replaces_the_old_one() -> None:
    """And goes behind those that are due before."""
    deadlines = Deadlines[str]()
    deadlines.add("a", "a", 10.0)
    deadlines.add("b", "b", 20.0)
    deadlines.add("a", "again", 30.0)
    assert (deadlines.first, len(deadlines)) == (20.0, 2)
    assert deadlines.due(30.0) == [("b", "b", 20.0), ("a", "again", 30.0)]
