"""What the rows of one call show beside one another: who was answered while whose phone rang, and for how long.

A call may have thousands of rows (a queue that rings twenty members for half an hour), so nothing here compares each
row with each other one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from uac_trio.calls.names import parse_channel_name
from uac_trio.cdr.people import part_of
from uac_trio.cdr.reading import AT_ONCE, CONFERENCES, RowInCall, is_connected
from uac_trio.cdr.row import Disposition

MOMENT = 0.001
"""Seconds between what follows from one another at one time."""

CUT = 2.0
"""Seconds by which the end of one row and the answer of another may be off from each other: both are made of whole
seconds, cut."""

Dial = tuple[str, str]
"""Uniqueid of the channel that dialled, and what it dialled."""


@attrs.define
class CallRows:
    """The rows of one call, in order."""

    rows: Sequence[RowInCall]
    _connected: list[bool] = attrs.field(init=False)
    _answers: list[RowInCall] = attrs.field(init=False)
    """Rows of connected channels, without those of callees who ask a colleague."""
    _asking: list[RowInCall] = attrs.field(init=False)
    """Connected rows of who may ask a colleague."""
    _answered: frozenset[str] = attrs.field(init=False)
    """Names of the channels that were answered."""
    _by_dial: dict[Dial, list[RowInCall]] = attrs.field(factory=dict, init=False)
    _congested: frozenset[int] = attrs.field(init=False)
    """Indexes of rows after which the caller heard Congestion()."""

    def __attrs_post_init__(self) -> None:
        rows = self.rows
        self._connected = [is_connected(each) for each in rows]
        self._answers = [each for each in rows if self.is_connected(each) and not each.is_dialled]
        first = rows[0].row.linkedid if rows else ""
        self._asking = [
            each for each in rows if self.is_connected(each) and (each.is_dialled or each.row.linkedid != first)
        ]
        self._asking += [each for each in self._answers if self._asking and each not in self._asking]
        self._answered = frozenset(each.far for each in self._answers)
        for each in rows:
            self._by_dial.setdefault(_dial(each), []).append(each)
        self._congested = frozenset(each.before_index for each in rows if each.row.app == "Congestion" and not each.far)

    def __iter__(self) -> Iterator[RowInCall]:
        return iter(self.rows)

    @property
    def has_talk(self) -> bool:
        return any(self._connected)

    def is_connected(self, each: RowInCall) -> bool:
        """The two channels of the row were connected (reading.CONNECTED)."""
        return self._connected[each.index]

    def goes_on(self, each: RowInCall) -> bool:
        """Its far end is in a row that was answered."""
        return each.far in self._answered

    def is_refused(self, each: RowInCall) -> bool:
        """Its far end was dialled, and never answered."""
        is_dial = bool(each.far) and each.row.app not in CONFERENCES
        return is_dial and not self.is_connected(each) and not self.goes_on(each)

    def is_congested(self, each: RowInCall) -> bool:
        """Refused at once, and the caller then hears Congestion(): what was dialled could not be reached."""
        return each.row.duration < 1 and each.index in self._congested

    def is_forwarding(self, each: RowInCall) -> bool:
        """The phone sent the call on (302): a Local channel follows that the same Dial() does not name
        (apps/app_dial.c, ``do_forward``)."""
        row = each.row
        if row.app != "Dial" or row.duration >= 2 or self.is_connected(each):
            return False
        if not parse_channel_name(row.dstchannel).is_person:
            return False
        return any(
            parse_channel_name(other.far).technology == "Local"
            and not part_of(other.row.data, other.far)
            and abs(other.row.start - row.end) <= 1
            for other in self._by_dial[_dial(each)]
        )

    def answered_at(self, each: RowInCall) -> float:
        """Of a channel that was answered before it dialled, the row does not show it. But the other phones that rang
        beside this one fell silent then."""
        row = each.row
        if row.answered_at - row.start >= AT_ONCE:
            return row.answered_at
        silent = [
            other.row.end
            for other in self._by_dial[_dial(each)]
            if not self.is_connected(other) and abs(other.row.start - row.start) <= 1 and other.row.end <= row.end
        ]
        return max(silent, default=row.answered_at)

    def answer_near(self, each: RowInCall) -> float | None:
        """When another was answered who was dialled beside this one: it ended the ringing here. Who is dialled after
        this one, in a hunt group, did not."""
        row = each.row
        near: list[float] = []
        for other in self._answers:
            if other.far == each.far:
                continue
            answered_at = self.answered_at(other)
            if row.disposition is Disposition.ANSWERED and other.row.uniqueid == row.uniqueid:
                near.append(max(answered_at, row.start))  # taken from this phone
            elif abs(answered_at - row.end) <= CUT and self._dialled_at(other) < max(row.end - 1, row.start + MOMENT):
                near.append(max(answered_at, row.start))
        return max(near, default=None)

    def stretch(self, each: RowInCall) -> tuple[float, float] | None:
        """When the two heard each other: not while the far end was asked by a colleague, whose row names it too. None:
        never."""
        row = each.row
        begin, end = self.answered_at(each), row.end
        if each.is_dialled:
            return begin, end
        for other in self._asking:
            is_asking = other.is_dialled or other.row.linkedid != row.linkedid
            if not is_asking or other.far != each.far or other.row.uniqueid == row.uniqueid:
                continue
            if other.row.answered_at <= begin + 1 < other.row.end:
                begin = other.row.end
        return (begin, end) if begin <= end + 1 else None

    def _dialled_at(self, each: RowInCall) -> float:
        """When the Dial() began that led to this row: a picked up or optimised call has later rows of the same."""
        if each.row.app != "Dial":
            return each.row.start
        return min(other.row.start for other in self._by_dial[_dial(each)])


def _dial(each: RowInCall) -> Dial:
    return each.row.uniqueid, each.row.data
