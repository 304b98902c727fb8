"""The channels, bridges and calls of one PBX: who is connected to whom, and which channels make one call."""

from __future__ import annotations

from collections import OrderedDict

import attrs

from uac_trio.calls.call import Call, Remembered
from uac_trio.calls.channel import Channel
from uac_trio.calls.rules import creation_order

MAX_REMEMBERED = 20_000
"""Uniqueids of channels that are gone, so that a late event does not revive them: an hour of a busy PBX."""

SILENT_BRIDGES = frozenset({"parking", "holding"})
"""BridgeType whose members hear music, not each other."""


@attrs.define
class Bridge:
    type: str
    members: set[Channel] = attrs.field(factory=set)


@attrs.define
class Switchboard:
    """Holds what is alive; ``pbx`` is part of every call's identity."""

    pbx: str
    channels: dict[str, Channel] = attrs.field(factory=dict)
    """By Uniqueid: all of unfinished calls, the ended ones too (a Cdr may follow the Hangup)."""
    calls: dict[str, Call] = attrs.field(factory=dict)
    """Unfinished calls by id."""
    remembered: dict[str, dict[str, Remembered]] = attrs.field(factory=dict)
    """By call id and extension: what an earlier run of ours began."""
    hears_hangup_requests: bool = False
    """HangupRequest events reach us (no filter drops them), so their absence means something."""
    _by_linkedid: dict[str, Call] = attrs.field(factory=dict)
    _bridges: dict[str, Bridge] = attrs.field(factory=dict)
    _pairs: dict[str, dict[str, Channel]] = attrs.field(factory=dict)
    _gone: OrderedDict[str, None] = attrs.field(factory=OrderedDict)

    # -- calls ------------------------------------------------------------------------------------------------

    def call_of(self, linkedid: str, uniqueid: str, at: float) -> Call:
        """The call with this Linkedid; if there is none it is made, with ``uniqueid`` as its first channel."""
        call = self._by_linkedid.get(linkedid)
        if call is None and linkedid in self._gone:  # that call was told; its id may not be used again
            linkedid = uniqueid
            call = self._by_linkedid.get(linkedid)
        if call is None:
            call = Call(f"{self.pbx}-{linkedid}", linkedid, at)
            call.remembered = self.remembered.pop(call.id, {})
            call.saw_hangup_request = self.hears_hangup_requests
            self.calls[call.id] = call
            self.alias(linkedid, call)
        return call

    def recognise(self, uniqueid: str, linkedid: str, at: float) -> None:
        """Give the call of a listed channel the identity under which an earlier run told of it.

        After a merge that is not its present Linkedid; but the call began with this channel, or one of its people took
        part with it.
        """
        if linkedid in self._by_linkedid or f"{self.pbx}-{linkedid}" in self.remembered:
            return
        for call_id, parts in self.remembered.items():
            if call_id == f"{self.pbx}-{uniqueid}" or any(part.occurrence == uniqueid for part in parts.values()):
                self.alias(linkedid, self.call_of(call_id.removeprefix(f"{self.pbx}-"), uniqueid, at))
                return

    def forget_remembered(self) -> None:
        """What did not turn up in the snapshot is over; should its people ring again, that is a new part."""
        self.remembered.clear()
        for call in self.calls.values():
            call.remembered.clear()

    def find_call(self, linkedid: str) -> Call | None:
        return self._by_linkedid.get(linkedid)

    def alias(self, linkedid: str, call: Call) -> None:
        """From now on this Linkedid means this call."""
        self._by_linkedid[linkedid] = call
        call.linkedids.add(linkedid)

    def choose_survivor(self, one: Call, other: Call) -> tuple[Call, Call]:
        """(survivor, absorbed): the customer's call stays; of two alike the older, as Asterisk chooses Linkedids
        (main/bridge_channel.c, oldest linkedid of a bridge)."""

        def weight(call: Call) -> tuple[bool, tuple[int, int, str]]:
            return not call.met_line, creation_order(call.linkedid)

        return (one, other) if weight(one) <= weight(other) else (other, one)

    def move(self, absorbed: Call, survivor: Call, at: float) -> None:
        """Hand the live channels of ``absorbed``, with the legs to them, to ``survivor``; its Linkedids follow."""
        for channel in absorbed.live.values():
            channel.home = channel.home or absorbed
            channel.call, channel.joined_at = survivor, at
            survivor.add_channel(channel)
            if channel.leg is not None and channel.is_person and channel.leg not in survivor.legs:
                survivor.legs.append(channel.leg)
        absorbed.live.clear()
        for linkedid in absorbed.linkedids:
            self.alias(linkedid, survivor)
        absorbed.linkedids.clear()

    def forget(self, call: Call) -> None:
        """The call is told: drop it and its channels."""
        self.calls.pop(call.id, None)
        self._gone[call.linkedid] = None
        for channel in call.channels.values():
            if channel.call is call:
                self.remove(channel)
                self.channels.pop(channel.uniqueid, None)
                self._gone[channel.uniqueid] = None
        while len(self._gone) > MAX_REMEMBERED:
            self._gone.popitem(last=False)
        for linkedid in call.linkedids:
            del self._by_linkedid[linkedid]

    @property
    def live_channels(self) -> list[Channel]:
        return [channel for channel in self.channels.values() if channel.is_live]

    # -- channels ---------------------------------------------------------------------------------------------

    def is_gone(self, uniqueid: str) -> bool:
        return uniqueid in self._gone

    def add(self, channel: Channel) -> None:
        self.channels[channel.uniqueid] = channel
        channel.call.add_channel(channel)
        if channel.name.pair:
            pair = self._pairs.setdefault(channel.name.pair, {})
            pair[channel.name.half] = channel
            for other in pair.values():
                if other is not channel:
                    channel.half, other.half = other, channel

    def remove(self, channel: Channel) -> None:
        """It hung up: out of its bridge and pair; kept in its call."""
        self.leave_bridge(channel)
        pair = self._pairs.get(channel.name.pair)
        if pair is not None and pair.pop(channel.name.half, None) is not None and not pair:
            del self._pairs[channel.name.pair]

    # -- bridges ----------------------------------------------------------------------------------------------

    def enter_bridge(self, channel: Channel, bridge: str, bridge_type: str) -> None:
        if not bridge:
            return
        if channel.bridge != bridge:
            self.leave_bridge(channel)
        entry = self._bridges.setdefault(bridge, Bridge(bridge_type))
        entry.type = bridge_type or entry.type
        entry.members.add(channel)
        channel.bridge = bridge
        channel.was_bridged = True

    def leave_bridge(self, channel: Channel, bridge: str = "") -> None:
        """Out of ``bridge``, or of any it is in. A BridgeLeave that follows the next BridgeEnter changes nothing."""
        if not channel.bridge or (bridge and channel.bridge != bridge):
            return
        members = self._bridges[channel.bridge].members
        members.discard(channel)
        if not members:
            del self._bridges[channel.bridge]
        channel.bridge = ""

    def bridge_mates(self, channel: Channel) -> set[Channel]:
        entry = self._bridges.get(channel.bridge) if channel.bridge else None
        return entry.members if entry is not None else set()

    def audible(self, channel: Channel) -> frozenset[Channel]:
        """The people this channel can hear, itself included: over bridges, Local pairs, and an answered Dial whose
        bridge is not known (yet)."""
        seen = {channel}
        todo = [channel]
        while todo:
            here = todo.pop()
            for other in self._neighbours(here):
                if other.is_live and other not in seen:
                    seen.add(other)
                    todo.append(other)
        return frozenset(other for other in seen if other.is_person)

    def _neighbours(self, channel: Channel) -> set[Channel]:
        near: set[Channel] = set()
        entry = self._bridges.get(channel.bridge) if channel.bridge else None
        if entry is not None and entry.type not in SILENT_BRIDGES:
            near |= entry.members
        if channel.half is not None:
            near.add(channel.half)
        if not channel.was_bridged:
            leg = channel.leg
            if leg is not None and leg.answered_at is not None and leg.caller and not leg.caller.was_bridged:
                near.add(leg.caller)
            if channel.answered_leg is not None and not channel.answered_leg.channel.was_bridged:
                near.add(channel.answered_leg.channel)
        return near
