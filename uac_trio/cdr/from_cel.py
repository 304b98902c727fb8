"""The CEL rows of one call as the channel events that the call model reads, with the dials of its CDR rows.

CEL has what CDR lacks: whom a channel heard and when, why it hung up, the number it was called by. It has no dials; who
dialled whom is in CDR. Neither has hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from uac_trio.calls.channel import HangupCause
from uac_trio.calls.channel_events import (
    BridgeEntered,
    BridgeLeft,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelHungUp,
    ChannelState,
    ChannelView,
    DialBegan,
    DialEnded,
    DialProgressed,
    HangupRequested,
    PickedUp,
    QueueJoined,
    QueueLeft,
)
from uac_trio.calls.names import parse_channel_name, whole
from uac_trio.cdr.call_rows import CallRows
from uac_trio.cdr.cel import CelRow
from uac_trio.cdr.from_rows import RowEvents, Timed
from uac_trio.cdr.people import part_of
from uac_trio.cdr.reading import CONFERENCES, RowInCall

CEL = "CEL"
"""The name of all these events, for people."""

_SILENT = ("holding_bridge",)
"""Bridge technologies whose members hear music: parking, a queue."""

_STATUS = {
    int(HangupCause.BUSY): "BUSY",
    int(HangupCause.ANSWERED_ELSEWHERE): "CANCEL",
}


def is_enough(rows: CallRows, cel: Sequence[CelRow]) -> bool:
    """Whether CEL shows this call: its channels, and bridges if people talked. ``events`` of cel.conf may leave out
    either."""
    started = {row.channel for row in cel if row.type == "CHAN_START"}
    named = {name for each in rows for name in (each.row.channel, each.row.dstchannel) if name}
    ended = {row.uniqueid for row in cel if row.type == "HANGUP"}
    has_bridges = any(row.type == "BRIDGE_ENTER" for row in cel) or not rows.has_talk
    return bool(cel) and has_bridges and bool(ended) and named <= started


@attrs.define
class CelEvents:
    """Makes the events of one call."""

    source: RowEvents
    """Of its CDR rows: dials, notes for recordings, and hold as far as it can be concluded."""
    cel: Sequence[CelRow]
    """In order, with their moments."""
    originated: str = ""
    _views: dict[str, ChannelView] = attrs.field(factory=dict, init=False)
    """By name."""
    _dials: dict[str, RowInCall] = attrs.field(factory=dict, init=False)
    """By the name of the dialled channel: the first row of that dial."""
    _answered: set[str] = attrs.field(factory=set, init=False)
    _waiting: set[str] = attrs.field(factory=set, init=False)
    """Names of the channels that wait in a queue."""
    _asked: set[str] = attrs.field(factory=set, init=False)
    """Names of the channels whose own end hung up."""
    _statuses: dict[str, str] = attrs.field(factory=dict, init=False)
    """By name: the DialStatus that the channel had when it hung up."""
    _found: list[Timed] = attrs.field(factory=list, init=False)

    def events(self) -> list[Timed]:
        """In the order in which they happened."""
        for each in self.source.rows:
            if each.row.dstchannel and not each.is_dialled and each.row.app not in CONFERENCES:
                self._dials.setdefault(each.row.dstchannel, each)
        for row in self.cel:
            if row.type == "CHAN_START":
                self._views[row.channel] = ChannelView(row.uniqueid, row.channel, row.linkedid)
            elif row.type == "HANGUP":
                self._statuses[row.channel] = row.extra.get("dialstatus", "")
        for row in self.cel:
            handler = _HANDLERS.get(row.type)
            if handler is not None:
                handler(self, row)
        notes = self.source.notes_and_holds()
        last = max((timed.at for timed in self._found), default=0.0)
        # A stable sort: what CEL shows at one time stays in the order in which it was written.
        return sorted(
            [*(Timed(min(each.at, last), each.event) for each in notes), *self._found], key=lambda timed: timed.at
        )

    def _put(self, row: CelRow, event: ChannelEvent) -> None:
        self._found.append(Timed(row.at, event))

    def _view(self, row: CelRow) -> ChannelView:
        return self._views.get(row.channel) or ChannelView(row.uniqueid, row.channel, row.linkedid)

    def _started(self, row: CelRow) -> None:
        name = parse_channel_name(row.channel)
        is_calling = row.uniqueid != self.originated and (
            name.half == "2" or (name.is_person and row.exten not in ("", "s") and row.channel not in self._dials)
        )
        view = self._view(row)._replace(
            state=ChannelState.RING if is_calling else ChannelState.DOWN,
            number=row.number,
            caller_name=row.name,
            context=row.context,
            exten=row.exten,
        )
        self._put(row, ChannelCreated(event=CEL, channel=view))
        if row.uniqueid == self.originated:
            self._put(row, DialBegan(event=CEL, dialled=view))
            if name.is_person:
                self._put(row, DialProgressed(event=CEL, dialled=view))
        elif not is_calling:
            self._dial(row, view)

    def _dial(self, row: CelRow, view: ChannelView) -> None:
        each = self._dials.get(row.channel)
        if each is None:
            if view.linkedid != view.uniqueid and parse_channel_name(row.channel).is_person:
                self._put(row, DialProgressed(event=CEL, dialled=view))  # by a channel that went out of the way
            return
        caller = self._views.get(each.row.channel)
        part = part_of(each.row.data, row.channel)
        if each.row.app == "Queue":
            part = f"{parse_channel_name(row.channel).technology}/{part}"
        self._put(row, DialBegan(event=CEL, dialled=view, caller=caller, dial_string=part))
        if not self.source.is_refused_at_once(each):
            self._put(row, DialProgressed(event=CEL, dialled=view, caller=caller))

    def _answer(self, row: CelRow) -> None:
        view = self._view(row)._replace(state=ChannelState.UP)
        self._answered.add(row.channel)
        self._put(row, ChannelChanged(event=CEL, channel=view))
        each = self._dials.get(row.channel)
        if row.uniqueid == self.originated:
            self._put(row, DialEnded(event=CEL, dialled=view, status="ANSWER"))
        elif each is not None and parse_channel_name(row.channel).is_person:
            caller = self._views.get(each.row.channel)
            self._put(row, DialEnded(event=CEL, dialled=view, caller=caller, status="ANSWER"))

    def _application_started(self, row: CelRow) -> None:
        if row.app == "Queue":
            self._waiting.add(row.channel)
            queue = row.data.partition(",")[0]
            self._put(row, QueueJoined(event=CEL, channel=self._view(row), queue=queue))

    def _entered(self, row: CelRow) -> None:
        if row.channel in self._waiting:
            self._waiting.discard(row.channel)
            self._put(row, QueueLeft(event=CEL, channel=self._view(row)))
        technology = row.extra.get("bridge_technology", "")
        kind = "holding" if technology in _SILENT else "base" if row.app in CONFERENCES else "basic"
        bridge = row.extra.get("bridge_id", "")
        self._put(row, BridgeEntered(event=CEL, channel=self._view(row), bridge=bridge, bridge_type=kind))

    def _left(self, row: CelRow) -> None:
        self._put(row, BridgeLeft(event=CEL, channel=self._view(row), bridge=row.extra.get("bridge_id", "")))

    def _picked_up(self, row: CelRow) -> None:
        picker = self._views.get(row.extra.get("pickup_channel", ""))
        if picker is not None:
            self._put(row, PickedUp(event=CEL, picker=picker, target=self._view(row)))

    def _hung_up(self, row: CelRow) -> None:
        asked = row.extra.get("hangupsource", "")
        if asked in self._views and asked not in self._asked:
            self._asked.add(asked)
            self._put(row, HangupRequested(event=CEL, channel=self._views[asked]))
        cause = whole(row.extra.get("hangupcause", ""), 0)
        view = self._view(row)
        each = self._dials.get(row.channel)
        if each is not None and row.channel not in self._answered:
            caller = self._views.get(each.row.channel)
            status = self._status(row.channel, each, cause)
            self._put(row, DialEnded(event=CEL, dialled=view, caller=caller, status=status))
        self._put(row, ChannelHungUp(event=CEL, channel=view, cause=cause))

    def _status(self, name: str, each: RowInCall, cause: int) -> str:
        """DialStatus of a leg that was not answered: by its own cause, else by what its caller's Dial() came to."""
        if self.source.rows.is_forwarding(each):
            return "FORWARDED"
        if cause in _STATUS:
            return _STATUS[cause]
        if name in self._asked:  # it refused by itself
            return "NOANSWER"
        status = self._statuses.get(each.row.channel, "")
        return "CANCEL" if status in ("ANSWER", "") else status


_HANDLERS: Mapping[str, Callable[[CelEvents, CelRow], None]] = {
    "CHAN_START": CelEvents._started,  # noqa: SLF001 - this class's own
    "APP_START": CelEvents._application_started,  # noqa: SLF001
    "ANSWER": CelEvents._answer,  # noqa: SLF001
    "BRIDGE_ENTER": CelEvents._entered,  # noqa: SLF001
    "BRIDGE_EXIT": CelEvents._left,  # noqa: SLF001
    "PICKUP": CelEvents._picked_up,  # noqa: SLF001
    "HANGUP": CelEvents._hung_up,  # noqa: SLF001
}
