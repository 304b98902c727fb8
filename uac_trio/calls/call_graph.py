"""Channels, legs, bridges and Local pairs of one PBX, and which channels make one call.

``apply`` takes one channel event and returns what it touched. Channels belong to the same call when Asterisk shows a
tie in any way: a shared Linkedid, a Dial, the halves of a Local channel, a basic bridge, a transfer, a pickup, an
unparking. Linkedids change without an event of their own, and ties chain, so calls are the sets of a union-find: an
absorbed call's Linkedids lead to the survivor for good.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import ClassVar

import attrs

from uac_trio.calls.call import Call, ClickOrder, QueueVisit, Remembered
from uac_trio.calls.channel import AGENT_HOLD, SILENT_BRIDGES, Bridge, Channel, ChannelState, HangUp, Leg
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
from uac_trio.calls.endpoint import EndpointClassifier, Evidence, Identity
from uac_trio.calls.names import creation_order, dialled_number, parse_channel_name
from uac_trio.calls.rules import TrackerRules

MAX_GONE = 20_000
"""Uniqueids of channels that are gone, so that a late event does not revive them: an hour of a busy PBX."""

BRIDGED_WITHIN = 0.5
"""Seconds within which BridgeEnter follows an answer, under load too."""

DURATION_SLACK = 1.5
"""Seconds by which a listed Duration (whole seconds) and a channel's first event may be off."""

CALLING = (ChannelState.RING, ChannelState.UP)
"""States of a channel that may dial another."""

AGENT_APPLICATION = "AgentLogin"
"""What the channel of an agent on the line runs, by its listing (apps/app_agent_pool.c)."""

DIALLED_APPLICATIONS = ("AppDial", "AppQueue", "AppDial2")
"""What a dialled channel runs by its listing."""


@attrs.frozen
class Merge:
    """Two calls became one."""

    absorbed: Call
    survivor: Call
    because: str


@attrs.define
class Touched:
    """What one event changed."""

    channels: dict[Channel, None] = attrs.field(factory=dict)
    """Their state, ring, bridge, hold or audience is another, or they hung up."""
    legs: list[Leg] = attrs.field(factory=list)
    """Begun by it."""
    rang: list[Leg] = attrs.field(factory=list)
    """They ring, and what was dialled there is known, one of the two since now."""
    merges: list[Merge] = attrs.field(factory=list)
    reopened: list[Call] = attrs.field(factory=list)
    """They seemed to be over, and have a live channel again."""


