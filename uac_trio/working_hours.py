"""Working hours: when a PBX without calls is suspicious. Pure, in the time zone of this machine."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import attrs

from uac_trio.settings import setting, values

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")
MOST_DAYS = 31
"""Days looked back at most."""


def hours(value: object) -> str:
    """Reads ``09:00-18:00``."""
    try:
        minutes_of(values.text(value))
    except ValueError as why:
        raise values.WrongValueError('hours, "09:00-18:00"') from why
    return values.text(value)


def days(value: object) -> tuple[str, ...]:
    """Reads ``["mon", "tue"]``."""
    given = values.words(value)
    if any(day not in DAYS for day in given):
        raise values.WrongValueError(f"a list of days: {', '.join(DAYS)}")
    return given


def minutes_of(text: str) -> tuple[int, int]:
    """Beginning and end in minutes of the day. Raises ValueError."""
    found = _HOURS.fullmatch(text)
    begin, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (0, 0)
    if not begin < end <= 24 * 60:
        raise ValueError(f"expected hours as 09:00-18:00, found {text!r}")
    return begin, end


@attrs.frozen(kw_only=True)
class WorkingHours:
    """The ``[alerts]`` table: when calls are expected."""

    working_days: tuple[str, ...] = attrs.field(
        default=DAYS[:5], metadata=setting(days, "Days on which calls are expected.")
    )
    working_hours: str = attrs.field(
        default="09:00-18:00",
        metadata=setting(hours, "Hours of these days, in the time zone of this machine."),
    )
    no_call_hours: int = attrs.field(
        default=4,
        metadata=setting(
            values.whole(0, 1000),
            "Working hours without a call, at a PBX that is connected, after which the condition `no_calls` is "
            "reported ([conditions.md](conditions.md)); 0 = never.",
        ),
    )

    def __str__(self) -> str:
        return f"{', '.join(self.working_days)} {self.working_hours}"

    def seconds(self, since: float, until: float) -> float:
        """How much of that time was working hours, in seconds."""
        begin, end = minutes_of(self.working_hours)
        since = max(since, until - MOST_DAYS * 86400)
        first = datetime.fromtimestamp(since).astimezone()
        day, total = first.replace(hour=0, minute=0, second=0, microsecond=0), 0.0
        last = datetime.fromtimestamp(until).astimezone()
        while day <= last:
            if DAYS[day.weekday()] in self.working_days:
                opens, closes = (_at(day, minutes) for minutes in (begin, end))
                total += max(0.0, min(until, closes) - max(since, opens))
            day = _next(day)
        return total


def _at(day: datetime, minutes: int) -> float:
    """That minute of the day by the clock on the wall, in seconds since the epoch."""
    wall = day.replace(tzinfo=None) + timedelta(minutes=minutes)
    return wall.astimezone().timestamp()


def _next(day: datetime) -> datetime:
    """The next midnight, also where summer time begins or ends between."""
    return (day.replace(tzinfo=None) + timedelta(days=1)).astimezone()
