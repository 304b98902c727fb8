from __future__ import annotations

from uac_trio.daemon.conditions import Condition, Finding, Present, Severity

AWAY = Finding(condition=Condition.PBX_AWAY, pbx="main", words="not connected: refused")
LETTERS = Finding(condition=Condition.DEAD_LETTERS, words="2")
NO_CALLS = Finding(condition=Condition.NO_CALLS, pbx="main", words="4 h")


def test_a_condition_keeps_its_beginning() -> None:
    """Its words may change while it is present; when it comes back it begins anew."""
    present = Present()
    present.look([AWAY], 10.0)
    (later,) = present.look([Finding(condition=Condition.PBX_AWAY, pbx="main", words="not connected: timeout")], 20.0)
    assert (later.since, later.words) == (10.0, "not connected: timeout")
    assert present.look([], 30.0) == ()
    assert [one.since for one in present.look([AWAY], 40.0)] == [10.0 + 30.0]


def test_two_pbxes_are_two_conditions() -> None:
    """The same at another PBX is another."""
    far = Finding(condition=Condition.PBX_AWAY, pbx="far", words="x")
    assert len(Present().look([AWAY, far], 1.0)) == 2


def test_problems_come_first() -> None:
    """Warnings follow, each in the order of the look."""
    found = Present().look([NO_CALLS, LETTERS, AWAY], 1.0)
    assert [one.condition for one in found] == [Condition.DEAD_LETTERS, Condition.PBX_AWAY, Condition.NO_CALLS]
    assert [one.severity for one in found] == [Severity.PROBLEM, Severity.PROBLEM, Severity.WARNING]


def test_each_change_is_taken_once() -> None:
    """Begin and end are reported once; what began and ended between two reports is not."""
    present = Present()
    present.look([AWAY, LETTERS], 1.0)
    present.look([LETTERS], 2.0)
    changes = present.take_changes()
    assert ([one.condition for one in changes.began], changes.ended) == ([Condition.DEAD_LETTERS], [])
    present.look([LETTERS], 3.0)
    changes = present.take_changes()
    assert (changes.began, changes.ended) == ([], [])
    present.look([], 4.0)
    changes = present.take_changes()
    assert (changes.began, [(one.condition, one.since) for one in changes.ended]) == (
        [],
        [(Condition.DEAD_LETTERS, 1.0)],
    )
