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
from uac_trio.cdr.call_rows import MOMENT, CallRows
from uac_trio.cdr.people import part_of
from uac_trio.cdr.reading import CONFERENCES, RowInCall, on_another_line
from uac_trio.cdr.row import CdrRow, Disposition

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

    rows: CallRows
    names: Names
    originated: str = ""
    """Uniqueid of the first channel of an Originate."""
    _found: list[tuple[When, ChannelEvent]] = attrs.field(factory=list, init=False)
    _known: set[str] = attrs.field(factory=set, init=False)
    """Names of the channels that were created."""
    _views: dict[str, ChannelView] = attrs.field(factory=dict, init=False)
    """By name."""
    _far: frozenset[str] = attrs.field(init=False)
    """Names of the channels that were dialled, or connected with."""

    def __attrs_post_init__(self) -> None:
        self._far = frozenset(each.far for each in self.rows)
        for each in sorted(self.rows, key=lambda each: each.index):
            self._views.setdefault(each.row.channel, self._made(each.row.channel, each.row))
        for each in self.rows:
            if each.far:
                self._views.setdefault(each.far, self._made(each.far, each.row))

    def events(self) -> list[Timed]:
        """In the order in which they happened."""
        self._create_originated()
        for each in sorted(self.rows, key=lambda each: (each.row.start, each.is_dialled, each.index)):
            self._begin(each)
        for each in self.rows:
            self._connect_or_end(each)
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

    def _begin(self, each: RowInCall) -> None:
        row, index = each.row, each.index
        if row.channel not in self._known and not each.is_dialled:
            self._begin_half(each)
            self._create(row.channel, row, index, state=ChannelState.RING)
        if not row.dstchannel or row.dstchannel in self._known:
            return
        if row.app in CONFERENCES:
            return  # no dial: the other is in the room too, and has rows of their own
        self._queue(each)
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

    def _queue(self, each: RowInCall) -> None:
        """The caller waits in a queue, whose first member this row tries."""
        row, before = each.row, each.before
        if row.app == "Queue" and (before is None or (before.app, before.data) != (row.app, row.data)):
            queue = row.data.partition(",")[0]
            joined = QueueJoined(event=CDR, channel=self.view(row.channel), queue=queue)
            self._put(row.start, Phase.DIALLED, each.index, joined)

    def _begin_half(self, each: RowInCall) -> None:
        """A Local channel of which only the inner half has rows was dialled all the same: by the channel the call
        begins with, as far as is known."""
        row, root, index = each.row, self._first, each.index
        name = parse_channel_name(row.channel)
        outer = f"{name.pair};1"
        if name.half != "2" or root.channel not in self._known or outer in self._far:
            return
        self._known.add(outer)
        view = self.view(outer)._replace(linkedid=row.linkedid, state=ChannelState.DOWN)
        self._put(row.start, Phase.DIALLED, index, ChannelCreated(event=CDR, channel=view))
        caller = self.view(root.channel)
        self._put(row.start, Phase.DIALLED, index, DialBegan(event=CDR, dialled=view, caller=caller))

    def is_refused_at_once(self, each: RowInCall) -> bool:
        """The phone did not ring."""
        row = each.row
        return self.rows.is_forwarding(each) or (row.duration < 1 and row.disposition in STATUS)

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
        """The channel as rows show it."""
        return self._views.get(name) or self._made(name, self._first)

    def _made(self, name: str, row: CdrRow) -> ChannelView:
        """One without rows of its own has no uniqueid there; one that is the same each time is made of when and where
        it was first dialled."""
        uniqueid = self.names.uniqueids.get(name) or f"{name}-{int(row.start)}.{row.sequence}"
        return ChannelView(
            uniqueid=uniqueid, name=name, linkedid=row.linkedid, number=self.names.extensions.get(name, "")
        )

    @property
    def _first(self) -> CdrRow:
        return self.rows.rows[0].row

    # -- answers and ends ---------------------------------------------------------------------------------------------

    def _connect_or_end(self, each: RowInCall) -> None:
        row, index = each.row, each.index
        if row.app in CONFERENCES:
            return
        if not row.dstchannel:
            if row.disposition is Disposition.ANSWERED and row.channel in self._known:
                own = self.view(row.channel)._replace(state=ChannelState.UP)  # by a menu, a voicemail, a queue
                self._put(row.answered_at, Phase.ANSWERED, index, ChannelChanged(event=CDR, channel=own))
            return
        near, far = self.view(row.channel), self.view(row.dstchannel)
        if not self.rows.is_connected(each):
            self._end(each, near, far)
            return
        stretch = self.rows.stretch(each)
        if stretch is None:
            return
        begin, end = stretch
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

    def _end(self, each: RowInCall, near: ChannelView, far: ChannelView) -> None:
        if self.rows.goes_on(each):
            return
        row, index = each.row, each.index
        status = STATUS.get(row.disposition, "NOANSWER")
        at, phase = max(row.end, row.start + 2 * MOMENT), Phase.LEFT  # before who is dialled next
        answer = self.rows.answer_near(each)
        if answer is not None and row.disposition not in STATUS:
            at, phase, status = answer + MOMENT, Phase.ENDED, "CANCEL"
        elif self.rows.is_congested(each):
            status = STATUS[Disposition.FAILED]
        elif self.rows.is_forwarding(each):
            status = "FORWARDED"
        self._put(at, phase, index, DialEnded(event=CDR, dialled=far, caller=near, status=status))
        self._put(at, phase, len(self.rows.rows) + index, ChannelHungUp(event=CDR, channel=far))

    def _hold(self) -> None:
        """Who asks a colleague on another line has the customer on hold."""
        for each in self.rows:
            if not each.has_consulted or not self.rows.is_connected(each):
                continue
            index = each.index
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
        for each in self.rows:
            self._note_row(each.index, each.row)
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
        last = max(each.row.end for each in self.rows)
        for name in self._known:
            ends.setdefault(name, last)
        refused = {each.far for each in self.rows if self.rows.is_refused(each)}
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
