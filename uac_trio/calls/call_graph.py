"""Channels, legs, bridges and Local pairs of one PBX, and which channels make one call.

``apply`` takes one channel event and returns what it changed. Channels belong to the same call when Asterisk shows a
tie in any way: a shared Linkedid, a Dial, the halves of a Local channel, a basic bridge, a transfer, a pickup, an
unparking. Here is what each event means; each question has a module:

    known_channels.py   which channels there are       legs.py         who dials whom, and how that went
    call_union.py       which of them make one call    bridges.py      who is in which bridge
    local_pairs.py      which two are halves of one    hearing.py      who hears whom
    listed_channels.py  what a listing shows of them   change.py       what one event changed
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import attrs

from uac_trio.calls.bridges import Bridges
from uac_trio.calls.call import Call, ClickOrder, Remembered
from uac_trio.calls.call_union import CallUnion
from uac_trio.calls.change import Change
from uac_trio.calls.channel import Channel, HangUp
from uac_trio.calls.channel_events import (
    AttendedTransferred,
    BlindTransferred,
    BridgeEntered,
    BridgeLeft,
    CdrWritten,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelHungUp,
    ChannelRenamed,
    ChannelView,
    DialBegan,
    DialEnded,
    DialProgressed,
    HangupRequested,
    HoldChanged,
    ListedChannel,
    OriginateEnded,
    Parked,
    PickedUp,
    QueueJoined,
    QueueLeft,
    RecordingStarted,
    ServerLacks,
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.deadlines import Deadlines
from uac_trio.calls.endpoint import EndpointClassifier, Identity
from uac_trio.calls.hearing import Hearing
from uac_trio.calls.known_channels import KnownChannels
from uac_trio.calls.legs import Legs
from uac_trio.calls.listed_channels import ListedChannels
from uac_trio.calls.local_pairs import LocalPairs
from uac_trio.calls.rules import TrackerRules


@attrs.define
class CallGraph:
    """Holds what is alive; ``pbx`` is part of every call's identity."""

    pbx: str
    rules: TrackerRules
    channels: dict[str, Channel] = attrs.field(init=False)
    """By Uniqueid: all of unfinished calls, the ended ones too."""
    calls: dict[str, Call] = attrs.field(init=False)
    """Unfinished calls by id."""
    orders: Deadlines[ClickOrder] = attrs.field(init=False)
    """By ChannelId: Originates of ours of which no channel was seen yet."""
    missing: Deadlines[Channel] = attrs.field(init=False)
    """By Uniqueid: a listing lacked these channels; gone when they are due."""
    shows_hangup_requests: bool = attrs.field(default=False, init=False)
    """HangupRequest events reach us (no filter drops them), so their absence means something."""
    _union: CallUnion = attrs.field(init=False)
    _pairs: LocalPairs = attrs.field(init=False)
    _hearing: Hearing = attrs.field(init=False)
    _legs: Legs = attrs.field(init=False)
    _bridges: Bridges = attrs.field(init=False)
    _known: KnownChannels = attrs.field(init=False)
    _listed: ListedChannels = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        classifier = EndpointClassifier(self.rules)
        self._union = union = CallUnion(self.pbx)
        self._pairs = pairs = LocalPairs()
        self._hearing = hearing = Hearing()
        self._legs = legs = Legs(classifier, hearing)
        self._bridges = bridges = Bridges(union, legs)
        self._known = known = KnownChannels(classifier, union, pairs, legs)
        self._listed = ListedChannels(known, union, legs, bridges)
        self.channels, self.missing = known.by_uniqueid, known.missing
        self.calls, self.orders = union.calls, union.orders

    # -- in ---------------------------------------------------------------------------------------------------------

    def apply(self, event: ChannelEvent, at: float) -> Change:
        """Take in one event that happened at ``at`` (seconds since the epoch)."""
        change = Change(at, event.event)
        self._APPLY[type(event)](self, event, change)
        return change

    def restore(self, item: ListedChannel, at: float) -> tuple[Channel | None, Change]:
        """A channel as a listing shows it: adopt it, or bring it up to date."""
        change = Change(at, "list of channels:")
        return self._listed.restore(item, change), change

    def restore_leg(self, channel: Channel, application: str, at: float) -> bool:
        """Who dialled a listed channel, once all of them are restored. Returns whether it shows the direction."""
        return self._listed.restore_leg(channel, application, Change(at, "list of channels:"))

    def identify(self, channel: Channel, identity: Identity) -> None:
        """What was learned since shows whose channel it is."""
        self._legs.identify(channel, identity)

    def hang_up(self, channel: Channel, end: HangUp) -> None:
        """Out of its bridge and pair; kept in its call."""
        channel.end = end
        call = channel.call
        call.channels.remove(channel)
        self._bridges.leave(channel)
        self._pairs.remove(channel)
        if channel.leg is not None and channel.leg.ended_at is None:
            channel.leg.ended_at = end.at
        call.queue.leave(channel)

    def forget(self, call: Call) -> None:
        """The call is finished: drop it and its channels."""
        self._union.forget(call)
        for channel in call.channels:
            if channel.call is call:
                self._bridges.leave(channel)
                self._pairs.remove(channel)
                self.channels.pop(channel.uniqueid, None)

    # -- which channels and calls there are --------------------------------------------------------------------------

    @property
    def live_channels(self) -> list[Channel]:
        return [channel for channel in self.channels.values() if channel.is_live]

    def find(self, view: ChannelView | None) -> Channel | None:
        """The channel an event named, if it is known."""
        return None if view is None else self.channels.get(view.uniqueid)

    def find_call(self, linkedid: str) -> Call | None:
        return self._union.find(linkedid)

    def call_of_click(self, uniqueid: str, at: float) -> Call:
        """The call of an Originate of ours, of which no channel was seen (yet)."""
        return self._union.call_of(uniqueid, uniqueid, at)

    def is_gone(self, uniqueid: str) -> bool:
        return self._union.is_gone(uniqueid)

    # -- what is expected of the server ------------------------------------------------------------------------------

    @property
    def remembered(self) -> dict[str, dict[str, Remembered]]:
        """By call id and extension: what an earlier run of ours began."""
        return self._union.remembered

    def recognise(self, view: ChannelView, at: float) -> None:
        """Give the call of a listed channel the identity under which an earlier run reported it."""
        self._union.recognise(view, at)

    def forget_remembered(self) -> None:
        """What did not turn up in the snapshot is over."""
        self._union.forget_remembered()

    def expect_listing(self, until: float) -> None:
        """Until then a list of channels is awaited, and of older channels it shows more than an event in passing."""
        self._known.listing_expected_until = until

    @property
    def shows_all_since(self) -> float:
        """Channels that were made later than that are shown by events; older ones by the listing that is awaited.
        0.0: no login was seen."""
        return self._known.listing_expected_until

    # -- who hears whom ----------------------------------------------------------------------------------------------

    def audible(self, channel: Channel) -> tuple[Channel, ...]:
        """The people this channel can hear, itself included."""
        return self._hearing.audible(channel)

    def is_alone(self, channel: Channel) -> bool:
        """It has nothing over which it could hear another."""
        return self._hearing.is_alone(channel)

    def expect_bridges(self, is_certain: bool) -> None:
        """Whether it is certain that this server shows its bridges; else the first answer shows it."""
        self._hearing.shows_bridges = is_certain

    @property
    def bridge_due(self) -> float:
        """Until then the first BridgeEnter should follow an answer; infinity: none is awaited."""
        return self._hearing.bridge_due

    def is_bridge_overdue(self, event: ChannelEvent) -> bool:
        """The first answer brought no BridgeEnter, though an answered Local channel is going away."""
        if self._hearing.bridge_due == math.inf or not isinstance(event, ChannelHungUp):
            return False
        channel = self.find(event.channel)
        return channel is not None and channel.half is not None and channel.up_at is not None

    def miss_bridges(self) -> None:
        """No BridgeEnter came of the first answer."""
        self._hearing.miss_bridges()

    # -- events ------------------------------------------------------------------------------------------------------

    def _created(self, event: ChannelCreated, change: Change) -> None:
        self._known.see(event.channel, change, is_new=True)

    def _changed(self, event: ChannelChanged, change: Change) -> None:
        self._known.see(event.channel, change, adopt=event.event == "Newstate")

    def _renamed(self, event: ChannelRenamed, change: Change) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is not None:
            channel.view = channel.view._replace(name=event.name)

    def _hangup_requested(self, event: HangupRequested, change: Change) -> None:
        channel = self._known.see(event.channel, change, adopt=False)
        self.shows_hangup_requests = True
        if channel is None:
            return
        call = channel.call
        call.channels.request_hangup(channel, change.at)
        if call.conversation.answer is None:
            call.queue.give_up(channel)

    def _hung_up(self, event: ChannelHungUp, change: Change) -> None:
        channel = self._known.see(event.channel, change, adopt=False)
        if channel is None or not channel.is_live:
            return
        self._hearing.touch_audience(channel, change)
        self.hang_up(channel, HangUp(change.at, event.cause, event.tech_cause))

    def _dial_began(self, event: DialBegan, change: Change) -> None:
        caller = self._known.see(event.caller, change)
        channel = self._known.see(event.dialled, change)
        if channel is None or not channel.is_live:
            return
        if event.caller is None and channel is channel.call.source:
            channel.is_originated = True
        self._union.tie(caller, channel, change)
        self._legs.begin(channel, caller, event.dial_string, change)

    def _dial_progressed(self, event: DialProgressed, change: Change) -> None:
        channel = self._known.see(event.dialled, change)
        caller = self._known.see(event.caller, change)
        if channel is None or not channel.is_live:
            return
        if channel.leg is None:
            self._legs.begin(channel, caller, "", change)
        self._legs.ring(channel, change)

    def _dial_ended(self, event: DialEnded, change: Change) -> None:
        caller = self._known.see(event.caller, change)
        channel = self._known.see(event.dialled, change)
        if channel is None or (not channel.is_live and channel.leg is None):
            return
        if caller is not None and channel.is_live and caller.is_live:
            self._union.tie(caller, channel, change)
        leg = self._legs.begin(channel, caller, "", change)
        self._legs.refuse_or_answer(leg, caller, event.status, change)

    def _originate_ended(self, event: OriginateEnded, change: Change) -> None:
        """What it means for the call is a conclusion (click.py); no channel changes."""

    def _bridge_entered(self, event: BridgeEntered, change: Change) -> None:
        channel = self._known.see(event.channel, change)
        if channel is None or not channel.is_live:
            return
        if channel.bridge is not None:
            self._hearing.touch_audience(channel, change)
        self._hearing.see_bridge()
        swapped = self.channels.get(event.swapped)
        if swapped is not None:
            self._bridges.leave(swapped)
        self._bridges.enter(channel, event.bridge, event.bridge_type, change)
        self._hearing.touch_audience(channel, change)

    def _bridge_left(self, event: BridgeLeft, change: Change) -> None:
        channel = self._known.see(event.channel, change, adopt=False)
        if channel is None:
            return
        self._hearing.touch_audience(channel, change)
        self._bridges.leave(channel, event.bridge)

    def _hold_changed(self, event: HoldChanged, change: Change) -> None:
        channel = self._known.see(event.channel, change, adopt=False)
        if channel is not None:
            channel.is_on_hold = event.is_held
            self._hearing.touch_audience(channel, change)

    def _blind_transferred(self, event: BlindTransferred, change: Change) -> None:
        channel = self._known.see(event.transferer, change, adopt=False)
        self._known.see(event.transferee, change, adopt=False)
        if channel is not None:
            channel.is_transferer = True

    def _attended_transferred(self, event: AttendedTransferred, change: Change) -> None:
        first = self._known.see(event.first, change, adopt=False)
        second = self._known.see(event.second, change, adopt=False)
        others = [self._known.see(view, change, adopt=False) for view in (event.transferee, event.target)]
        if first is None:
            return
        for channel in (second, *others):
            if channel is not None and channel.is_live:
                self._union.tie(first, channel, change)
        for transferer in (first, second):
            if transferer is not None:
                transferer.is_transferer = True

    def _picked_up(self, event: PickedUp, change: Change) -> None:
        picker = self._known.see(event.picker, change)
        target = self._known.see(event.target, change, adopt=False)
        if picker is None or target is None:
            return
        self._union.tie(target, picker, change)
        if target.leg is not None:
            target.leg.is_picked_from = True
            # main/pickup.c: the picker is answered in the target's place; of a Queue there is no DialEnd to show it
            leg = self._legs.begin(picker, target.leg.caller, "", change)
            self._legs.refuse_or_answer(leg, target.leg.caller, "ANSWER", change)

    def _parked(self, event: Parked, change: Change) -> None:
        parkee = self._known.see(event.parkee, change, adopt=False)
        for channel in parkee.call.channels.live if parkee is not None else ():
            if channel.full_name.rpartition("-")[0] == event.parker:
                channel.is_transferer = True

    def _unparked(self, event: Unparked, change: Change) -> None:
        parkee = self._known.see(event.parkee, change, adopt=False)
        retriever = self._known.see(event.retriever, change)
        self._union.tie(parkee, retriever, change)
        if retriever is not None:
            self._hearing.touch_audience(retriever, change)

    def _queue_joined(self, event: QueueJoined, change: Change) -> None:
        channel = self._known.see(event.channel, change)
        if channel is not None:
            call = channel.call
            call.queue.join(event.queue, channel, is_answered=call.conversation.answer is not None)

    def _queue_left(self, event: QueueLeft, change: Change) -> None:
        channel = self._known.see(event.channel, change, adopt=False)
        if channel is None:
            return
        channel.call.queue.leave(channel)
        for leg in [other.leg for other in channel.call.channels.live if other.leg is not None]:
            if leg.caller is channel:
                self._hearing.await_bridge(leg, change)

    def _mentioned(self, event: VoicemailStarted | RecordingStarted, change: Change) -> None:
        self._known.see(event.channel, change, adopt=False)

    def _not_of_channels(self, event: CdrWritten | ServerLacks, change: Change) -> None:
        """No channel changes."""

    _APPLY: ClassVar[dict[type[ChannelEvent], Callable[..., None]]] = {
        ChannelCreated: _created,
        ChannelChanged: _changed,
        ChannelRenamed: _renamed,
        HangupRequested: _hangup_requested,
        ChannelHungUp: _hung_up,
        DialBegan: _dial_began,
        DialProgressed: _dial_progressed,
        DialEnded: _dial_ended,
        OriginateEnded: _originate_ended,
        BridgeEntered: _bridge_entered,
        BridgeLeft: _bridge_left,
        HoldChanged: _hold_changed,
        BlindTransferred: _blind_transferred,
        AttendedTransferred: _attended_transferred,
        PickedUp: _picked_up,
        Parked: _parked,
        Unparked: _unparked,
        QueueJoined: _queue_joined,
        QueueLeft: _queue_left,
        VoicemailStarted: _mentioned,
        RecordingStarted: _mentioned,
        CdrWritten: _not_of_channels,
        ServerLacks: _not_of_channels,
    }