@attrs.define
class CallGraph:
    """Holds what is alive; ``pbx`` is part of every call's identity."""

    pbx: str
    rules: TrackerRules
    channels: dict[str, Channel] = attrs.field(factory=dict, init=False)
    """By Uniqueid: all of unfinished calls, the ended ones too (a Cdr may follow the Hangup)."""
    calls: dict[str, Call] = attrs.field(factory=dict, init=False)
    """Unfinished calls by id."""
    remembered: dict[str, dict[str, Remembered]] = attrs.field(factory=dict, init=False)
    """By call id and extension: what an earlier run of ours began."""
    orders: dict[str, tuple[ClickOrder, float]] = attrs.field(factory=dict, init=False)
    """By ChannelId: Originates of ours of which no channel was seen yet, and their deadlines. In order of time."""
    missing: dict[str, float] = attrs.field(factory=dict, init=False)
    """Uniqueid to deadline: a listing lacked these channels. In order of time."""
    listing_expected_until: float = attrs.field(default=0.0, init=False)
    """Until then a list of channels is awaited, and of older channels it shows more than an event in passing."""
    shows_hangup_requests: bool = attrs.field(default=False, init=False)
    """HangupRequest events reach us (no filter drops them), so their absence means something."""
    hears_by_dial: bool = attrs.field(default=False, init=False)
    """BridgeEnter events do not reach us (a filter drops them): an answered Dial counts as a conversation."""
    bridge_due: float | None = attrs.field(default=None, init=False)
    """Until then the first BridgeEnter should follow an answer; without it, ``hears_by_dial`` begins."""
    shows_bridges: bool = attrs.field(default=False, init=False)
    """A BridgeEnter reached us."""
    _classifier: EndpointClassifier = attrs.field(init=False)
    _by_linkedid: dict[str, Call] = attrs.field(factory=dict, init=False)
    _bridges: dict[str, Bridge] = attrs.field(factory=dict, init=False)
    _pairs: dict[str, dict[str, Channel]] = attrs.field(factory=dict, init=False)
    _gone: OrderedDict[str, None] = attrs.field(factory=OrderedDict, init=False)
    _touched: Touched = attrs.field(factory=Touched, init=False)
    _reason: str = attrs.field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self._classifier = EndpointClassifier(self.rules)

    # -- in ---------------------------------------------------------------------------------------------------------

    def apply(self, event: ChannelEvent, at: float) -> Touched:
        """Take in one event that happened at ``at`` (seconds since the epoch)."""
        touched = self._touched = Touched()
        self._reason = event.event
        self._APPLY[type(event)](self, event, at)
        return touched

    def is_bridge_overdue(self, event: ChannelEvent) -> bool:
        """The first answer brought no BridgeEnter, though an answered Local channel is going away."""
        if self.bridge_due is None or not isinstance(event, ChannelHungUp):
            return False
        channel = self.channels.get(event.channel.uniqueid)
        return channel is not None and channel.half is not None and channel.up_at is not None

    def miss_bridges(self) -> None:
        """No BridgeEnter came of the first answer."""
        self.hears_by_dial, self.bridge_due = True, None

    def find(self, view: ChannelView | None) -> Channel | None:
        """The channel an event named, if it is known."""
        return None if view is None else self.channels.get(view.uniqueid)

    # -- what the graph shows ----------------------------------------------------------------------------------------

    def audible(self, channel: Channel) -> tuple[Channel, ...]:
        """The people this channel can hear, itself included: over bridges, Local pairs and, on a server whose bridges
        do not reach us, an answered Dial."""
        if channel.bridge is None and channel.half is None and not self.hears_by_dial:
            return (channel,)
        seen = {channel: None}
        todo = [channel]
        bridges: set[str] = set()
        while todo:
            for other in self._neighbours(todo.pop(), bridges):
                if other.end is None and other not in seen:
                    seen[other] = None
                    todo.append(other)
        return tuple(other for other in seen if other.is_person)

    def bridge_mates(self, channel: Channel) -> Collection[Channel]:
        return channel.bridge.members if channel.bridge is not None else ()

    def find_call(self, linkedid: str) -> Call | None:
        return self._by_linkedid.get(linkedid)

    def is_gone(self, uniqueid: str) -> bool:
        return uniqueid in self._gone

    @property
    def live_channels(self) -> list[Channel]:
        return [channel for channel in self.channels.values() if channel.is_live]

    def _neighbours(self, channel: Channel, bridges: set[str]) -> list[Channel]:
        """Whom the channel hears at first hand, but for the members of ``bridges``, which are known already; its own is
        added to them."""
        near: list[Channel] = []
        bridge = channel.bridge
        if bridge is not None and bridge.type not in SILENT_BRIDGES and bridge.id not in bridges:
            bridges.add(bridge.id)
            near += bridge.members
        if channel.half is not None:
            near.append(channel.half)
        if self.hears_by_dial:
            near += self._dial_partners(channel)
        return near

    def _dial_partners(self, channel: Channel) -> Iterator[Channel]:
        """Dial() bridges caller and callee when it reports ANSWER (apps/app_dial.c); Queue() may play announcements
        first, and its caller leaves the queue when they are over (apps/app_queue.c, try_calling)."""
        own = channel.leg
        if own is not None and own.caller is not None and _is_through(own):
            yield own.caller
        for leg in channel.dialled:
            if leg.caller is channel and leg.channel.is_live and leg.channel.call is channel.call and _is_through(leg):
                yield leg.channel

    # -- channels ----------------------------------------------------------------------------------------------------

    def _see(self, view: ChannelView | None, at: float, *, adopt: bool = True, is_new: bool = False) -> Channel | None:
        """The channel of a view, brought up to date; None where there is no view, or the channel is long gone."""
        if view is None:
            return None
        channel = self.channels.get(view.uniqueid)
        if channel is None:
            return self._adopt(view, at, is_new) if adopt and self._is_adoptable(view, at, is_new) else None
        if channel.end is None:
            self._refresh(channel, view, at)
        return channel

    def _is_adoptable(self, view: ChannelView, at: float, is_new: bool) -> bool:
        if not view.uniqueid or not view.name or view.uniqueid in self._gone:
            return False
        return is_new or at >= self.listing_expected_until

    def _refresh(self, channel: Channel, view: ChannelView, at: float) -> None:
        channel.seen_at = channel.call.seen_at = at
        if self.missing:
            self.missing.pop(view.uniqueid, None)
        before = channel.view
        channel.view = view = _completed(view, before)
        if view.number and not before.number:
            self._touched.channels[channel] = None
        if view.linkedid != before.linkedid:
            self._follow_linkedid(channel, at)
        if view.state is not None and view.state != before.state:
            self._enter_state(channel, view.state, at)

    def _adopt(self, view: ChannelView, at: float, is_new: bool) -> Channel:
        """A channel seen for the first time: new, or older than our connection."""
        name = parse_channel_name(view.name)
        linkedid = view.linkedid or view.uniqueid
        identity = self._classifier.identify(name, view, is_new=is_new)
        call = self._call_of(linkedid, view.uniqueid, at)
        channel = Channel(view.uniqueid, name, view, view, identity, call, at, at)
        if call.ended_at is not None:
            call.ended_at = call.finish_at = None
            self._touched.reopened.append(call)
        self.channels[view.uniqueid] = call.channels[view.uniqueid] = call.live[view.uniqueid] = channel
        call.seen_at = at
        self._pair(channel)
        if call.source is None or view.uniqueid == call.linkedid:
            call.source = channel
        half = channel.half
        if half is not None and half.call is not call:  # servers before 13.5 have no Linkedid
            self._merge(half.call, call, at, f"halves of {name.pair}")
        self._touched.channels[channel] = None
        if view.state is not None:
            self._enter_state(channel, view.state, at)
        return channel

    def _follow_linkedid(self, channel: Channel, at: float) -> None:
        """Asterisk counts the channel to another call than before."""
        linkedid, call = channel.view.linkedid, channel.call
        other = self._by_linkedid.get(linkedid)
        if other is None:
            self._alias(linkedid, call)
        elif other is not call and not other.is_idle and not call.is_idle:
            self._merge(call, other, at, f"{channel.full_name} now has Linkedid {linkedid}")

    def _pair(self, channel: Channel) -> None:
        if not channel.name.pair:
            return
        pair = self._pairs.setdefault(channel.name.pair, {})
        pair[channel.name.half] = channel
        for other in pair.values():
            if other is not channel:
                channel.half, other.half = other, channel

    def _enter_state(self, channel: Channel, state: int, at: float) -> None:
        self._touched.channels[channel] = None
        if state == ChannelState.RINGING:
            self._ring(channel, at)
        elif state == ChannelState.UP and channel.up_at is None:
            channel.up_at = at
            if channel.leg is not None and channel.is_person:
                channel.call.picked_up[channel.leg] = None

    def _ring(self, channel: Channel, at: float) -> None:
        if channel.rang_at is None:
            channel.rang_at = at
        leg = channel.leg
        if leg is None and channel.is_person and channel.view.linkedid not in ("", channel.uniqueid):
            # Its DialBegin did not reach us (a filter), or follows (chan_iax2.c); it is a leg all the same.
            leg = self.begin_leg(channel, None, "", at)
        if leg is not None and leg.rang_at is None and leg.ended_at is None:
            leg.rang_at = at
            self._touched.channels[channel] = None
            if leg.dial_string:
                self._touched.rang.append(leg)

    def identify(self, channel: Channel, identity: Identity) -> None:
        """What was learned since shows whose channel it is."""
        if channel.identity == identity:
            return
        channel.identity = identity
        self._touched.channels[channel] = None
        if channel.leg is not None and channel.leg in channel.call.legs:
            self._meet(channel.call, channel.leg)

    # -- legs --------------------------------------------------------------------------------------------------------

    def begin_leg(self, channel: Channel, caller: Channel | None, dial_string: str, at: float) -> Leg:
        """The leg of ``channel``, new or completed with what is known now."""
        leg = channel.leg
        is_named_now = bool(dial_string) and (leg is None or not leg.dial_string)
        if leg is None:
            leg = channel.leg = Leg(channel, caller, dial_string, at, rang_at=channel.rang_at)
        else:
            leg.caller, leg.dial_string = leg.caller or caller, leg.dial_string or dial_string
        if leg.caller is not None:
            leg.caller.dialled[leg] = None
        self._touched.channels[channel] = None
        if not channel.is_person:
            return leg
        if dial_string:
            channel.identity = self._classifier.dialled(channel.name, channel.identity, dial_string)
        if is_named_now and leg.rang_at is not None:
            self._touched.rang.append(leg)
        call = channel.call
        if leg not in call.legs:
            call.legs[leg] = None
            self._touched.legs.append(leg)
            if channel.up_at is not None:
                call.picked_up[leg] = None
        self._meet(call, leg)
        return leg

    def _meet(self, call: Call, leg: Leg) -> None:
        """A leg to a line brings the outside into the call."""
        channel = leg.channel
        if channel.extension and channel.identity.evidence is not Evidence.MOBILES:
            return
        leg.number = dialled_number(leg.dial_string, channel.name.endpoint) or channel.view.number or leg.number
        if not channel.extension and not call.has_met_line:
            call.has_met_line = True
            self._touched.channels.update((other, None) for other in call.live.values())

    def _refuse_or_answer(self, leg: Leg, caller: Channel | None, status: str, at: float) -> None:
        if leg.connected_at is not None or leg.status not in ("", "ANSWER") or leg.status == status:
            return
        leg.status, leg.ended_at = status, at
        if status == "ANSWER" and leg.channel.is_person:
            leg.channel.call.picked_up[leg] = None
        if status == "ANSWER" and caller is not None:
            leg.caller = caller  # another than began it: a pickup, a blond transfer
            caller.dialled[leg] = None
        self._await_bridge(leg, at)

    def _await_bridge(self, leg: Leg, at: float) -> None:
        """The leg was answered: on a server that showed no bridge yet, see whether it shows this one."""
        if self.shows_bridges or not _is_through(leg):
            return
        if self.hears_by_dial:
            self._touch_audience(leg.channel)
        elif self.bridge_due is None:
            self.bridge_due = at + BRIDGED_WITHIN

    # -- calls -------------------------------------------------------------------------------------------------------

    def _call_of(self, linkedid: str, uniqueid: str, at: float) -> Call:
        """The call with this Linkedid; if there is none it is made, with ``uniqueid`` as its first channel."""
        call = self._by_linkedid.get(linkedid)
        if call is None and linkedid in self._gone:  # that call is finished; its id may not be used again
            linkedid = uniqueid
            call = self._by_linkedid.get(linkedid)
        return call if call is not None else self._new_call(f"{self.pbx}-{linkedid}", linkedid, at)

    def _new_call(self, call_id: str, linkedid: str, at: float) -> Call:
        call = Call(call_id, linkedid, at, at)
        call.remembered = self.remembered.pop(call.id, {})
        call.order, _ = self.orders.pop(linkedid, (None, 0.0))
        self.calls[call.id] = call
        self._alias(linkedid, call)
        return call

    def call_of_click(self, uniqueid: str, at: float) -> Call:
        """The call of an Originate of ours, of which no channel was seen (yet)."""
        return self._call_of(uniqueid, uniqueid, at)

    def _alias(self, linkedid: str, call: Call) -> None:
        """From now on this Linkedid means this call."""
        other = self._by_linkedid.get(linkedid)
        if other is not None:
            other.linkedids.discard(linkedid)
        self._by_linkedid[linkedid] = call
        call.linkedids.add(linkedid)

    def _tie(self, one: Channel | None, other: Channel | None, at: float) -> None:
        """Two channels belong to one call."""
        if one is not None and other is not None and one.call is not other.call:
            self._merge(one.call, other.call, at, f"{self._reason} {one.full_name}")

    def _merge(self, one: Call, other: Call, at: float, because: str) -> None:
        """The absorbed call ends here. Its live channels, with the legs to them, go to the survivor."""
        survivor, absorbed = _chosen(one, other)
        if survivor.ended_at is not None:
            survivor.ended_at = survivor.finish_at = None
            self._touched.reopened.append(survivor)
        moved = list(absorbed.live.values())
        meets_line = absorbed.has_met_line and not survivor.has_met_line
        for channel in moved:
            channel.home = channel.home or absorbed
            channel.call, channel.joined_at = survivor, at
            survivor.channels[channel.uniqueid] = survivor.live[channel.uniqueid] = channel
            if channel.leg is not None and channel.is_person:
                survivor.legs[channel.leg] = None
                if channel.leg in absorbed.picked_up:
                    survivor.picked_up[channel.leg] = None
        absorbed.live.clear()
        for linkedid in absorbed.linkedids:
            self._by_linkedid[linkedid] = survivor
            survivor.linkedids.add(linkedid)
        absorbed.linkedids.clear()
        survivor.hangups_asked = sorted(survivor.hangups_asked + absorbed.hangups_asked)
        survivor.has_met_line = survivor.has_met_line or absorbed.has_met_line
        if survivor.queue is None or (absorbed.queue is not None and absorbed.queue.waiting is not None):
            survivor.queue = absorbed.queue
        survivor.queue_name = survivor.queue_name or absorbed.queue_name
        survivor.order = survivor.order or absorbed.order
        survivor.seen_at = at
        absorbed.merged_into = survivor.id
        self._touched.channels.update((channel, None) for channel in (survivor.live.values() if meets_line else moved))
        self._touched.merges.append(Merge(absorbed, survivor, because))

    def _part(self, channel: Channel, at: float) -> None:
        """An agent's channel goes back to wait for the next customer: it is no longer part of this one's call."""
        call = channel.call
        if len(call.channels) == 1:
            call.is_agents = True
            return
        call.live.pop(channel.uniqueid, None)
        call_id = f"{self.pbx}-{channel.uniqueid}"
        waiting = Call(call_id if call_id not in self.calls else f"{call_id}~{at:.0f}", channel.uniqueid, at, at)
        self.calls[waiting.id] = waiting
        self._alias(channel.uniqueid, waiting)
        waiting.channels[channel.uniqueid] = waiting.live[channel.uniqueid] = channel
        waiting.source, waiting.is_agents = channel, True
        channel.call, channel.home, channel.leg, channel.joined_at = waiting, call, None, at
        self._touched.channels[channel] = None
        self._touched.channels.update((other, None) for other in call.live.values())
        if not call.live:
            last = next(reversed(call.channels.values()))
            self._touched.channels[last] = None

    def forget(self, call: Call) -> None:
        """The call is finished: drop it and its channels."""
        self.calls.pop(call.id, None)
        self._gone[call.linkedid] = None
        for channel in call.channels.values():
            if channel.call is call:
                self._leave_bridge(channel)
                self._unpair(channel)
                self.channels.pop(channel.uniqueid, None)
                self._gone[channel.uniqueid] = None
        while len(self._gone) > MAX_GONE:
            self._gone.popitem(last=False)
        for linkedid in call.linkedids:
            del self._by_linkedid[linkedid]

    # -- bridges -----------------------------------------------------------------------------------------------------

    def _enter_bridge(self, channel: Channel, bridge_id: str, bridge_type: str, at: float) -> None:
        if not bridge_id:
            return
        if channel.bridge is not None and channel.bridge.id != bridge_id:
            self._leave_bridge(channel)
        bridge = self._bridges.setdefault(bridge_id, Bridge(bridge_id, bridge_type))
        bridge.type = bridge_type or bridge.type
        bridge.members[channel] = None
        channel.bridge = bridge
        if bridge.type == AGENT_HOLD:
            self._part(channel, at)
            return
        channel.was_bridged = True
        if _ties(bridge, channel):
            self._tie_members(bridge, channel, at)

    def _tie_members(self, bridge: Bridge, channel: Channel, at: float) -> None:
        """One call of all that hear each other now that the channel entered."""
        for mate in [mate for mate in bridge.members if mate.call is not channel.call]:
            self._tie(mate, channel, at)
        for member in list(bridge.members):
            self._answer_undialled(member, at)

    def _answer_undialled(self, channel: Channel, at: float) -> None:
        """An employee's phone that nothing dialled is in a bridge with who calls. An agent on the line is put into the
        one with ``Local/...;2``, whose other half rang for them (apps/app_agent_pool.c, agent_request); a pickup is
        known by it where no Pickup event comes."""
        if channel.leg is not None or not channel.extension or channel is channel.call.source:
            return
        for mate in self.bridge_mates(channel):
            rung = mate.half.leg if mate.half is not None and mate.name.half == "2" else None
            is_caller = mate is channel.call.source and mate.leg is None and channel.call.answer is None
            if is_caller or (rung is not None and rung.caller is not None):
                own = self.begin_leg(channel, rung.caller if rung is not None else mate, "", at)
                own.began_at = rung.began_at if rung is not None else at
                own.rang_at = own.began_at if rung is None or rung.rang_at is None else rung.rang_at
                own.status, own.ended_at = "ANSWER", at
                return

    def _leave_bridge(self, channel: Channel, bridge_id: str = "") -> None:
        """Out of ``bridge_id``, or of any it is in. A BridgeLeave that follows the next BridgeEnter changes nothing."""
        bridge = channel.bridge
        if bridge is None or (bridge_id and bridge.id != bridge_id):
            return
        bridge.members.pop(channel, None)
        if not bridge.members:
            self._bridges.pop(bridge.id, None)
        channel.bridge = None

    def _unpair(self, channel: Channel) -> None:
        pair = self._pairs.get(channel.name.pair)
        if pair is not None and pair.pop(channel.name.half, None) is not None and not pair:
            del self._pairs[channel.name.pair]

    def _touch_audience(self, channel: Channel) -> None:
        self._touched.channels.update((other, None) for other in self.audible(channel))
        self._touched.channels[channel] = None

    # -- snapshots and lost events -----------------------------------------------------------------------------------

    def recognise(self, view: ChannelView, at: float) -> None:
        """Give the call of a listed channel the identity under which an earlier run reported it.

        After a merge that is not its present Linkedid; but the call began with this channel, or one of its people took
        part with it.
        """
        linkedid = view.linkedid or view.uniqueid
        if linkedid in self._by_linkedid or f"{self.pbx}-{linkedid}" in self.remembered:
            return
        for call_id, parts in self.remembered.items():
            if call_id == f"{self.pbx}-{view.uniqueid}" or any(
                part.occurrence == view.uniqueid for part in parts.values()
            ):
                self._alias(linkedid, self._call_of(call_id.removeprefix(f"{self.pbx}-"), view.uniqueid, at))
                return

    def forget_remembered(self) -> None:
        """What did not turn up in the snapshot is over; should its people ring again, that is a new participation."""
        self.remembered.clear()
        for call in self.calls.values():
            call.remembered.clear()

    def restore(self, item: ListedChannel, at: float) -> tuple[Channel | None, Touched]:
        """A channel as a listing shows it: adopt it, or bring it up to date."""
        touched = self._touched = Touched()
        self._reason = "list of channels:"
        is_new = item.view.uniqueid not in self.channels
        channel = self._see(item.view, at)
        if channel is None or not channel.is_live:
            return channel, touched
        created_at = at - item.duration
        if is_new or created_at < channel.created_at - DURATION_SLACK:  # older than our connection
            call = channel.call
            channel.created_at = created_at
            call.is_adopted = True
            call.started_at = min(call.started_at, created_at)
        if item.bridge and (channel.bridge is None or channel.bridge.id != item.bridge):
            self._enter_bridge(channel, item.bridge, "", at)
        elif not item.bridge and channel.bridge is not None:
            self._leave_bridge(channel)
        if is_new and not item.view.linkedid and item.application in DIALLED_APPLICATIONS:
            self._tie(self._shown_as_caller(channel), channel, at)
        return channel, touched

    def _shown_as_caller(self, channel: Channel) -> Channel | None:
        """Without Linkedids: who rings this phone, by the number that it shows; None if two calls have it."""
        number = channel.view.connected
        callers = [
            other
            for other in self.live_channels
            if number and other.view.number == number and other.view.state in CALLING
        ]
        is_one_call = len({other.call.id for other in callers if other.call is not channel.call}) <= 1
        return _last_before(channel, callers) if is_one_call else None

    def restore_leg(self, channel: Channel, application: str, at: float) -> bool:
        """A dialled channel runs AppDial or AppQueue (its caller is in Dial or Queue), or AppDial2 (it is an
        Originate's; main/dial.c), or the dialplan: of an Originate's Local channel, the half in whose call all is.
        Returns whether the leg shows the direction: else its DialBegin may come."""
        if application == AGENT_APPLICATION and len(self.bridge_mates(channel)) > 1:
            # an agent on the line, called by the pool; when they began to wait has nothing to do with this call
            leg = self.begin_leg(channel, None, "", at)
            leg.rang_at, leg.status, leg.ended_at = at, "ANSWER", at
            return False
        is_dialled, is_source = application in DIALLED_APPLICATIONS, channel is channel.call.source
        is_local = is_source and channel.name.half == "1" and not is_dialled
        if not is_dialled and not is_local:
            return False
        channel.is_originated = is_source and (is_local or application == "AppDial2")
        others = [other for other in channel.call.live.values() if other.leg is None]
        leg = self.begin_leg(channel, _last_before(channel, others), "", at)
        is_up = channel.view.state == ChannelState.UP
        if is_up:
            leg.rang_at = leg.began_at = channel.created_at
            leg.status, leg.ended_at = "ANSWER", at
            channel.call.picked_up[leg] = None
            if application == "AppDial" and channel.bridge is None:  # Dial() bridges at once: they talked before
                leg.connected_at = at
        return is_up or channel.is_originated or channel.view.state == ChannelState.RINGING

    def hang_up(self, channel: Channel, end: HangUp) -> None:
        """Out of its bridge and pair; kept in its call."""
        channel.end = end
        call = channel.call
        call.live.pop(channel.uniqueid, None)
        self._leave_bridge(channel)
        self._unpair(channel)
        if channel.leg is not None and channel.leg.ended_at is None:
            channel.leg.ended_at = end.at
        if call.queue is not None and call.queue.waiting is channel:
            call.queue = attrs.evolve(call.queue, waiting=None)

    # -- events ------------------------------------------------------------------------------------------------------

    def _created(self, event: ChannelCreated, at: float) -> None:
        self._see(event.channel, at, is_new=True)

    def _changed(self, event: ChannelChanged, at: float) -> None:
        self._see(event.channel, at, adopt=event.event == "Newstate")

    def _renamed(self, event: ChannelRenamed, at: float) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is not None:
            channel.view = channel.view._replace(name=event.name)

    def _hangup_requested(self, event: HangupRequested, at: float) -> None:
        channel = self._see(event.channel, at, adopt=False)
        self.shows_hangup_requests = True
        if channel is None:
            return
        channel.hangup_asked_at = at
        if channel.is_person:
            channel.call.hangups_asked.append(at)
        queue = channel.call.queue
        if queue is not None and queue.waiting is channel and channel.call.answer is None:
            channel.call.queue = attrs.evolve(queue, has_given_up=True)

    def _hung_up(self, event: ChannelHungUp, at: float) -> None:
        channel = self._see(event.channel, at, adopt=False)
        if channel is None or not channel.is_live:
            return
        self._touch_audience(channel)
        self.hang_up(channel, HangUp(at, event.cause, event.tech_cause))

    def _dial_began(self, event: DialBegan, at: float) -> None:
        caller = self._see(event.caller, at)
        channel = self._see(event.dialled, at)
        if channel is None or not channel.is_live:
            return
        if event.caller is None and channel is channel.call.source:
            channel.is_originated = True
        self._tie(caller, channel, at)
        self.begin_leg(channel, caller, event.dial_string, at)

    def _dial_progressed(self, event: DialProgressed, at: float) -> None:
        channel = self._see(event.dialled, at)
        caller = self._see(event.caller, at)
        if channel is None or not channel.is_live:
            return
        if channel.leg is None:
            self.begin_leg(channel, caller, "", at)
        self._ring(channel, at)

    def _dial_ended(self, event: DialEnded, at: float) -> None:
        caller = self._see(event.caller, at)
        channel = self._see(event.dialled, at)
        if channel is None or (not channel.is_live and channel.leg is None):
            return
        if caller is not None and channel.is_live and caller.is_live:
            self._tie(caller, channel, at)
        leg = self.begin_leg(channel, caller, "", at)
        self._refuse_or_answer(leg, caller, event.status, at)

    def _originate_ended(self, event: OriginateEnded, at: float) -> None:
        """What it means for the call is a conclusion (click.py); no channel changes."""

    def _bridge_entered(self, event: BridgeEntered, at: float) -> None:
        channel = self._see(event.channel, at)
        if channel is None or not channel.is_live:
            return
        if channel.bridge is not None:
            self._touch_audience(channel)
        self.shows_bridges, self.hears_by_dial, self.bridge_due = True, False, None
        swapped = self.channels.get(event.swapped)
        if swapped is not None:
            self._leave_bridge(swapped)
        self._enter_bridge(channel, event.bridge, event.bridge_type, at)
        self._touch_audience(channel)

    def _bridge_left(self, event: BridgeLeft, at: float) -> None:
        channel = self._see(event.channel, at, adopt=False)
        if channel is None:
            return
        self._touch_audience(channel)
        self._leave_bridge(channel, event.bridge)

    def _hold_changed(self, event: HoldChanged, at: float) -> None:
        channel = self._see(event.channel, at, adopt=False)
        if channel is not None:
            channel.is_on_hold = event.is_held
            self._touch_audience(channel)

    def _blind_transferred(self, event: BlindTransferred, at: float) -> None:
        channel = self._see(event.transferer, at, adopt=False)
        self._see(event.transferee, at, adopt=False)
        if channel is not None:
            channel.is_transferer = True

    def _attended_transferred(self, event: AttendedTransferred, at: float) -> None:
        first = self._see(event.first, at, adopt=False)
        second = self._see(event.second, at, adopt=False)
        others = [self._see(view, at, adopt=False) for view in (event.transferee, event.target)]
        if first is None:
            return
        for channel in (second, *others):
            if channel is not None and channel.is_live:
                self._tie(first, channel, at)
        for transferer in (first, second):
            if transferer is not None:
                transferer.is_transferer = True

    def _picked_up(self, event: PickedUp, at: float) -> None:
        picker = self._see(event.picker, at)
        target = self._see(event.target, at, adopt=False)
        if picker is None or target is None:
            return
        self._tie(target, picker, at)
        if target.leg is not None:
            target.leg.is_picked_from = True
            # main/pickup.c: the picker is answered in the target's place; of a Queue there is no DialEnd to show it
            leg = self.begin_leg(picker, target.leg.caller, "", at)
            self._refuse_or_answer(leg, target.leg.caller, "ANSWER", at)

    def _parked(self, event: Parked, at: float) -> None:
        parkee = self._see(event.parkee, at, adopt=False)
        for channel in parkee.call.live.values() if parkee is not None else ():
            if channel.full_name.rpartition("-")[0] == event.parker:
                channel.is_transferer = True

    def _unparked(self, event: Unparked, at: float) -> None:
        parkee = self._see(event.parkee, at, adopt=False)
        retriever = self._see(event.retriever, at)
        self._tie(parkee, retriever, at)
        if retriever is not None:
            self._touch_audience(retriever)

    def _queue_joined(self, event: QueueJoined, at: float) -> None:
        channel = self._see(event.channel, at)
        if channel is None:
            return
        call = channel.call
        call.queue = QueueVisit(event.queue, channel)
        if call.answer is None or not call.queue_name:
            call.queue_name = event.queue

    def _queue_left(self, event: QueueLeft, at: float) -> None:
        channel = self._see(event.channel, at, adopt=False)
        if channel is None:
            return
        queue = channel.call.queue
        if queue is not None and queue.waiting is channel:
            channel.call.queue = attrs.evolve(queue, waiting=None)
        for leg in [other.leg for other in channel.call.live.values() if other.leg is not None]:
            if leg.caller is channel:
                self._await_bridge(leg, at)

    def _mentioned(self, event: VoicemailStarted | RecordingStarted, at: float) -> None:
        self._see(event.channel, at, adopt=False)

    def _not_of_channels(self, event: CdrWritten | ServerLacks, at: float) -> None:
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


