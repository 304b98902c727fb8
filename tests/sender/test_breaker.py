"""When the sender sends: the pure part of it."""

from __future__ import annotations

import pytest

from uac_trio.crm.reply import Ruling, Verdict
from uac_trio.sender.breaker import BreakerState, CircuitBreaker, ConcurrencyLimit, SenderSettings, backoff
from uac_trio.sender.client import MAX_BODY

OPEN, HALF_OPEN = BreakerState.OPEN, BreakerState.HALF_OPEN


def verdict(ruling: Ruling) -> Verdict:
    return Verdict(ruling=ruling, words=ruling.value)


def test_backoff() -> None:
    """Doubles from the least to the most, a quarter to either side by chance; no number of failures overflows it."""
    assert [backoff(n, 2, 300, 0.5) for n in (1, 2, 3, 8, 9, 10_000)] == [2, 4, 8, 256, 300, 300]
    assert backoff(1, 2, 300, 0.0) == 1.5
    assert backoff(1, 2, 300, 0.999) == pytest.approx(2.5, abs=0.01)


def test_breaker_opens_and_lets_one_through() -> None:
    """After a failure that would meet all: none, then one, at growing pauses; a good answer closes it."""
    breaker = CircuitBreaker(SenderSettings(in_flight=3))
    assert breaker.state(0) is BreakerState.CLOSED
    assert breaker.note(verdict(Ruling.AWAY), 100, 0.5)
    assert (breaker.state(101.9), breaker.state(102), breaker.since) == (OPEN, HALF_OPEN, 100)
    # Two more were in flight when the first failed: their failures are the same one.
    assert not breaker.note(verdict(Ruling.AWAY), 101, 0.5)
    assert breaker.until == 102
    assert not breaker.note(verdict(Ruling.AWAY), 102, 0.5)
    assert (breaker.until, breaker.since) == (106, 100)
    for _ in range(20):
        breaker.note(verdict(Ruling.AWAY), breaker.until, 0.5)
    before = breaker.until
    breaker.note(verdict(Ruling.AWAY), before, 0.5)
    assert breaker.until == before + 30
    assert breaker.note(verdict(Ruling.DELIVERED), before, 0.5)
    assert (breaker.state(before), breaker.trouble, breaker.since) == (BreakerState.CLOSED, None, None)
    assert not breaker.note(verdict(Ruling.DELIVERED), before, 0.5)


def test_configuration_errors_are_reported_again() -> None:
    """An administrator has to act, so each try that still fails is reported; so is a change of the trouble."""
    breaker = CircuitBreaker(SenderSettings(in_flight=1))
    assert breaker.note(verdict(Ruling.AWAY), 0, 0.5)
    assert breaker.note(verdict(Ruling.AUTH_FAILED), 1, 0.5)
    assert breaker.note(verdict(Ruling.AUTH_FAILED), breaker.until, 0.5)
    assert not breaker.note(verdict(Ruling.AUTH_FAILED), breaker.until - 1, 0.5)
    assert breaker.note(verdict(Ruling.AWAY), breaker.until, 0.5)


def test_one_slow_request_does_not_open_the_breaker() -> None:
    """As many unanswered ones in a row as are sent at once do."""
    breaker = CircuitBreaker(SenderSettings(in_flight=2))
    assert not breaker.note(verdict(Ruling.UNKNOWN), 0, 0.5)
    assert not breaker.note(verdict(Ruling.PARKED), 0, 0.5)
    assert not breaker.note(verdict(Ruling.UNKNOWN), 0, 0.5)
    assert breaker.state(0) is BreakerState.CLOSED
    assert breaker.note(verdict(Ruling.UNKNOWN), 0, 0.5)
    assert breaker.state(0) is OPEN


def test_breaker_takes_the_crm_at_its_word() -> None:
    """Retry-After lengthens the pause and never shortens it; more than our own longest pause is not believed."""
    for asked, pause in ((0.0, 2), (1.0, 2), (45.0, 45), (86_400.0, 300)):
        breaker = CircuitBreaker(SenderSettings())
        breaker.note(Verdict(ruling=Ruling.AWAY, retry_after=asked), 0, 0.5)
        assert breaker.until == pause


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (0.0, OPEN),
        (-60.0, OPEN),
        (-320.0, OPEN),
        (-400.0, HALF_OPEN),
        (-3600.0, HALF_OPEN),
        (-86_400.0, HALF_OPEN),
        (3600.0, HALF_OPEN),
    ],
)
def test_the_clock_is_set(step: float, state: BreakerState) -> None:
    """A pause that is longer than any can be is over; a short step back makes it longer, not endless."""
    settings = SenderSettings()
    breaker = CircuitBreaker(settings)
    breaker.note(verdict(Ruling.AWAY), 10_000, 0.5)
    assert breaker.state(10_000 + step) is state
    if state is HALF_OPEN:
        assert not breaker.note(verdict(Ruling.AWAY), 10_000 + step, 0.5), "the same trouble, which was reported"
        assert breaker.until == 10_000 + step + 4


GOOD, AWAY, UNKNOWN = Ruling.DELIVERED, Ruling.AWAY, Ruling.UNKNOWN


def limit(most: int = 4, at_once: float = 4.0, usual: float = 0.0, cut_at: float = 0.0) -> ConcurrencyLimit:
    made = ConcurrencyLimit(most, at_once=at_once, usual=usual)
    if cut_at:
        made.note(AWAY, cut_at, cut_at)
        made.at_once = at_once
    return made


