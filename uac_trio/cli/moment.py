"""``--since`` and ``--until``: times as people type them."""

from __future__ import annotations

import re
from datetime import datetime

import click

from uac_trio.clock import now

EXPECTED = (
    'a time such as "2026-11-28 09:30" (of this machine\'s zone, or with +03:00), 09:30 of today, or 30m, 12h or 3d ago'
)
_AGO = re.compile(r"(\d{1,6})\s*([mhd])")
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
_TODAY = re.compile(r"(\d\d?):(\d\d)")


def moment(text: str, at: float) -> float:
    """Seconds since the epoch, 0 at least. ``at``: now. Raises ValueError for what is no such time."""
    text = text.strip()
    if ago := _AGO.fullmatch(text):
        return max(0.0, at - int(ago[1]) * _UNITS[ago[2]])
    if today := _TODAY.fullmatch(text):
        begin = datetime.fromtimestamp(at).astimezone()
        return begin.replace(hour=int(today[1]), minute=int(today[2]), second=0, microsecond=0).timestamp()
    return max(0.0, datetime.fromisoformat(text).timestamp())


def chosen_moment(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """The callback of an option that takes such a time; None where it is not given."""
    if value is None:
        return None
    try:
        return moment(value, now())
    except (ValueError, OverflowError) as why:
        raise click.BadParameter(f"{value!r} is no time; expected {EXPECTED}", ctx, param) from why
