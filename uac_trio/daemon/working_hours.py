"""Working hours: when a PBX without calls is suspicious. Pure, in the time zone of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

import attrs

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")
MOST_DAYS = 31
"""Days looked back at most."""


def _days(days: Iterable[str]) -> tuple[str, ...]:
    return tuple(days)


def _known_days(_: object, __: object, days: tuple[str, ...]) -> None:
    if unknown := [day for day in days if day not in DAYS]:
        raise ValueError(f"expected days of {', '.join(DAYS)}, found {unknown[0]!r}")


def _hours(_: object, __: object, hours: str) -> None:
    minutes_of(hours)


def minutes_of(hours: str) -> tuple[int, int]:
    """Beginning and end in minutes of the day. Raises ValueError."""
    found = _HOURS.fullmatch(hours)
    begin, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (0, 0)
    if not begin < end <= 24 * 60:
        raise ValueError(f"expected hours as 09:00-18:00, found {hours!r}")
    return begin, end


@attrs.frozen(kw_only=True)
class WorkingHours:
    """The ``[alerts]`` table: when calls are expected."""

    working_days: tuple[str, ...] = attrs.field(default=DAYS[:5], converter=_days, validator=_known_days)
    """Days on which calls are expected."""
    working_hours: str = attrs.field(default="09:00-18:00", validator=_hours)
    """Hours of these days, in the time zone of this machine."""
    no_call_hours: float = attrs.field(default=4.0, validator=attrs.validators.ge(0))
    """Hours of work without a call, at a PBX that is connected, after which that is reported; 0 = never."""

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
