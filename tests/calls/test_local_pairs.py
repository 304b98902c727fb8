"""The two halves of Local channels."""

from __future__ import annotations

from tests.calls.pieces import channel, phone
from uac_trio.calls.local_pairs import LocalPairs

FIRST, SECOND = "Local/101@queue-01;1", "Local/101@queue-01;2"


def test_halves_find_each_other() -> None:
    """By the name that both share, whichever comes first; other channels have no half."""
    pairs = LocalPairs()
    two, one, other = channel("1.2", SECOND), channel("1.1", FIRST), channel("1.3", "Local/101@queue-02;2")
    anna = phone("1.4", "101")
    for each in (two, one, other, anna):
        pairs.add(each)
    assert (one.half, two.half, other.half, anna.half) == (two, one, None, None)


def test_a_name_that_comes_again() -> None:
    """Of a pair that is gone nothing is left to join; who was a half stays one."""
    pairs = LocalPairs()
    one, two, later = channel("1.1", FIRST), channel("1.2", SECOND), channel("9.2", SECOND)
    for each in (one, two):
        pairs.add(each)
    for each in (one, two, one, phone("1.4", "101")):
        pairs.remove(each)
    pairs.add(later)
    assert later.half is None
    assert one.half is two
