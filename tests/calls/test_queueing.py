"""The queues of one call."""

from __future__ import annotations

import pytest

from tests.calls.pieces import line
from uac_trio.calls.queueing import Queueing

CALLER, OTHER = line("1.1"), line("2.1")


def waiting(queue: str = "sales") -> Queueing:
    queueing = Queueing()
    queueing.join(queue, CALLER, is_answered=False)
    return queueing


def test_no_queue() -> None:
    """A call that is in none waits for no one and lets no one through."""
    none = Queueing()
    none.leave(CALLER)
    none.give_up(CALLER)
    assert (none.waiting, none.has_given_up, none.entry, none.has_let_through(CALLER)) == (None, False, "", False)


def test_a_visit() -> None:
    """The caller waits until they leave; another channel's leaving changes nothing."""
    queueing = waiting()
    assert not queueing.has_let_through(CALLER)
    queueing.leave(OTHER)
    assert queueing.waiting is CALLER
    queueing.leave(CALLER)
    assert queueing.waiting is None
    assert queueing.has_let_through(CALLER)
    assert queueing.entry == "sales"


@pytest.mark.parametrize(("who", "has_left", "has_given_up"), [
    (CALLER, False, True),
    (CALLER, True, False),
    (OTHER, False, False),
])  # fmt: skip
def test_giving_up(who: object, has_left: bool, has_given_up: bool) -> None:
    """Only who still waits leaves without an answer."""
    queueing = waiting()
    if has_left:
        queueing.leave(CALLER)
    queueing.give_up(who)  # type: ignore[arg-type]
    assert queueing.has_given_up is has_given_up


@pytest.mark.parametrize(("is_answered", "entry"), [(False, "service"), (True, "sales")])
def test_the_queue_of_the_whole_call(is_answered: bool, entry: str) -> None:
    """The last before an answer, else the first of all."""
    queueing = waiting()
    queueing.join("service", CALLER, is_answered=is_answered)
    assert queueing.entry == entry
    assert queueing.visit is not None
    assert queueing.visit.queue == "service"


def test_a_first_queue_after_an_answer() -> None:
    """It is the only one, so it counts."""
    queueing = Queueing()
    queueing.join("sales", CALLER, is_answered=True)
    assert queueing.entry == "sales"


def test_of_a_call_that_became_part() -> None:
    """Who waits there now counts more than who waited here; the first entry stays."""
    here, there, over = waiting("here"), waiting("there"), waiting("over")
    over.leave(CALLER)
    here.take_over(over)
    assert (here.visit and here.visit.queue, here.entry) == ("here", "here")
    here.take_over(there)
    assert (here.visit and here.visit.queue, here.entry) == ("there", "here")
    empty = Queueing()
    empty.take_over(over)
    assert (empty.visit and empty.visit.queue, empty.entry) == ("over", "over")
