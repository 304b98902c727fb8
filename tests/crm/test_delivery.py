"""Facts to deliveries: what, in which order, under which key, for both kinds of rows that a CRM may keep."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.crm.facts import NOT_TAKEN, SECOND_PHONE, T0, answered, began, ended, over, recorded
from uac_trio.calls.call import Direction
from uac_trio.calls.fact import CallTransferred, Fact, OfParticipation
from uac_trio.calls.outcome import TALKED, Outcome
from uac_trio.calls.participation import Role
from uac_trio.calls.summary import ParticipationSummary
from uac_trio.crm.delivery import WHOLE_CALL, Delivery, DeliveryMaker, Kind, Scope, closing, failed_click

BEGIN, ANSWER, END, RECORDING = Kind.BEGIN, Kind.ANSWER, Kind.END, Kind.RECORDING
TOKEN = "0123456789abcdef" * 2


def maker(scope: Scope = Scope.EMPLOYEE, token: str = TOKEN) -> DeliveryMaker:
    return DeliveryMaker("main", scope, lambda _: True, lambda _: token)


def made(subject: DeliveryMaker, *facts: Fact) -> list[Delivery]:
    return [delivery for fact in facts for delivery in subject.deliveries(fact)]


def kinds(deliveries: list[Delivery]) -> list[Kind]:
    return [delivery.kind for delivery in deliveries]


def test_each_part_of_an_employee() -> None:
    """A row of each employee's part: begun, answered and ended by itself; the end of the call says nothing more."""
    story = made(maker(), began(), answered(), ended(), recorded(), over())
    assert kinds(story) == [BEGIN, ANSWER, END, RECORDING]
    begin, answer, end, recording = story
    assert {(each.pbx, each.call_id, each.subject, each.occurrence, each.extension) for each in story} == {
        ("main", "main-1.0", "101", "1.1", "101")
    }
    assert {(each.role, each.direction, each.customer, each.began_at) for each in story} == {
        (Role.CALLEE, Direction.INBOUND, "+79161234567", T0)
    }
    assert (begin.at, begin.customer_name, begin.line, begin.outcome, begin.ended_at) == (
        T0, "Иван", "4951000101", None, None
    )  # fmt: skip
    assert (answer.at, answer.customer_name, answer.line) == (T0 + 2, "", "")
    assert (end.at, end.ended_at, end.outcome, end.talk_secs) == (T0 + 5, T0 + 5, Outcome.COMPLETED, 3.0)
    assert (recording.recording, recording.path) == (TOKEN, "/var/spool/x.wav")
    assert "/var/spool" not in repr(recording)


def test_a_row_of_the_whole_call() -> None:
    """Begun once however many phones ring; ended when the call is, with what its summary says."""
    lost = ended(T0 + 2, outcome=Outcome.ANSWERED_ELSEWHERE, **NOT_TAKEN, **SECOND_PHONE)
    facts = began(), began(**SECOND_PHONE), answered(), lost, ended(), recorded(), over()
    story = made(maker(Scope.CALL), *facts)
    assert kinds(story) == [BEGIN, ANSWER, RECORDING, END]
    assert {each.subject for each in story} == {""}
    assert [(each.extension, each.occurrence) for each in story] == [
        ("101", WHOLE_CALL),
        ("101", "101.1.1"),
        ("101", WHOLE_CALL),
        ("", WHOLE_CALL),
    ]
    end = story[-1]
    assert (end.at, end.began_at, end.ended_at) == (T0 + 7, T0, T0 + 5)
    assert (end.outcome, end.talk_secs, end.customer, end.role) == (
        Outcome.COMPLETED, 3.0, "+79161234567", Role.CALLEE
    )  # fmt: skip


@pytest.mark.parametrize("status", Outcome)
def test_the_whole_call_ends_as_its_summary_says(status: Outcome) -> None:
    """Whatever the parts were."""
    lost = ended(outcome=Outcome.ANSWERED_ELSEWHERE, **NOT_TAKEN)
    end = made(maker(Scope.CALL), began(), lost, over(status))[-1]
    assert (end.outcome, end.talk_secs) == (status, 3.0 if status is Outcome.COMPLETED else 0.0)


def test_a_whole_call_without_a_row() -> None:
    """Nothing is said of a call that never began for the CRM."""
    assert made(maker(Scope.CALL), answered(), ended(), recorded(), over()) == []