@pytest.mark.parametrize(
    ("before", "ruling", "took", "at_once"),
    [
        # A good answer: a tenth more, up to the setting.
        (limit(at_once=1.0, usual=0.1), GOOD, 0.1, 1.1),
        (limit(usual=0.1), GOOD, 0.1, 4.0),
        # So is one within half a second, whatever is usual, and within four times the usual.
        (limit(at_once=2.0, usual=0.01), GOOD, 0.5, 2.1),
        (limit(at_once=2.0, usual=1.0), GOOD, 3.9, 2.1),
        # The first answer is the usual one.
        (limit(), GOOD, 10.0, 4.0),
        # A slow one halves, down to one.
        (limit(usual=0.1), GOOD, 0.6, 2.0),
        (limit(usual=1.0), GOOD, 4.2, 2.0),
        (limit(at_once=1.5, usual=0.1), GOOD, 9.0, 1.0),
        # Whatever it says.
        (limit(usual=0.1), Ruling.PARKED, 0.6, 2.0),
        # A 500 that comes as quickly as ever shows nothing of the load.
        (limit(at_once=2.0, usual=0.1), Ruling.PROBABLY, 0.1, 2.1),
        # No reply at all, or no server there: one.
        (limit(usual=0.1), UNKNOWN, 15.0, 1.0),
        (limit(usual=0.1), AWAY, 0.001, 1.0),
        # It was on the wire when the last cut was made.
        (limit(at_once=2.0, usual=0.1, cut_at=100.5), GOOD, 0.9, 2.0),
    ],
)
def test_limit(before: ConcurrencyLimit, ruling: Ruling, took: float, at_once: float) -> None:
    """How many at once after an answer to what was sent at 100."""
    before.note(ruling, took, 100.0 + took)
    assert before.at_once == pytest.approx(at_once)


def test_limit_of_a_crm_that_slows_and_recovers() -> None:
    """Eight at once, then slow answers: one; then quick ones: eight again, after 70 of them."""
    eight, now = limit(8, at_once=8.0, usual=0.05), 0.0
    for _ in range(3):
        eight.note(GOOD, 2.0, now + 2.0)
        now += 2.0
    assert eight.at_once == 1.0
    answers = 0
    while int(eight.at_once) < 8:
        eight.note(GOOD, 0.05, now + 0.05)
        now, answers = now + 0.05, answers + 1
    assert answers in (70, 71)


def test_limit_of_a_crm_that_became_slow_for_good() -> None:
    """After some hundred answers its new time is the usual one, and it is asked as much as before."""
    four, now = limit(usual=0.05), 0.0
    for _ in range(150):
        four.note(GOOD, 1.0, now + 1.0)
        now += 1.0
    assert int(four.at_once) == 4


def test_limit_begins_with_all_and_rises_slowly_after_an_outage() -> None:
    """A CRM that was away gets one request at a time at first."""
    three = ConcurrencyLimit(3)
    assert three.at_once == 3
    three.note(AWAY, 0, 0)
    three.note(GOOD, 0, 2)
    assert int(three.at_once) == 1
    for now in range(10, 40):
        three.note(GOOD, 0.05, now)
    assert three.at_once == 3


def test_the_lease_outlives_the_request() -> None:
    """Whatever the settings: longer than we may wait for three answers, and than the CRM may work on it."""
    for chosen in (SenderSettings(), SenderSettings(unknown_pause=0.1), SenderSettings(reply_timeout=100.0)):
        assert chosen.lease_seconds > 3 * (chosen.connect_timeout + chosen.reply_timeout)
        assert chosen.lease_seconds > chosen.connect_timeout + chosen.unknown_pause


def test_the_limit_of_a_body_is_above_what_vtiger_says() -> None:
    """Its longest answer names every user with an extension."""
    a_thousand_users = 1000 * len("<Number>SIP/10001</Number>")
    assert a_thousand_users < MAX_BODY


def test_the_usual_time_falls() -> None:
    """A CRM that became quicker is measured by its new time: what was usual before is slow now."""
    one = limit(most=8, at_once=8.0, usual=2.0)
    one.note(GOOD, 0.6, 1.0)
    assert one.usual == 0.6
    one.note(GOOD, 3.0, 10.0)
    assert one.at_once == 4.0


def test_no_pause_is_longer_than_the_longest() -> None:
    """It bounds retries, leases and the breaker: a clock that was set back by more does not hold anything back."""
    for chosen in (
        SenderSettings(),
        SenderSettings(retry_max=1000.0),
        SenderSettings(unknown_pause=2000.0),
        SenderSettings(reply_timeout=300.0),
        SenderSettings(away_max=3000.0),
    ):
        longest = chosen.longest_pause
        assert longest > max(chosen.lease_seconds, chosen.unknown_pause, chosen.retry_max, chosen.away_max)
        assert longest > chosen.retry_max + chosen.away_max


@pytest.mark.parametrize(("ruling", "most"), [(AWAY, 30.0), (Ruling.AUTH_FAILED, 300.0), (Ruling.MISCONFIGURED, 300.0)])
def test_the_longest_pause_of_an_open_breaker(ruling: Ruling, most: float) -> None:
    """A CRM that is away is looked for often; one that an administrator must mend, rarely."""
    breaker, now = CircuitBreaker(SenderSettings()), 0.0
    for _ in range(20):
        breaker.note(Verdict(ruling=ruling, words=""), now, 0.5)
        pause, now = breaker.until - now, breaker.until
    assert pause == most
