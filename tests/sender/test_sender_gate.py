"""When the sender sends: the pure part of it."""

from __future__ import annotations

import pytest

from uac_trio.sender import MAX_BODY, Gate, Pace, SenderSettings, backoff, paced
from uac_trio.vtiger.reply import Ruling, Verdict


def verdict(ruling: Ruling) -> Verdict:
    return Verdict(ruling=ruling, words=ruling.value)


def test_backoff() -> None:
    """Doubles from the least to the most, a quarter to either side by chance; no number of failures overflows it."""
    assert [backoff(n, 2, 300, 0.5) for n in (1, 2, 3, 8, 9, 10_000)] == [2, 4, 8, 256, 300, 300]
    assert backoff(1, 2, 300, 0.0) == 1.5
    assert backoff(1, 2, 300, 0.999) == pytest.approx(2.5, abs=0.01)


def test_gate_closes_and_lets_one_through() -> None:
    """After a failure that would meet all: none, then one, at growing pauses; a good answer opens it."""
    gate = Gate(SenderSettings(in_flight=3))
    assert gate.slots(0) == 3
    assert gate.note(verdict(Ruling.AWAY), 100, 0.5)
    assert (gate.slots(101.9), gate.slots(102), gate.since) == (0, 1, 100)
    # Two more were in flight when the first failed: their failures are the same one.
    assert not gate.note(verdict(Ruling.AWAY), 101, 0.5)
    assert gate.until == 102
    assert not gate.note(verdict(Ruling.AWAY), 102, 0.5)
    assert (gate.until, gate.since) == (106, 100)
    for _ in range(20):
        gate.note(verdict(Ruling.AWAY), gate.until, 0.5)
    before = gate.until
    gate.note(verdict(Ruling.AWAY), before, 0.5)
    assert gate.until == before + 30
    assert gate.note(verdict(Ruling.DELIVERED), before, 0.5)
    assert (gate.slots(before), gate.trouble, gate.since) == (3, None, None)
    assert not gate.note(verdict(Ruling.DELIVERED), before, 0.5)


def test_gate_tells_configuration_errors_again() -> None:
    """An administrator has to act, so each try that still fails is told; a change of the trouble is told too."""
    gate = Gate(SenderSettings(in_flight=1))
    assert gate.note(verdict(Ruling.AWAY), 0, 0.5)
    assert gate.note(verdict(Ruling.AUTH_FAILED), 1, 0.5)
    assert gate.note(verdict(Ruling.AUTH_FAILED), gate.until, 0.5)
    assert not gate.note(verdict(Ruling.AUTH_FAILED), gate.until - 1, 0.5)
    assert gate.note(verdict(Ruling.AWAY), gate.until, 0.5)


def test_one_slow_request_does_not_close_the_gate() -> None:
    """As many unanswered ones in a row as are sent at once do."""
    gate = Gate(SenderSettings(in_flight=2))
    assert not gate.note(verdict(Ruling.UNKNOWN), 0, 0.5)
    assert not gate.note(verdict(Ruling.PARKED), 0, 0.5)
    assert not gate.note(verdict(Ruling.UNKNOWN), 0, 0.5)
    assert gate.slots(0) == 2
    assert gate.note(verdict(Ruling.UNKNOWN), 0, 0.5)
    assert gate.slots(0) == 0


def test_gate_takes_the_crm_at_its_word() -> None:
    """Retry-After lengthens the pause and never shortens it; more than our own longest pause is not believed."""
    for asked, pause in ((0.0, 2), (1.0, 2), (45.0, 45), (86_400.0, 300)):
        gate = Gate(SenderSettings())
        gate.note(Verdict(ruling=Ruling.AWAY, retry_after=asked), 0, 0.5)
        assert gate.until == pause


GOOD, AWAY, UNKNOWN = Ruling.DELIVERED, Ruling.AWAY, Ruling.UNKNOWN