def test_second_ring_does_not_undo_a_talk() -> None:
    """They talked, then the returned caller rang them in vain: completed, with the talk, from the first to the last."""
    again: dict[str, Any] = {"occurrence": "1.9", "began_at": T0 + 20}
    missed = ended(T0 + 30, outcome=Outcome.NO_ANSWER, **NOT_TAKEN, **again)
    end = made(maker(), began(), answered(), ended(), began(T0 + 20, **again), missed)[-1]
    assert (end.occurrence, end.outcome) == ("1.9", Outcome.COMPLETED)
    assert (end.began_at, end.ended_at, end.talk_secs) == (T0, T0 + 30, 3.0)


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [((0, 5), (20, 30), (0, 30)), ((20, 30), (0, 5), (0, 30)), ((0, 30), (5, 9), (0, 30)), ((5, 9), (0, 30), (0, 30))],
)
def test_times_of_two_parts(first: tuple[int, int], second: tuple[int, int], whole: tuple[int, int]) -> None:
    """From the first beginning to the last end, in whatever order the ends are known: two phones ring at once."""
    parts = [ended(T0 + end, began_at=T0 + begin, occurrence=f"1.{end}") for begin, end in (first, second)]
    last = made(maker(), *parts)[-1]
    assert (last.began_at, last.ended_at) == (T0 + whole[0], T0 + whole[1])


@pytest.mark.parametrize("first", Outcome)
@pytest.mark.parametrize("second", Outcome)
def test_two_parts_of_one_employee(first: Outcome, second: Outcome) -> None:
    """The later outcome holds, but that of a talk is not undone by a ring."""
    again: dict[str, Any] = {"occurrence": "1.9", "began_at": T0 + 20}
    end = made(maker(), began(), ended(outcome=first), ended(T0 + 30, outcome=second, **again))[-1]
    assert end.outcome is (first if first in TALKED and second not in TALKED else second)
    assert end.talk_secs == 6.0


def test_parts_of_two_employees_are_apart() -> None:
    """The talk of one is not that of the other."""
    lost = ended(T0 + 2, outcome=Outcome.ANSWERED_ELSEWHERE, **NOT_TAKEN, **SECOND_PHONE)
    story = made(maker(), began(), began(**SECOND_PHONE), ended(), lost)
    assert [(each.extension, each.outcome, each.talk_secs) for each in story[2:]] == [
        ("101", Outcome.COMPLETED, 3.0),
        ("102", Outcome.ANSWERED_ELSEWHERE, 0.0),
    ]


@pytest.mark.parametrize("scope", Scope)
def test_what_the_crm_does_not_want(scope: Scope) -> None:
    """It is not delivered, nor does it make a row."""
    subject = DeliveryMaker("main", scope, lambda fact: fact.extension == "102", lambda _: TOKEN)
    assert made(subject, began(), answered(), ended(), recorded(), over()) == []
    assert kinds(made(subject, began(**SECOND_PHONE))) == [BEGIN]


@pytest.mark.parametrize("scope", Scope)
def test_no_link_no_recording(scope: Scope) -> None:
    """A recording that cannot be linked makes no delivery."""
    assert RECORDING not in kinds(made(maker(scope, token=""), began(), ended(), recorded(), over()))


@pytest.mark.parametrize("scope", Scope)
def test_keys_are_semantic(scope: Scope) -> None:
    """The same facts make the same keys in another process, and each delivery has its own."""
    again: dict[str, Any] = {"occurrence": "1.9", "began_at": T0 + 20}
    facts = (
        began(), began(**SECOND_PHONE), answered(), answered(**SECOND_PHONE), ended(), began(**again),
        answered(**again), ended(**again), recorded(), over(),
    )  # fmt: skip
    keys = [each.key for each in made(maker(scope), *facts)]
    assert keys == [each.key for each in made(maker(scope), *facts)]
    assert len(set(keys)) == len(keys)


def test_keys_are_as_in_earlier_versions() -> None:
    """Keys identify the rows of an outbox, also those that an earlier version put in."""
    facts = began(), answered(), ended(), recorded(), over()
    assert [each.key for each in made(maker(), *facts)] == [
        "main-1.0/101/begin/1.1",
        "main-1.0/101/answer/1.1",
        "main-1.0/101/end/1.1",
        "main-1.0/101/recording/1.1",
    ]
    assert [each.key for each in made(maker(Scope.CALL), *facts)] == [
        "main-1.0//begin/1",
        "main-1.0//answer/101.1.1",
        "main-1.0//recording/1",
        "main-1.0//end/1",
    ]


def test_an_answer_is_superseded_by_its_end() -> None:
    """Once the end of the same part is known, an answer that was not sent would re-open the row."""
    begin, answer, end, recording = made(maker(), began(), answered(), ended(), recorded())
    assert answer.superseded_by == end.key
    assert [each.superseded_by for each in (begin, end, recording)] == [None] * 3


