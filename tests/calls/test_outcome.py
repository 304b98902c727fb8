"""How an attempt ended: every row of what DialStatus and hangup causes real servers send, and what it means."""

from __future__ import annotations

import pytest

from tests.calls.simulator import Asterisk
from tests.calls.streams import records_of, run
from uac_trio.calls.fact import ParticipationEnded
from uac_trio.calls.outcome import Outcome, together


def attempt(
    callee: str, status: str, cause: int, *, rings: bool, own_end: bool, tech: str = "", repeated: bool = False
) -> tuple[str, str]:
    """One call that dials one phone or line in vain: (outcome of the employee's part, status of the call).

    ``own_end``: the phone or line hung up (HangupRequest); else the caller did (CANCEL) or Dial timed out.
    """
    pbx = Asterisk(lambda _: 0)
    earlier = pbx.calls_in("+79160000000", "4951000101")
    pbx.gives_up(earlier)  # so HangupRequests are heard here, and their absence means something
    pbx.now += 60.0
    inbound = len(callee) == 3
    caller = pbx.calls_in("+79161234567", "4951000101") if inbound else pbx.picks_up_phone("101", callee)
    (leg,) = pbx.dial(caller, [callee]).legs
    if rings:
        pbx.now += 1.0
        pbx.rings(leg)
    pbx.now += 2.0
    if status == "CANCEL" or own_end:
        pbx.asks_to_hang_up(leg if own_end else caller)
    for word in (status, "CANCEL") if repeated else (status,):
        if word:
            pbx.emit("DialEnd", pbx.channel(caller), pbx.channel(leg, "Dest"), {"DialStatus": word})
    pbx.emit("Hangup", pbx.channel(leg), {"Cause": str(cause), "TechCause": tech})
    pbx.emit("Hangup", pbx.channel(caller), {"Cause": "16"})
    facts = run(pbx.events)
    (ended,) = [fact for fact in facts if isinstance(fact, ParticipationEnded)]
    record = records_of(facts)[caller.linkedid]
    return ended.outcome.value, record["status"]


LINE = "+79161234567"


@pytest.mark.parametrize(
    ("callee", "status", "cause", "rings", "own_end", "tech", "outcome"),
    [
        pytest.param("101", "NOANSWER", 0, True, False, "", "no-answer", id="Dial timed out"),
        pytest.param("101", "CANCEL", 127, True, False, "487", "cancelled", id="caller gave up"),
        pytest.param("101", "CANCEL", 26, True, False, "", "answered-elsewhere", id="answered elsewhere"),
        pytest.param("101", "BUSY", 17, False, True, "486", "busy", id="486"),
        pytest.param("101", "BUSY", 17, True, True, "486", "busy", id="486 after ringing"),
        pytest.param("101", "NOANSWER", 21, True, True, "603", "rejected", id="603"),
        pytest.param("101", "NOANSWER", 21, True, True, "", "rejected", id="603 without TechCause"),
        pytest.param("101", "BUSY", 21, True, True, "", "rejected", id="603 of chan_sip"),
        pytest.param(LINE, "NOANSWER", 21, False, True, "403", "failed", id="403"),
        pytest.param(LINE, "NOANSWER", 21, False, True, "", "failed", id="403 without TechCause"),
        pytest.param(LINE, "NOANSWER", 21, True, True, "603", "rejected", id="603 of a line"),
        pytest.param(LINE, "NOANSWER", 1, False, True, "404", "failed", id="404"),
        pytest.param(LINE, "NOANSWER", 19, False, True, "480", "failed", id="480 at once"),
        pytest.param(LINE, "NOANSWER", 19, True, True, "480", "no-answer", id="480 after ringing"),
        pytest.param(LINE, "CONGESTION", 34, False, True, "503", "failed", id="503"),
        pytest.param(LINE, "NOANSWER", 38, False, True, "500", "failed", id="500"),
        pytest.param(LINE, "NOANSWER", 58, False, True, "488", "failed", id="488"),
        pytest.param(LINE, "NOANSWER", 102, False, True, "504", "failed", id="504"),
        pytest.param(LINE, "CHANUNAVAIL", 20, False, True, "", "failed", id="no contact"),
        pytest.param(LINE, "NOANSWER", 22, False, True, "410", "failed", id="number changed"),
        pytest.param(LINE, "BUSY", 17, True, True, "", "busy", id="600"),
        pytest.param("101", "DONTCALL", 16, True, False, "", "rejected", id="privacy manager: do not call"),
        pytest.param("101", "TORTURE", 16, True, False, "", "rejected", id="privacy manager: torture"),
        pytest.param("101", "GOTO:ctx,s,1", 16, True, False, "", "no-answer", id="open set of words"),
        pytest.param("101", "", 0, True, False, "", "no-answer", id="no DialEnd"),
        pytest.param("101", "", 17, True, False, "", "busy", id="no DialEnd, busy"),
    ],
)
def test_rows(callee: str, status: str, cause: int, rings: bool, own_end: bool, tech: str, outcome: str) -> None:
    """DialStatus is coarse; the cause of the called leg, where its own end hung up, decides the rest."""
    participation, call = attempt(callee, status, cause, rings=rings, own_end=own_end, tech=tech)
    assert participation == outcome
    assert call == ("no-answer" if outcome == "answered-elsewhere" else outcome)


def test_a_queue_repeats_dial_end() -> None:
    """A member that does not answer gets NOANSWER, then CANCEL: the first is meant."""
    assert attempt("101", "NOANSWER", 0, rings=True, own_end=False, repeated=True) == ("no-answer", "no-answer")


def test_a_copied_cause_is_not_believed() -> None:
    """A leg that Dial gave up has the cause of another that failed: no one declined here."""
    assert attempt("101", "NOANSWER", 21, rings=True, own_end=False) == ("no-answer", "no-answer")


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        ([], None),
        ([Outcome.BUSY], Outcome.BUSY),
        ([Outcome.BUSY, Outcome.NO_ANSWER], Outcome.NO_ANSWER),
        ([Outcome.FAILED, Outcome.BUSY], Outcome.BUSY),
        ([Outcome.NO_ANSWER, Outcome.CANCELLED], Outcome.CANCELLED),
        ([Outcome.REJECTED, Outcome.BUSY, Outcome.FAILED], Outcome.REJECTED),
        ([Outcome.ANSWERED_ELSEWHERE, Outcome.FAILED], Outcome.FAILED),
    ],
)
def test_several_attempts(outcomes: list[Outcome], word: Outcome | None) -> None:
    """Of several attempts in vain the one that came farthest names them all."""
    assert together(outcomes) is word
