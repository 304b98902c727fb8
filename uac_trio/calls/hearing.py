"""Who hears whom: over bridges, Local pairs and, where no bridges are shown, answered Dials."""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs

from uac_trio.calls.change import Change
from uac_trio.calls.channel import SILENT_BRIDGES, Channel, Leg

BRIDGED_WITHIN = 0.5
"""Seconds within which BridgeEnter follows an answer, under load too."""


@attrs.define
class Hearing:
    """Knows whether this server shows its bridges, and whom a channel hears."""

    by_dial: bool = False
    """BridgeEnter events do not reach us (a filter drops them): an answered Dial counts as a conversation."""
    bridge_due: float = math.inf
    """Until then the first BridgeEnter should follow an answer; without it, ``by_dial`` begins. Infinity: no answer."""
    shows_bridges: bool = False
    """A BridgeEnter reached us."""

    def see_bridge(self) -> None:
        """A BridgeEnter came."""
        self.shows_bridges, self.by_dial, self.bridge_due = True, False, math.inf

    def miss_bridges(self) -> None:
        """No BridgeEnter came of the first answer."""
        self.by_dial, self.bridge_due = True, math.inf

    def await_bridge(self, leg: Leg, change: Change) -> None:
        """The leg was answered: on a server that showed no bridge yet, see whether it shows this one."""
        if self.shows_bridges or not _is_through(leg):
            return
        if self.by_dial:
            self.touch_audience(leg.channel, change)
        elif self.bridge_due == math.inf:
            self.bridge_due = change.at + BRIDGED_WITHIN

    def is_alone(self, channel: Channel) -> bool:
        """It is in no bridge and no pair, and dials do not count."""
        return channel.bridge is None and channel.half is None and not self.by_dial

    def audible(self, channel: Channel) -> tuple[Channel, ...]:
        """The people this channel can hear, itself included."""
        if self.is_alone(channel):
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

    def touch_audience(self, channel: Channel, change: Change) -> None:
        """Whom it hears, and who hears it, may be others than before."""
        change.touch(self.audible(channel))
        change.channels[channel] = None

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
        if self.by_dial:
            near += _dial_partners(channel)
        return near


def _dial_partners(channel: Channel) -> Iterator[Channel]:
    """Dial() bridges caller and callee when it reports ANSWER (apps/app_dial.c); Queue() may play announcements
    first, and its caller leaves the queue when they are over (apps/app_queue.c, try_calling)."""
    own = channel.leg
    if own is not None and own.caller is not None and _is_through(own):
        yield own.caller
    for leg in channel.dialled:
        if leg.caller is channel and leg.channel.is_live and leg.channel.call is channel.call and _is_through(leg):
            yield leg.channel


def _is_through(leg: Leg) -> bool:
    """The dialling application reports that it connects the two, or did."""
    if leg.status != "ANSWER" or leg.caller is None:
        return False
    return not leg.is_of_queue or leg.caller.call.queue.has_let_through(leg.caller)
