"""A finished call as one value."""

from __future__ import annotations

import pytest

from tests.calls.pieces import call, dial, hung_up, line, phone
from tests.calls.scenes import MISSED, summary
from uac_trio.calls.call import Call, CallEnd, Direction, Orientation
from uac_trio.calls.click import ClickResult
from uac_trio.calls.conversation import Answer
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Participation, Role, Stopwatch
from uac_trio.calls.summary import ParticipationSummary, TransferSummary, best_outcome, summarise
from uac_trio.calls.transfers import Transfer

CUSTOMER = "+79161234567"


def part(
    extension: str, outcome: Outcome | None, *, began: float = 1.0, ended: float | None = 6.0, talk: float = 0.0
) -> Participation:
    made = Participation(extension, Role.CALLEE, "1.2", began, ended_at=ended, outcome=outcome)
    made.talk = Stopwatch(talk)
    return made


def missed() -> Call:
    """101 rings from 1 to 6."""
    made = call()
    made.orientation = Orientation(direction=Direction.INBOUND, customer=CUSTOMER, did="4951000101")
    leg = dial(line("1.1", made), phone("1.2", "101", made), at=1.0, rang_at=1.0)
    leg.status, leg.ended_at = "NOANSWER", 6.0
    hung_up(leg.channel, 6.0)
    made.participations.add(part("101", Outcome.NO_ANSWER))
    made.end = CallEnd(7.0)
    return made


def test_a_missed_call() -> None:
    """Everything the graph shows, in one value."""
    got = summarise(missed(), 9.0, True)
    assert (got.call_id, got.direction, got.customer, got.did) == (
        "main-1.1",
        Direction.INBOUND,
        CUSTOMER,
        "4951000101",
    )
    assert (got.status, got.rang, got.answered_by, got.ring_secs, got.talk_secs) == (
        Outcome.NO_ANSWER, ("101",), "", 5.0, None
    )  # fmt: skip
    assert (got.ended, got.merged_into_first, got.recording, got.click) == (True, False, "", None)
    assert got.participations == (
        ParticipationSummary(extension="101", outcome=Outcome.NO_ANSWER, ring_secs=5.0, talk_secs=0.0),
    )


def test_an_answered_call() -> None:
    """Ringing ends with the answer; who answered is the final agent unless the customer was handed on."""
    made = missed()
    made.conversation.answer = Answer(3.5, "101")
    made.conversation.final_agent = "102"
    made.conversation.talk.total = 2.0004
    got = summarise(made, 9.0, True)
    assert (got.status, got.answered_by, got.final_agent, got.ring_secs, got.talk_secs) == (
        Outcome.COMPLETED, "101", "101", 2.5, 2.0
    )  # fmt: skip
    made.transfers.add(Transfer("blind", "101", "102", 4.0, answered=True))
    got = summarise(made, 9.0, True)
    assert (got.final_agent, got.transfers) == (
        "102",
        (TransferSummary(type="blind", by="101", to="102", answered=True),),
    )


def test_consultations() -> None:
    """One that was picked up was asked and given back: it is no transfer. One in vain is shown."""
    made = missed()
    asked, in_vain = dial(None, phone("1.5", "103", made)), dial(None, phone("1.6", "104", made))
    made.legs.pick_up(asked)
    for leg in (asked, in_vain):
        made.transfers.add(Transfer("attended", "101", leg.party, 4.0, consulting=leg))
    assert [each.to for each in summarise(made, 9.0, True).transfers] == ["104"]


def test_who_rang() -> None:
    """In the order in which they rang, each once; no leg that is older than the call."""
    made = missed()
    for number, (extension, at, rang) in enumerate([("103", 2.0, 4.0), ("102", 2.0, 3.0), ("101", 5.0, 5.0)], start=5):
        dial(made.source, phone(f"1.{number}", extension, made), at=at, rang_at=rang)
    dial(made.source, phone("1.9", "109", made), at=-1.0, rang_at=1.0)
    dial(made.source, phone("1.10", "110", made), at=2.0)
    assert summarise(made, 9.0, True).rang == ("101", "102", "103")