@pytest.mark.parametrize(
    ("before", "ruling", "took", "at_once"),
    [
        # A good answer: a tenth more, up to the setting.
        (Pace(at_once=1.0, usual=0.1), GOOD, 0.1, 1.1),
        (Pace(at_once=4.0, usual=0.1), GOOD, 0.1, 4.0),
        # So is one within half a second, whatever is usual, and within four times the usual.
        (Pace(at_once=2.0, usual=0.01), GOOD, 0.5, 2.1),
        (Pace(at_once=2.0, usual=1.0), GOOD, 3.9, 2.1),
        # The first answer is the usual one.
        (Pace(at_once=4.0), GOOD, 10.0, 4.0),
        # A slow one halves, down to one.
        (Pace(at_once=4.0, usual=0.1), GOOD, 0.6, 2.0),
        (Pace(at_once=4.0, usual=1.0), GOOD, 4.2, 2.0),
        (Pace(at_once=1.5, usual=0.1), GOOD, 9.0, 1.0),
        # Whatever it says.
        (Pace(at_once=4.0, usual=0.1), Ruling.PARKED, 0.6, 2.0),
        # A 500 that comes as quickly as ever tells nothing of the load.
        (Pace(at_once=2.0, usual=0.1), Ruling.PROBABLY, 0.1, 2.1),
        # None at all, or nobody there: one.
        (Pace(at_once=4.0, usual=0.1), UNKNOWN, 15.0, 1.0),
        (Pace(at_once=4.0, usual=0.1), AWAY, 0.001, 1.0),
        # It was on the wire when the last cut was made.
        (Pace(at_once=2.0, usual=0.1, cut_at=100.5), GOOD, 0.9, 2.0),
    ],
)
def test_pace(before: Pace, ruling: Ruling, took: float, at_once: float) -> None:
    """How many at once after an answer to what was sent at 100."""
    assert paced(before, ruling, 100.0, 100.0 + took, 4).at_once == pytest.approx(at_once)


def test_pace_of_a_crm_that_slows_and_recovers() -> None:
    """Eight at once, then slow answers: one; then quick ones: eight again, after 70 of them."""
    pace, now = Pace(at_once=8.0, usual=0.05), 0.0
    for _ in range(3):
        pace, now = paced(pace, GOOD, now, now + 2.0, 8), now + 2.0
    assert pace.at_once == 1.0
    answers = 0
    while int(pace.at_once) < 8:
        pace, now, answers = paced(pace, GOOD, now, now + 0.05, 8), now + 0.05, answers + 1
    assert answers in (70, 71)


def test_pace_of_a_crm_that_became_slow_for_good() -> None:
    """After some hundred answers its new time is the usual one, and it is asked as much as before."""
    pace, now = Pace(at_once=4.0, usual=0.05), 0.0
    for _ in range(150):
        pace, now = paced(pace, GOOD, now, now + 1.0, 4), now + 1.0
    assert int(pace.at_once) == 4


def test_gate_opens_slowly() -> None:
    """A CRM that was away gets one request at a time at first."""
    gate = Gate(SenderSettings(in_flight=3))
    gate.note(verdict(Ruling.AWAY), 0, 0.5, began=0)
    gate.note(verdict(Ruling.DELIVERED), gate.until, 0.5, began=gate.until)
    assert gate.slots(gate.until) == 1
    for now in range(10, 40):
        gate.note(verdict(Ruling.DELIVERED), now, 0.5, began=now - 0.05)
    assert gate.slots(50) == 3


def test_the_lease_outlives_the_request() -> None:
    """Whatever the settings: longer than we may wait for an answer, and than the CRM may work on it after our death."""
    for chosen in (SenderSettings(), SenderSettings(unknown_pause=0.1), SenderSettings(reply_timeout=100.0)):
        assert chosen.lease_seconds > 2 * (chosen.connect_timeout + chosen.reply_timeout)
        assert chosen.lease_seconds > chosen.connect_timeout + chosen.unknown_pause


@pytest.mark.parametrize("wrong", [{"in_flight": 0}, {"in_flight": 50}, {"reply_timeout": 0}, {"shutdown_grace": -1}])
def test_settings_have_bounds(wrong: dict[str, float]) -> None:
    """Fifty at once would only make vTiger slower."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SenderSettings(**wrong)  # type: ignore[arg-type]


def test_the_limit_of_a_body_is_above_what_vtiger_says() -> None:
    """Its longest answer names every user with an extension."""
    a_thousand_users = 1000 * len("<Number>SIP/10001</Number>")
    assert a_thousand_users < MAX_BODY