def test_the_answer_of_a_whole_call_is_superseded_by_the_end_of_the_call() -> None:
    """If it is put after that; one before says whose the row is."""
    _, answer, end = made(maker(Scope.CALL), began(), answered(), over())
    assert (answer.kind, end.kind, answer.superseded_by) == (ANSWER, END, end.key)


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize(
    ("answered_at", "outcome", "secs"),
    [(None, Outcome.NO_ANSWER, 0.0), (T0 + 4, Outcome.COMPLETED, 6.0), (T0 + 60, Outcome.COMPLETED, 0.0)],
)
def test_close_what_an_earlier_run_began(
    scope: Scope, answered_at: float | None, outcome: Outcome, secs: float
) -> None:
    """What began before a restart and is gone after it gets its end, under the key it would have had."""
    [begun] = made(maker(scope), began())
    close = closing(begun, answered_at, T0 + 10)
    assert (close.kind, close.outcome, close.talk_secs) == (END, outcome, secs)
    assert (close.began_at, close.at, close.ended_at) == (T0, T0 + 10, T0 + 10)
    assert close.extension == ("101" if scope is Scope.EMPLOYEE else "")  # others may have taken part
    real = made(maker(scope), began(), ended(), over())[-1]
    assert close.key == real.key


def test_other_facts_say_nothing() -> None:
    """A transfer by itself is no event of a CRM's, and the row goes on."""
    moved = CallTransferred(call_id="main-1.0", at=T0, because="test", type="blind", by="101", to="102")
    for scope in Scope:
        assert made(maker(scope), moved) == []
        assert made(maker(scope), began(), moved, ended(), over()) == made(maker(scope), began(), ended(), over())
    again: dict[str, Any] = {"occurrence": "1.9", "began_at": T0 + 20}
    assert made(maker(), began(), ended(), moved, ended(T0 + 30, **again))[-1].talk_secs == 6.0


@pytest.mark.parametrize("scope", Scope)
def test_rows_are_forgotten_with_their_call(scope: Scope) -> None:
    """A call that is over leaves nothing behind: the next of the same id begins anew."""
    subject = maker(scope)
    made(subject, began(), ended(), over())
    assert subject._rows == {}
    later: OfParticipation = ended(T0 + 50, outcome=Outcome.NO_ANSWER, began_at=T0 + 40, **NOT_TAKEN)
    story = made(subject, began(T0 + 40, began_at=T0 + 40), later, over(Outcome.NO_ANSWER))
    assert kinds(story) == [BEGIN, END]
    assert (story[-1].outcome, story[-1].began_at) == (Outcome.NO_ANSWER, T0 + 40)


def test_another_part_knows_when_the_first_began() -> None:
    """The caller returns to an employee: a CRM that shows a row by its beginning can begin it again."""
    story = made(maker(), began(), ended(), began(T0 + 400, occurrence="1.9", began_at=T0 + 400))
    assert [each.first_began_at for each in story if each.kind is BEGIN] == [None, T0]


@pytest.mark.parametrize(("took_part", "owner"), [(["101"], "101"), (["101", "102"], ""), ([], "")])
def test_the_only_one_who_took_part_in_a_whole_call(took_part: list[str], owner: str) -> None:
    """Whose call a missed one is, where that is beyond doubt."""
    parts = tuple(
        ParticipationSummary(extension=each, outcome=Outcome.NO_ANSWER, ring_secs=1.0, talk_secs=0.0)
        for each in took_part
    )
    end = over(Outcome.NO_ANSWER)
    end = attrs.evolve(end, summary=attrs.evolve(end.summary, participations=parts))
    (*_, last) = made(maker(Scope.CALL), began(), end)
    assert (last.kind, last.extension) == (END, owner)


@pytest.mark.parametrize("scope", list(Scope))
def test_a_click_that_was_refused(scope: Scope) -> None:
    """An outgoing row that failed, under the identity that the call would have had."""
    begin, end = failed_click("main", "uac-1", "101", "+79161234567", scope, T0)
    assert (begin.call_id, begin.subject) == ("main-uac-1", "101" if scope is Scope.EMPLOYEE else "")
    assert begin.occurrence == ("uac-1" if scope is Scope.EMPLOYEE else WHOLE_CALL)
    assert (end.outcome, end.ended_at, end.subject, end.occurrence) == (
        Outcome.FAILED, T0, begin.subject, begin.occurrence
    )  # fmt: skip
    assert begin.role is Role.CALLER