def _last_before(channel: Channel, others: Iterable[Channel]) -> Channel | None:
    """Of channels that may have dialled this one, the last that was made before it: in no bridge while the phone
    rings, in the same one later."""
    made = creation_order(channel.uniqueid)
    callers = {
        creation_order(other.uniqueid): other
        for other in others
        if other.bridge is channel.bridge and other is not channel.half
    }
    return callers[max(earlier)] if (earlier := [order for order in callers if order < made]) else None


def _ties(bridge: Bridge, channel: Channel) -> bool:
    """Who is in a basic bridge belongs to one call; a conference (type base) has people of many. A listing does not
    show the type; but then Linkedids tie, where the server has them (Asterisk 13.5 and later)."""
    return bridge.type == "basic" or (not bridge.type and not channel.view.linkedid)


def _completed(view: ChannelView, before: ChannelView) -> ChannelView:
    """What the view does not show is as it was."""
    if view.number and view.linkedid and view.state is not None and (view.connected or not before.connected):
        return view
    return view._replace(
        number=view.number or before.number,
        linkedid=view.linkedid or before.linkedid,
        connected=view.connected or before.connected,
        state=before.state if view.state is None else view.state,
    )


def _chosen(one: Call, other: Call) -> tuple[Call, Call]:
    """(survivor, absorbed): the customer's call stays; of two alike the older, as Asterisk chooses Linkedids
    (main/bridge_channel.c, oldest linkedid of a bridge)."""

    def weight(call: Call) -> tuple[bool, bool, tuple[int, int, str]]:
        return call.is_agents, not call.has_met_line, creation_order(call.linkedid)

    return (one, other) if weight(one) <= weight(other) else (other, one)


def _is_through(leg: Leg) -> bool:
    """The dialling application reports that it connects the two, or did."""
    if leg.status != "ANSWER" or leg.caller is None:
        return False
    queue = leg.caller.call.queue
    return not leg.is_of_queue or (queue is not None and queue.waiting is not leg.caller)
