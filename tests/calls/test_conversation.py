"""Who talks, how long, and who answered."""

from __future__ import annotations

from tests.calls.pieces import line, phone
from uac_trio.calls.conversation import Answer, Conversation


def test_talk_time() -> None:
    """It runs while there are talkers."""
    talk, customer, anna = Conversation(), line("1.1"), phone("1.2", "101")
    talk.join(customer)
    talk.join(anna)
    talk.keep_time(10.0)
    assert talk.includes([anna])
    talk.leave(anna)
    talk.keep_time(12.0)
    assert not talk.includes([anna])
    assert talk.talk.read(13.0) == 3.0
    talk.end(14.0)
    assert (talk.talk.read(99.0), dict(talk.talkers)) == (4.0, {})


def test_the_employee_who_talked_last() -> None:
    """The final agent is an employee, also when they have left."""
    talk = Conversation()
    for each in (phone("1.2", "101"), phone("1.3", "102"), line("1.1")):
        talk.join(each)
        talk.leave(each)
    assert talk.final_agent == "102"


def test_whether_it_took_place() -> None:
    """A person answered, or people heard each other in a conference."""
    talk = Conversation()
    assert (talk.answered_by, talk.has_taken_place) == ("", False)
    talk.talk.total = 0.1
    assert talk.has_taken_place
    talk.answer = Answer(3.0, "101")
    assert talk.answered_by == "101"
    answered = Conversation(answer=Answer(3.0, "101"))
    assert answered.has_taken_place


def test_what_an_earlier_run_saw() -> None:
    """The talk goes on since the answer."""
    talk = Conversation()
    talk.resume(Answer(3.0, "101"))
    assert (talk.answered_by, talk.talk.read(8.0)) == ("101", 5.0)
