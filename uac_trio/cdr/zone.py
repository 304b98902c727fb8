"""The moments of rows that hold a wall clock without its zone.

A uniqueid holds the epoch of its channel (main/channel.c). So a channel's first row less that epoch is the offset from
UTC, or a few seconds more where the row begins later than the channel; never less. That holds at a change of summer
time too, since every channel shows its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

import attrs

from uac_trio.calls.click import CHANNEL_ID_PREFIX
from uac_trio.calls.names import creation_order, whole
from uac_trio.cdr.cel import CelRow
from uac_trio.cdr.row import CdrRow

STEP = 900
"""Seconds: every zone in use is a multiple of a quarter of an hour away from UTC."""

_FARTHEST = 14 * 3600
_LATE = 600.0
"""Seconds by which a channel's first row may begin after the channel: an IVR, a transfer."""


def epoch_of(uniqueid: str) -> int | None:
    """When the channel was made; None where the uniqueid does not show it (one of a client's choosing)."""
    if uniqueid.startswith(CHANNEL_ID_PREFIX):  # ours: uac-EPOCH-...
        epoch = whole(uniqueid.removeprefix(CHANNEL_ID_PREFIX).partition("-")[0], 0)
    else:
        epoch = creation_order(uniqueid)[0]
    return epoch if epoch > 10**9 else None


def offset_of(first: CdrRow) -> int | None:
    """Seconds the wall clock of a channel's first row is ahead of UTC; None: it does not show it."""
    epoch = epoch_of(first.uniqueid)
    if first.is_absolute or epoch is None:
        return None
    ahead = first.start - epoch
    offset = math.floor((ahead + 1) / STEP) * STEP
    return offset if abs(offset) <= _FARTHEST and ahead - offset < _LATE else None


def offsets(rows: Iterable[CdrRow]) -> dict[int, int]:
    """How many channels show each offset, in seconds ahead of UTC; the most frequent first."""
    firsts: dict[str, CdrRow] = {}
    for row in rows:
        known = firsts.get(row.uniqueid)
        if known is None or _begun(row) < _begun(known):
            firsts[row.uniqueid] = row
    counts: dict[int, int] = {}
    for first in firsts.values():
        offset = offset_of(first)
        if offset is not None:
            counts[offset] = counts.get(offset, 0) + 1
    return dict(sorted(counts.items(), key=lambda entry: -entry[1]))


def offset_at(zone: tzinfo, at: float) -> int:
    """Seconds ``zone`` is ahead of UTC at a moment."""
    ahead = datetime.fromtimestamp(at, zone).utcoffset()
    return round(ahead.total_seconds()) if ahead is not None else 0


def placed(rows: Sequence[CdrRow], default: int) -> list[CdrRow]:
    """The rows of one call with their moments, in order. ``default``: the offset where no uniqueid of the call shows
    one."""
    of_call = next(iter(offsets(rows)), default)
    by_channel: dict[str, list[CdrRow]] = {}
    for row in sorted(rows, key=_begun):
        by_channel.setdefault(row.uniqueid, []).append(row)
    found = [row for of_channel in by_channel.values() for row in _of_channel(of_channel, of_call)]
    return sorted(found, key=lambda row: row.order)


def _begun(row: CdrRow) -> tuple[int, float]:
    """The order in which the rows of one channel were begun, though the clock may have been set back meanwhile."""
    return row.sequence, row.start


def _of_channel(rows: Sequence[CdrRow], of_call: int) -> Iterable[CdrRow]:
    """One channel's rows follow one another; where the wall clock jumps by an hour between them, it was changed."""
    shown = offset_of(rows[0])
    offset = of_call if shown is None else shown
    ended_at: float | None = None
    for row in rows:
        if row.is_absolute:
            yield row
            continue
        start = row.start - offset
        if ended_at is not None and abs(start - ended_at - 3600) <= 2:
            offset += 3600
        elif ended_at is not None and abs(start - ended_at + 3600) <= 2:
            offset -= 3600
        start = row.start - offset
        ended_at = start + row.duration
        yield attrs.evolve(row, start=start, is_absolute=True)


def placed_cel(rows: Sequence[CelRow], default: int) -> list[CelRow]:
    """The same for CEL rows, whose first of each channel is written as the channel is made."""
    offsets: dict[str, int] = {}
    found: list[CelRow] = []
    for row in sorted(rows, key=lambda row: (row.order if not row.is_absolute else 0, row.at)):
        epoch = epoch_of(row.uniqueid)
        if not row.is_absolute and row.type == "CHAN_START" and epoch is not None:
            offsets[row.uniqueid] = round((row.at - epoch) / STEP) * STEP
        offset = 0 if row.is_absolute else offsets.get(row.uniqueid, default)
        found.append(attrs.evolve(row, at=row.at - offset, is_absolute=True))
    return found
