"""Which channels make one call: the sets of a union-find.

Linkedids change without an event of their own, and ties chain. So an absorbed call's Linkedids lead to the survivor
for good.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

from uac_trio.calls.call import Call, ClickOrder, Remembered
from uac_trio.calls.change import Change, Merge
from uac_trio.calls.channel import Channel, Moved
from uac_trio.calls.channel_events import ChannelView
from uac_trio.calls.deadlines import Deadlines
from uac_trio.calls.names import creation_order

MAX_GONE = 20_000
"""Uniqueids of channels that are gone, so that a late event does not revive them: an hour of a busy PBX."""


@attrs.define
class CallUnion:
    """The unfinished calls of one PBX; ``pbx`` is part of every call's identity."""

    pbx: str
    calls: dict[str, Call] = attrs.field(factory=dict, init=False)
    """Unfinished calls by id."""
    remembered: dict[str, dict[str, Remembered]] = attrs.field(factory=dict, init=False)
    """By call id and extension: what an earlier run of ours began."""
    orders: Deadlines[ClickOrder] = attrs.field(factory=Deadlines, init=False)
    """By ChannelId: Originates of ours of which no channel was seen yet."""
    _by_linkedid: dict[str, Call] = attrs.field(factory=dict, init=False)
    _linkedids: dict[Call, set[str]] = attrs.field(factory=dict, init=False)
    """All that mean a call: its own and those of calls it absorbed."""
    _gone: OrderedDict[str, None] = attrs.field(factory=OrderedDict, init=False)

    def find(self, linkedid: str) -> Call | None:
        return self._by_linkedid.get(linkedid)

    def is_gone(self, uniqueid: str) -> bool:
        return uniqueid in self._gone

    # -- which call --------------------------------------------------------------------------------------------------

    def call_of(self, linkedid: str, uniqueid: str, at: float) -> Call:
        """The call with this Linkedid; if there is none it is made, with ``uniqueid`` as its first channel."""
        call = self._by_linkedid.get(linkedid)
        if call is None and linkedid in self._gone:  # that call is finished; its id may not be used again
            linkedid = uniqueid
            call = self._by_linkedid.get(linkedid)
        return call if call is not None else self._new_call(f"{self.pbx}-{linkedid}", linkedid, at)

    def _new_call(self, call_id: str, linkedid: str, at: float) -> Call:
        call = Call(call_id, linkedid, at, at)
        call.participations.remembered.update(self.remembered.pop(call.id, {}))
        call.click.order = self.orders.pop(linkedid)
        self.calls[call.id] = call
        self._alias(linkedid, call)
        return call

    def _alias(self, linkedid: str, call: Call) -> None:
        """From now on this Linkedid means this call."""
        other = self._by_linkedid.get(linkedid)
        if other is not None:
            self._linkedids[other].discard(linkedid)
        self._by_linkedid[linkedid] = call
        self._linkedids.setdefault(call, set()).add(linkedid)

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
                self._alias(linkedid, self.call_of(call_id.removeprefix(f"{self.pbx}-"), view.uniqueid, at))
                return

    def forget_remembered(self) -> None:
        """What did not turn up in the snapshot is over; should its people ring again, that is a new participation."""
        self.remembered.clear()
        for call in self.calls.values():
            call.participations.remembered.clear()

    # -- ties --------------------------------------------------------------------------------------------------------

    def tie(self, one: Channel | None, other: Channel | None, change: Change) -> None:
        """Two channels belong to one call."""
        if one is not None and other is not None and one.call is not other.call:
            self.merge(one.call, other.call, f"{change.because} {one.full_name}", change)

    def follow_linkedid(self, channel: Channel, change: Change) -> None:
        """Asterisk counts the channel to another call than before."""
        linkedid, call = channel.view.linkedid, channel.call
        other = self._by_linkedid.get(linkedid)
        if other is None:
            self._alias(linkedid, call)
        elif other is not call and not other.channels.are_idle and not call.channels.are_idle:
            self.merge(call, other, f"{channel.full_name} now has Linkedid {linkedid}", change)

    def merge(self, one: Call, other: Call, because: str, change: Change) -> None:
        """The absorbed call ends here. Its live channels, with the legs to them, go to the survivor."""
        survivor, absorbed = _chosen(one, other)
        change.reopen(survivor)
        meets_line = absorbed.has_met_line and not survivor.has_met_line
        survivor.has_met_line = survivor.has_met_line or absorbed.has_met_line
        moved = survivor.channels.take_over(absorbed.channels)
        for channel in moved:
            channel.call = survivor
            channel.moved = Moved(channel.home or absorbed, change.at)
            if channel.leg is not None and channel.is_person:
                survivor.legs.take_over(channel.leg, absorbed.legs)
        linkedids = self._linkedids.pop(absorbed, set())
        self._linkedids.setdefault(survivor, set()).update(linkedids)
        self._by_linkedid.update(dict.fromkeys(linkedids, survivor))
        survivor.queue.take_over(absorbed.queue)
        survivor.click.order = survivor.click.order or absorbed.click.order
        survivor.seen_at = change.at
        change.touch(survivor.channels.live if meets_line else moved)
        change.merges.append(Merge(absorbed, survivor, because))

    def part(self, channel: Channel, change: Change) -> None:
        """An agent's channel goes back to wait for the next customer: it is no longer part of this one's call."""
        call, at = channel.call, change.at
        if len(call.channels) == 1:
            call.is_agents = True
            return
        call.channels.remove(channel)
        call_id = f"{self.pbx}-{channel.uniqueid}"
        waiting = Call(call_id if call_id not in self.calls else f"{call_id}~{at:.0f}", channel.uniqueid, at, at)
        self.calls[waiting.id] = waiting
        self._alias(channel.uniqueid, waiting)
        waiting.channels.add(channel)
        waiting.source, waiting.is_agents = channel, True
        channel.call, channel.moved, channel.leg = waiting, Moved(call, at), None
        change.channels[channel] = None
        change.touch(call.channels.live or (call.channels.latest,))

    # -- ends --------------------------------------------------------------------------------------------------------

    def forget(self, call: Call) -> None:
        """The call is finished: neither its Linkedids nor those of its channels mean a call again."""
        self.calls.pop(call.id, None)
        self._gone[call.linkedid] = None
        self._gone.update((channel.uniqueid, None) for channel in call.channels if channel.call is call)
        while len(self._gone) > MAX_GONE:
            self._gone.popitem(last=False)
        for linkedid in self._linkedids.pop(call, ()):
            del self._by_linkedid[linkedid]


def _chosen(one: Call, other: Call) -> tuple[Call, Call]:
    """(survivor, absorbed): the customer's call stays; of two alike the older, as Asterisk chooses Linkedids
    (main/bridge_channel.c, oldest linkedid of a bridge)."""

    def weight(call: Call) -> tuple[bool, bool, tuple[int, int, str]]:
        return call.is_agents, not call.has_met_line, creation_order(call.linkedid)

    return (one, other) if weight(one) <= weight(other) else (other, one)
