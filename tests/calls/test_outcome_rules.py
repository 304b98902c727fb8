"""The tables of outcomes: each row decides something that no other row would."""

from __future__ import annotations

from typing import Any

import pytest

from uac_trio.calls.call import Call
from uac_trio.calls.call_outcome import call_status
from uac_trio.calls.channel import HangupCause
from uac_trio.calls.conversation import Answer
from uac_trio.calls.outcome import RULES, LegEnd, Outcome, Rule, outcome_of, together
from uac_trio.calls.queueing import QueueVisit

EXAMPLES: tuple[dict[str, Any], ...] = (
    {"is_connected": True, "status": "CANCEL"},
    {"is_picked_from": True, "status": "", "cause": 16},
    {"is_lost_to_another": True, "status": "CANCEL"},
    {"is_cancelled_through": True, "status": "CANCEL", "cause": 26},
    {"is_picked_up": True, "status": "ANSWER", "has_caller_left": True},
    {"is_picked_up": True, "status": "BUSY", "cause": 17, "has_hung_up": True},
    {"is_pick_up_failed": True, "status": "CANCEL", "has_caller_left": True, "shows_hangup_requests": True},
    {"is_timed_out_around": True, "status": "CANCEL", "has_person_hung_up": True},
    {"status": "CANCEL", "shows_hangup_requests": True},
    {"status": "CANCEL", "shows_hangup_requests": True, "has_person_hung_up": True},
    {"status": "BUSY", "cause": 21},
    {"status": "BUSY", "cause": 17},
    {"status": "CONGESTION", "cause": 34},
    {"status": "DONTCALL"},
    {"status": "FORWARDED", "cause": 17},
    {"status": "NOANSWER", "shows_hangup_requests": True, "cause": 17},
    {"cause": 21, "tech_cause": "403", "has_hung_up": True, "is_employee": True},
    {"cause": 21, "is_employee": True},
    {"cause": 21, "status": "NOANSWER"},
    {"cause": 19, "status": "NOANSWER"},
    {"cause": 26},
    {"cause": 17},
    {"cause": 20},
    {"has_caller_left": True},
    {"status": "NOANSWER", "is_ringing_seen": True},
)
"""One leg's end to a rule, in the order of the table."""


@pytest.mark.parametrize(
    ("rule", "example"),
    list(zip(RULES, EXAMPLES, strict=True)),
    ids=[f"{number}-{rule.outcome.value}" for number, rule in enumerate(RULES)],
)
def test_each_rule_decides(rule: Rule, example: dict[str, Any]) -> None:
    """It is the first to apply to its example, and without it the outcome would be another, or there would be none."""
    end = LegEnd(**example)
    assert next(each for each in RULES if each.applies(end)) is rule
    assert outcome_of(end) is rule.outcome
    others = [each for each in RULES if each is not rule and each.applies(end)]
    assert not others or others[0].outcome is not rule.outcome


@pytest.mark.parametrize("cause", [cause for cause in HangupCause if cause.value in (1, 2, 3, 20, 22, 27, 28, 29)])
def test_causes_of_what_cannot_be_reached(cause: HangupCause) -> None:
    assert outcome_of(LegEnd(status="NOANSWER", cause=cause, has_hung_up=True)) is Outcome.FAILED


def test_who_was_never_connected_never_completed() -> None:
    """Whatever Asterisk says of a leg: completed means that people heard each other."""
    for example in EXAMPLES[1:]:
        assert outcome_of(LegEnd(**example)) is not Outcome.COMPLETED


@pytest.mark.parametrize(
    ("outcomes", "loudest"),
    [
        ([], None),
        ([Outcome.FAILED, Outcome.BUSY], Outcome.BUSY),
        ([Outcome.BUSY, Outcome.REJECTED], Outcome.REJECTED),
        ([Outcome.REJECTED, Outcome.NO_ANSWER], Outcome.NO_ANSWER),
        ([Outcome.NO_ANSWER, Outcome.CANCELLED], Outcome.CANCELLED),
        ([Outcome.ANSWERED_ELSEWHERE, Outcome.FAILED], Outcome.FAILED),
        ([Outcome.ANSWERED_ELSEWHERE], Outcome.ANSWERED_ELSEWHERE),
        ([Outcome.COMPLETED], None),
    ],
)
def test_several_attempts_together(outcomes: list[Outcome], loudest: Outcome | None) -> None:
    """The most that was reached stands for all."""
    assert together(outcomes) is loudest


@pytest.mark.parametrize("is_answered", [False, True])
@pytest.mark.parametrize("has_voicemail", [False, True])
@pytest.mark.parametrize(
    ("visit", "status"),
    [
        pytest.param(None, Outcome.FAILED, id="nothing"),
        pytest.param(QueueVisit(queue="400"), Outcome.FAILED, id="queue-without-agents"),
        pytest.param(QueueVisit(queue="400", has_given_up=True), Outcome.CANCELLED, id="left-the-queue"),
    ],
)
def test_a_call_as_a_whole(is_answered: bool, has_voicemail: bool, visit: QueueVisit | None, status: Outcome) -> None:
    """What decides before the attempts to reach a phone are asked: a person, else a voicemail, else the queue."""
    call = Call(id="main-1", linkedid="1", started_at=0.0)
    call.queue.visit = visit
    call.recordings.has_voicemail = has_voicemail
    call.conversation.answer = Answer(at=1.0, by="101") if is_answered else None
    expected = Outcome.COMPLETED if is_answered else Outcome.VOICEMAIL if has_voicemail else status
    assert call_status(call, shows_hangup_requests=True) is expected
