from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from uac_trio.daemon.working_hours import WorkingHours


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone with summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    """``2026-11-23 09:00`` by the clock on the wall. 23 November 2026 is a Monday."""
    return datetime.fromisoformat(text).astimezone().timestamp()


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        pytest.param("2026-11-23 10:00", "2026-11-23 13:30", 3.5, id="within a day"),
        pytest.param("2026-11-23 07:00", "2026-11-23 10:00", 1, id="before they begin"),
        pytest.param("2026-11-23 17:00", "2026-11-23 23:00", 1, id="after they end"),
        pytest.param("2026-11-23 17:00", "2026-11-24 11:00", 3, id="over a night"),
        pytest.param("2026-11-27 17:00", "2026-11-30 10:00", 2, id="over a weekend"),
        pytest.param("2026-11-28 09:00", "2026-11-29 18:00", 0, id="a weekend"),
        pytest.param("2026-11-23 10:00", "2026-11-23 10:00", 0, id="nothing"),
        pytest.param("2026-11-23 12:00", "2026-11-23 10:00", 0, id="a clock set back"),
        pytest.param("2026-03-27 17:00", "2026-03-30 10:00", 2, id="over the beginning of summer time"),
        pytest.param("2026-10-23 17:00", "2026-10-26 10:00", 2, id="over its end"),
    ],
)
def test_seconds(since: str, until: str, hours: float) -> None:
    """Working hours between two times; nights and weekends do not count."""
    assert WorkingHours().seconds(at(since), at(until)) == hours * 3600


def test_a_long_time_is_cut() -> None:
    """A connection of years is not counted day by day."""
    assert WorkingHours().seconds(0.0, at("2026-11-23 12:00")) == pytest.approx(
        WorkingHours().seconds(at("2026-10-23 12:00"), at("2026-11-23 12:00"))
    )


def test_round_the_clock() -> None:
    """Every day from 0 to 24."""
    hours = WorkingHours(working_days=["mon", "tue", "wed", "thu", "fri", "sat", "sun"], working_hours="00:00-24:00")
    assert hours.seconds(at("2026-11-27 17:00"), at("2026-11-30 10:00")) == 65 * 3600


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"working_hours": "9-18"}, "expected hours as 09:00-18:00, found '9-18'"),
        ({"working_hours": "18:00-09:00"}, "expected hours as"),
        ({"working_hours": "09:00-24:30"}, "expected hours as"),
        ({"working_days": ["monday"]}, "expected days of mon, tue, wed, thu, fri, sat, sun, found 'monday'"),
        ({"no_call_hours": -1}, "no_call_hours"),
    ],
)
def test_settings_that_cannot_be(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WorkingHours(**setting)
