"""The rows of one call as the channel events that the call model reads: the adapter for CDR, beside those for AMI.

A row is turned into the channels it names, a dial, its answer or its end, a bridge while the two were connected. What
CDR does not hold (who rang, hold, causes) no event is made of.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import attrs

from uac_trio.calls.channel_events import (
    BridgeEntered,
    BridgeLeft,
    CdrWritten,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelHungUp,
    ChannelState,
    ChannelView,
    DialBegan,
    DialEnded,
    DialProgressed,
    HoldChanged,
    QueueJoined,
    QueueLeft,
)
from uac_trio.calls.names import parse_channel_name
from uac_trio.cdr.people import part_of
from uac_trio.cdr.reading import AT_ONCE, CONFERENCES, RowInCall, on_another_line
from uac_trio.cdr.row import CdrRow, Disposition

MOMENT = 0.001
"""Seconds between what follows from one another at one time."""

CUT = 2.0
"""Seconds by which the end of one row and the answer of another may be off from each other: both are made of whole
seconds, cut."""

CDR = "Cdr"
"""The name of all these events, for people."""


class Phase(enum.IntEnum):
    """The order of what happens at one time."""

    LEFT = 0
    DIALLED = 1
    ANSWERED = 2
    ENDED = 3
    HUNG_UP = 4


class When(NamedTuple):
    """Of what happens at one time the phase decides, then the row. A named tuple, since it is what sorting takes."""

    at: float
    phase: Phase
    row: int


@attrs.frozen
class Timed:
    """A channel event with its time, in seconds since the epoch."""

    at: float
    event: ChannelEvent


@attrs.frozen(kw_only=True)
class Names:
    """What the events need to know of channels that rows name."""

    uniqueids: Mapping[str, str]
    """By name, of those that have rows of their own."""
    extensions: Mapping[str, str]
    """By name: the employee whose device it is."""


STATUS = {
    Disposition.BUSY: "BUSY",
    Disposition.FAILED: "CHANUNAVAIL",
    Disposition.CONGESTION: "CONGESTION",
    Disposition.CANCELLED: "CANCEL",
}
"""DialStatus of a row that was not answered; the others hold no more than that."""


@attrs.define
class RowEvents:
    """Makes the events of one call."""

    rows: Sequence[RowInCall]
    connected: Sequence[bool]
    """Of each row: the two channels were connected (reading.CONNECTED)."""
    names: Names
    originated: str = ""
    """Uniqueid of the first channel of an Originate."""
    _found: list[tuple[When, ChannelEvent]] = attrs.field(factory=list, init=False)
    _known: set[str] = attrs.field(factory=set, init=False)
    """Names of the channels that were created."""

    def events(self) -> list[Timed]:
        """In the order in which they happened."""
        order = sorted(range(len(self.rows)), key=lambda index: self._creation_order(index))
        self._create_originated()
        for index in order:
            self._begin(index)
        for index, each in enumerate(self.rows):
            self._connect_or_end(index, each)
        self._note()
        self._hang_up()
        return self._in_order()

    def notes_and_holds(self) -> list[Timed]:
        """Of these events those that CEL does not show either."""
        self._note()
        return self._in_order()

    def _in_order(self) -> list[Timed]:
        self._found.sort(key=lambda entry: entry[0])
        return [Timed(when.at, event) for when, event in self._found]

    # -- channels and dials -------------------------------------------------------------------------------------------

    def _creation_order(self, index: int) -> tuple[float, bool, int]:
        each = self.rows[index]
        return each.row.start, each.is_dialled, index

    def _create_originated(self) -> None:
        """An Originate's first channel is dialled by no other."""
        if not self.originated:
            return
        own = [each.row for each in self.rows if each.row.uniqueid == self.originated]
        halves = [each.row for each in self.rows if parse_channel_name(each.row.channel).half == "2"]
        if not own and not halves:
            return
        row = own[0] if own else halves[0]
        name = row.channel if own else f"{row.channel[:-1]}1"
        start = min(each.row.start for each in self.rows)
        view = self.view(name)._replace(uniqueid=self.originated, linkedid=self.originated, state=ChannelState.DOWN)
        self._known.add(name)
        self._put(start, Phase.DIALLED, -2, ChannelCreated(event=CDR, channel=view))
        self._put(start, Phase.DIALLED, -1, DialBegan(event=CDR, dialled=view))
        rings = parse_channel_name(name).is_person
        if rings:
            self._put(start, Phase.DIALLED, -1, DialProgressed(event=CDR, dialled=view))
        answered = [row for row in own if row.disposition is Disposition.ANSWERED or row.billsec > 0]
        if answered:
            at = answered[0].answered_at
            up = view._replace(state=ChannelState.UP)
            self._put(at, Phase.DIALLED, -1, ChannelChanged(event=CDR, channel=up))
            self._put(at, Phase.DIALLED, -1, DialEnded(event=CDR, dialled=up, status="ANSWER"))

    def _begin(self, index: int) -> None:
        each = self.rows[index]
        row = each.row
        if row.channel not in self._known and not each.is_dialled:
            self._begin_half(index)
            self._create(row.channel, row, index, state=ChannelState.RING)
        if not row.dstchannel or row.dstchannel in self._known:
            return
        if row.app in CONFERENCES:
            return  # no dial: the other is in the room too, and has rows of their own
        self._queue(index)
        self._create(row.dstchannel, row, index, state=ChannelState.DOWN)
        if each.is_dialled:
            return  # a Local channel, by which they ask a colleague
        dialled, caller = self.view(row.dstchannel), self.view(row.channel)
        part = part_of(row.data, row.dstchannel)
        if row.app == "Queue":
            part = f"{parse_channel_name(row.dstchannel).technology}/{part}"
        self._put(
            row.start, Phase.DIALLED, index, DialBegan(event=CDR, dialled=dialled, caller=caller, dial_string=part)
        )
        if not self.is_refused_at_once(each):
            self._put(row.start, Phase.DIALLED, index, DialProgressed(event=CDR, dialled=dialled, caller=caller))

    def _queue(self, index: int) -> None:
        """The caller waits in a queue, whose first member this row tries."""
        each = self.rows[index]
        row, before = each.row, each.before
        if row.app == "Queue" and (before is None or (before.app, before.data) != (row.app, row.data)):
            queue = row.data.partition(",")[0]
            joined = QueueJoined(event=CDR, channel=self.view(row.channel), queue=queue)
            self._put(row.start, Phase.DIALLED, index, joined)

    def _begin_half(self, index: int) -> None:
        """A Local channel of which only the inner half has rows was dialled all the same: by the channel the call
        begins with, as far as is known."""
        row, root = self.rows[index].row, self.rows[0].row
        name = parse_channel_name(row.channel)
        outer = f"{name.pair};1"
        if name.half != "2" or root.channel not in self._known or any(outer == each.far for each in self.rows):
            return
        self._known.add(outer)
        view = self.view(outer)._replace(linkedid=row.linkedid, state=ChannelState.DOWN)
        self._put(row.start, Phase.DIALLED, index, ChannelCreated(event=CDR, channel=view))
        caller = self.view(root.channel)
        self._put(row.start, Phase.DIALLED, index, DialBegan(event=CDR, dialled=view, caller=caller))

    def is_refused_at_once(self, each: RowInCall) -> bool:
        """The phone did not ring."""
        row = each.row
        return self.is_forwarding(each) or (row.duration < 1 and row.disposition in STATUS)

    def is_forwarding(self, each: RowInCall) -> bool:
        """The phone sent the call on (302): a Local channel follows that the same Dial() does not name
        (apps/app_dial.c, ``do_forward``)."""
        row = each.row
        if self.connected[self.rows.index(each)] or not parse_channel_name(row.dstchannel).is_person:
            return False
        return any(
            other.row.uniqueid == row.uniqueid
            and other.row.data == row.data
            and other.row.app == "Dial"
            and parse_channel_name(other.row.dstchannel).technology == "Local"
            and not part_of(other.row.data, other.row.dstchannel)
            and abs(other.row.start - row.end) <= 1
            and row.duration < 2
            for other in self.rows
        )

    def _create(self, name: str, row: CdrRow, index: int, *, state: ChannelState) -> None:
        self._known.add(name)
        view = self.view(name)._replace(state=state)
        if name == row.channel:
            extension = self.names.extensions.get(name, "")
            view = view._replace(
                number=extension or row.src,
                caller_name="" if extension else row.caller_name,
                context=row.context,
                exten=row.did or (row.dst if extension else ""),
            )
        self._put(row.start, Phase.DIALLED, index, ChannelCreated(event=CDR, channel=view))

    def view(self, name: str) -> ChannelView:
        """The channel as rows show it. One without rows of its own has no uniqueid there; one that is the same each
        time is made of when and where it was first dialled."""
        rows = [each.row for each in self.rows if name in (each.row.channel, each.row.dstchannel)]
        rows.sort(key=lambda row: row.channel != name)
        uniqueid = self.names.uniqueids.get(name)
        first = rows[0] if rows else self.rows[0].row
        if uniqueid is None:
            uniqueid = f"{name}-{int(first.start)}.{first.sequence}"
        return ChannelView(
            uniqueid=uniqueid, name=name, linkedid=first.linkedid, number=self.names.extensions.get(name, "")
        )

    # -- answers and ends ---------------------------------------------------------------------------------------------

    def _connect_or_end(self, index: int, each: RowInCall) -> None:
        row = each.row
        if row.app in CONFERENCES:
            return
        if not row.dstchannel:
            if row.disposition is Disposition.ANSWERED and row.channel in self._known:
                own = self.view(row.channel)._replace(state=ChannelState.UP)  # by a menu, a voicemail, a queue
                self._put(row.answered_at, Phase.ANSWERED, index, ChannelChanged(event=CDR, channel=own))
            return
        near, far = self.view(row.channel), self.view(row.dstchannel)
        if not self.connected[index]:
            self._end(index, near, far)
            return
        begin, end = self._stretch(index, row)
        if begin is None:
            return
        up = ChannelState.UP
        bridge = f"{row.uniqueid}/{row.sequence}/{index}"
        if row.app == "Queue":
            self._put(begin, Phase.ANSWERED, index, QueueLeft(event=CDR, channel=near))
        for view in (near, far):
            self._put(begin, Phase.ANSWERED, index, ChannelChanged(event=CDR, channel=view._replace(state=up)))
        if not each.is_dialled:
            answer = DialEnded(event=CDR, dialled=far, caller=near, status="ANSWER")
            self._put(begin, Phase.ANSWERED, index, answer)
        for view in (near, far):
            entered = BridgeEntered(event=CDR, channel=view, bridge=bridge, bridge_type="basic")
            self._put(begin, Phase.ANSWERED, index, entered)
            left = BridgeLeft(event=CDR, channel=view, bridge=bridge)
            self._put(max(end, begin + MOMENT), Phase.LEFT, index, left)

    def _stretch(self, index: int, row: CdrRow) -> tuple[float | None, float]:
        """When the two heard each other: not while the far end was asked by a colleague, whose row names it too. None:
        never."""
        begin, end = self._answered_at(self.rows[index]), row.end
        if self.rows[index].is_dialled:
            return begin, end
        for other_index, other in enumerate(self.rows):
            is_asking = other.is_dialled or other.row.linkedid != row.linkedid
            if not is_asking or other.row.dstchannel != row.dstchannel or not self.connected[other_index]:
                continue
            if other.row.uniqueid != row.uniqueid and other.row.answered_at <= begin + 1 < other.row.end:
                begin = other.row.end
        return (begin, end) if begin <= end + 1 else (None, end)

    def _answered_at(self, each: RowInCall) -> float:
        """Of a channel that was answered before it dialled, the row does not show it. But the other phones that rang
        beside this one fell silent then."""
        row = each.row
        if row.answered_at - row.start >= AT_ONCE:
            return row.answered_at
        silent = [
            other.row.end
            for other, connected in zip(self.rows, self.connected, strict=True)
            if (other.row.uniqueid, other.row.data) == (row.uniqueid, row.data)
            and not connected
            and abs(other.row.start - row.start) <= 1
            and other.row.end <= row.end
        ]
        return max(silent, default=row.answered_at)

    def _end(self, index: int, near: ChannelView, far: ChannelView) -> None:
        row = self.rows[index].row
        if self._goes_on(index):
            return
        status = STATUS.get(row.disposition, "NOANSWER")
        at, phase = max(row.end, row.start + 2 * MOMENT), Phase.LEFT  # before who is dialled next
        answer = self._answer_near(self.rows[index])
        if answer is not None and row.disposition not in STATUS:
            at, phase, status = answer + MOMENT, Phase.ENDED, "CANCEL"
        elif self._is_congested(index):
            status = STATUS[Disposition.FAILED]
        elif self.is_forwarding(self.rows[index]):
            status = "FORWARDED"
        self._put(at, phase, index, DialEnded(event=CDR, dialled=far, caller=near, status=status))
        self._put(at, phase, len(self.rows) + index, ChannelHungUp(event=CDR, channel=far))

    def _is_congested(self, index: int) -> bool:
        """Refused at once, and the caller then hears Congestion(): what was dialled could not be reached."""
        row = self.rows[index].row
        return row.duration < 1 and any(
            other.before is row and other.row.app == "Congestion" and not other.row.dstchannel for other in self.rows
        )

    def _goes_on(self, index: int) -> bool:
        """The same two channels are in a row that was answered."""
        far = self.rows[index].row.dstchannel
        return any(
            connected and other.row.dstchannel == far and not other.is_dialled
            for other, connected in zip(self.rows, self.connected, strict=True)
        )

    def _answer_near(self, each: RowInCall) -> float | None:
        """When another was answered who was dialled beside this one: it ended the ringing here. Who is dialled after
        this one, in a hunt group, did not."""
        row = each.row
        near: list[float] = []
        for other, connected in zip(self.rows, self.connected, strict=True):
            if not connected or other.is_dialled or other.row.dstchannel == row.dstchannel:
                continue
            answered_at = self._answered_at(other)
            if row.disposition is Disposition.ANSWERED and other.row.uniqueid == row.uniqueid:
                near.append(max(answered_at, row.start))  # taken from this phone
            elif abs(answered_at - row.end) <= CUT and self._dialled_at(other) < max(row.end - 1, row.start + MOMENT):
                near.append(max(answered_at, row.start))
        return max(near, default=None)

    def _dialled_at(self, each: RowInCall) -> float:
        """When the Dial() began that led to this row: a picked up or optimised call has later rows of the same."""
        row = each.row
        if row.app != "Dial":
            return row.start
        same = [
            other.row.start for other in self.rows if (other.row.uniqueid, other.row.data) == (row.uniqueid, row.data)
        ]
        return min(same)

    def _hold(self) -> None:
        """Who asks a colleague on another line has the customer on hold."""
        for index, each in enumerate(self.rows):
            if not each.has_consulted or not self.connected[index]:
                continue
            for other in self.rows:
                name = on_another_line(other.row, each.row)
                if not name:
                    continue
                held, on, off = self.view(name), other.row.start, min(other.row.end, each.row.end)
                self._put(on, Phase.ENDED, index, HoldChanged(event=CDR, channel=held, is_held=True))
                self._put(off, Phase.LEFT, index, HoldChanged(event=CDR, channel=held, is_held=False))

    # -- the end ------------------------------------------------------------------------------------------------------

    def _note(self) -> None:
        """What the live model takes from the Cdr event: recording, queue, voicemail. And who held the customer."""
        for index, each in enumerate(self.rows):
            self._note_row(index, each.row)
        self._hold()

    def _note_row(self, index: int, row: CdrRow) -> None:
        written = CdrWritten(
            event=CDR,
            uniqueid=row.uniqueid,
            linkedid=row.linkedid,
            destination=row.dstchannel,
            application=row.app,
            data=row.data,
            is_answered=row.disposition is Disposition.ANSWERED,
            billable_secs=int(row.billsec),
            recording=row.recording,
        )
        self._put(row.end, Phase.LEFT, index, written)

    def _hang_up(self) -> None:
        ends: dict[str, float] = {}
        for each in self.rows:
            for name in (each.row.channel, each.row.dstchannel):
                if name in self._known:
                    ends[name] = max(ends.get(name, 0.0), each.row.end)
        for name in self._known:
            ends.setdefault(name, max(each.row.end for each in self.rows))
        refused = {
            each.far
            for index, each in enumerate(self.rows)
            if each.far and not self.connected[index] and not self._goes_on(index) and each.row.app not in CONFERENCES
        }
        for index, name in enumerate(ends):
            if name in refused:
                continue
            event = ChannelHungUp(event=CDR, channel=self.view(name)._replace(number=""))
            self._put(ends[name] + 3 * MOMENT, Phase.HUNG_UP, index, event)

    def _put(self, at: float, phase: Phase, index: int, event: ChannelEvent) -> None:
        self._found.append((When(at, phase, index), event))


def uniqueids_of(rows: Iterator[CdrRow] | Sequence[CdrRow]) -> dict[str, str]:
    """By name: the uniqueids of the channels that have rows of their own."""
    return {row.channel: row.uniqueid for row in rows}
