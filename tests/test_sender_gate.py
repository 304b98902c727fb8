"""When the sender sends: the pure part of it."""

from __future__ import annotations

import pytest

from uac_trio.sender import MAX_BODY, Gate, SenderSettings, backoff
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
