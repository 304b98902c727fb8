from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from uac_trio.settings.values import WrongValueError
from uac_trio.working_hours import DAYS, WorkingHours, days, hours


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
    ("since", "until", "expected"),
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
def test_seconds(since: str, until: str, expected: float) -> None:
    """Working hours between two times; nights and weekends do not count."""
    assert WorkingHours().seconds(at(since), at(until)) == expected * 3600


def test_a_long_time_is_cut() -> None:
    """A connection of years is not counted day by day."""
    assert WorkingHours().seconds(0.0, at("2026-11-23 12:00")) == pytest.approx(
        WorkingHours().seconds(at("2026-10-23 12:00"), at("2026-11-23 12:00"))
    )


def test_round_the_clock() -> None:
    """Every day from 0 to 24."""
    hours = WorkingHours(working_days=DAYS, working_hours="00:00-24:00")
    assert hours.seconds(at("2026-11-27 17:00"), at("2026-11-30 10:00")) == 65 * 3600


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (hours, "9-18", 'hours, "09:00-18:00"'),
        (hours, "18:00-09:00", 'hours, "09:00-18:00"'),
        (hours, "09:00-24:30", 'hours, "09:00-18:00"'),
        (hours, 9, "text in quotes"),
        (days, ["monday"], "a list of days: mon, tue, wed, thu, fri, sat, sun"),
        (days, "mon", "a list of names"),
    ],
)
def test_settings_that_cannot_be(read: Callable[[object], object], value: object, expected: str) -> None:
    with pytest.raises(WrongValueError, match=re.escape(expected)):
        read(value)


def test_settings() -> None:
    assert (hours("08:30-24:00"), days(["sat"])) == ("08:30-24:00", ("sat",))