@pytest.mark.parametrize(
    ("up_at", "ended_at", "is_over", "secs"),
    [
        (None, 6.0, True, 5.0),
        (3.0, 6.0, True, 2.0),
        (None, None, True, 6.0),
        (None, None, False, 8.0),
        (None, 99.0, True, 6.0),
    ],
)
def test_ring_time(up_at: float | None, ended_at: float | None, is_over: bool, secs: float) -> None:
    """Until the last phone is silent: picked up, refused, at the end of the call at the latest."""
    made = missed()
    (leg,) = made.legs
    leg.channel.up_at, leg.ended_at = up_at, ended_at
    made.end = CallEnd(7.0) if is_over else None
    assert summarise(made, 9.0, True).ring_secs == secs


def test_no_ring() -> None:
    """A phone that never rang has no time."""
    made = missed()
    for leg in made.legs:
        leg.rang_at = None
    assert summarise(made, 9.0, True).ring_secs is None


def test_an_employee_s_own_mailbox() -> None:
    """It counts as theirs, but not of a group, nor behind a queue."""
    made = missed()
    made.recordings.has_voicemail = True
    assert summarise(made, 9.0, True).participations[0].outcome is Outcome.VOICEMAIL
    made.queue.entry = "sales"
    assert summarise(made, 9.0, True).participations[0].outcome is Outcome.NO_ANSWER
    made.queue.entry = ""
    made.participations.add(part("102", Outcome.NO_ANSWER))
    assert summarise(made, 9.0, True).participations[0].outcome is Outcome.NO_ANSWER


def test_several_parts_of_one_employee() -> None:
    """Their sums, and the best outcome."""
    made = missed()
    made.participations.add(part("101", Outcome.COMPLETED, began=10.0, ended=12.0, talk=3.0))
    (one,) = summarise(made, 20.0, True).participations
    assert (one.outcome, one.ring_secs, one.talk_secs) == (Outcome.COMPLETED, 7.0, 3.0)


@pytest.mark.parametrize(
    ("outcomes", "best"),
    [
        ([], None),
        ([None], None),
        ([Outcome.BUSY, Outcome.NO_ANSWER], Outcome.NO_ANSWER),
        ([Outcome.COMPLETED, Outcome.NO_ANSWER], Outcome.COMPLETED),
        ([Outcome.COMPLETED, Outcome.TRANSFERRED, None], Outcome.TRANSFERRED),
    ],
)
def test_best_outcome(outcomes: list[Outcome | None], best: Outcome | None) -> None:
    """Having talked outweighs a ring; of several alike the last counts."""
    assert best_outcome([part("101", outcome) for outcome in outcomes]) is best


def test_json() -> None:
    """What does not apply is null; a click has its result."""
    line = MISSED.as_json()
    assert (line["call_id"], line["direction"], line["status"], line["rang"]) == (
        "main-1.0",
        "inbound",
        "no-answer",
        ["101"],
    )
    assert [line[key] for key in ("answered_by", "recording", "queue", "did", "caller", "called")] == [None] * 6
    assert "click2call" not in line
    more = summary(
        click=ClickResult(outcome="completed", words="x"),
        transfers=(TransferSummary(type="blind", by="101", to="102", answered=True),),
        participations=(ParticipationSummary(extension="101", outcome=None, ring_secs=1.0, talk_secs=0.0),),
    ).as_json()
    assert more["click2call"] == {"outcome": "completed", "words": "x"}
    assert more["transfers"] == [{"type": "blind", "by": "101", "to": "102", "answered": True}]
    assert more["participations"] == [{"extension": "101", "outcome": None, "ring_secs": 1.0, "talk_secs": 0.0}]
