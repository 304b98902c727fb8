"""What a listing shows of a channel: its age, its bridge, and by its application who dialled it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from uac_trio.calls.bridges import Bridges
from uac_trio.calls.call import Unseen
from uac_trio.calls.call_union import CallUnion
from uac_trio.calls.change import Change
from uac_trio.calls.channel import Channel
from uac_trio.calls.channel_events import CALLING, ChannelState, ListedChannel
from uac_trio.calls.known_channels import KnownChannels
from uac_trio.calls.legs import Legs
from uac_trio.calls.names import creation_order

DURATION_SLACK = 1.5
"""Seconds by which a listed Duration (whole seconds) and a channel's first event may be off."""

AGENT_APPLICATION = "AgentLogin"
"""What the channel of an agent on the line runs, by its listing (apps/app_agent_pool.c)."""

DIALLED_APPLICATIONS = ("AppDial", "AppQueue", "AppDial2")
"""What a dialled channel runs by its listing."""


@attrs.define
class ListedChannels:
    """Restores channels and legs from a listing."""

    _known: KnownChannels
    _union: CallUnion
    _legs: Legs
    _bridges: Bridges

    def restore(self, item: ListedChannel, change: Change) -> Channel | None:
        """Adopt the channel, or bring it up to date."""
        is_new = item.view.uniqueid not in self._known.by_uniqueid
        channel = self._known.see(item.view, change)
        if channel is None or not channel.is_live:
            return channel
        _backdate(channel, change.at - item.duration, is_new)
        if item.bridge and (channel.bridge is None or channel.bridge.id != item.bridge):
            self._bridges.enter(channel, item.bridge, "", change)
        elif not item.bridge and channel.bridge is not None:
            self._bridges.leave(channel)
        if is_new and not item.view.linkedid and item.application in DIALLED_APPLICATIONS:
            self._union.tie(self._shown_as_caller(channel), channel, change)
        return channel

    def _shown_as_caller(self, channel: Channel) -> Channel | None:
        """Without Linkedids: who rings this phone, by the number that it shows; None if two calls have it."""
        number = channel.view.connected
        callers = [
            other
            for other in self._known.by_uniqueid.values()
            if number and other.is_live and other.view.number == number and other.view.state in CALLING
        ]
        is_one_call = len({other.call.id for other in callers if other.call is not channel.call}) <= 1
        return _last_before(channel, callers) if is_one_call else None

    def restore_leg(self, channel: Channel, application: str, change: Change) -> bool:
        """A dialled channel runs AppDial or AppQueue (its caller is in Dial or Queue), or AppDial2 (it is an
        Originate's; main/dial.c), or the dialplan: of an Originate's Local channel, the half in whose call all is.
        Returns whether the leg shows the direction: else its DialBegin may come."""
        if application == AGENT_APPLICATION and len(channel.bridge_mates) > 1:
            self._restore_agent(channel, change)
            return False
        is_dialled, is_source = application in DIALLED_APPLICATIONS, channel is channel.call.source
        is_local = is_source and channel.name.half == "1" and not is_dialled
        if not is_dialled and not is_local:
            return False
        channel.is_originated = is_source and (is_local or application == "AppDial2")
        others = [other for other in channel.call.channels.live if other.leg is None]
        leg = self._legs.begin(channel, _last_before(channel, others), "", change)
        is_up = channel.view.state == ChannelState.UP
        if is_up:
            leg.rang_at = leg.began_at = channel.created_at
            leg.status, leg.ended_at = "ANSWER", change.at
            channel.call.legs.pick_up(leg)
            if application == "AppDial" and channel.bridge is None:  # Dial() bridges at once: they talked before
                leg.connected_at = change.at
        return is_up or channel.is_originated or channel.view.state == ChannelState.RINGING

    def _restore_agent(self, channel: Channel, change: Change) -> None:
        """An agent on the line, called by the pool: when they began to wait has nothing to do with this call."""
        leg = self._legs.begin(channel, None, "", change)
        leg.rang_at, leg.status, leg.ended_at = change.at, "ANSWER", change.at


def _backdate(channel: Channel, created_at: float, is_new: bool) -> None:
    """The channel, and with it its call, may be older than our connection."""
    if is_new or created_at < channel.created_at - DURATION_SLACK:
        call = channel.call
        channel.created_at = created_at
        call.unseen |= Unseen.BEGINNING
        call.started_at = min(call.started_at, created_at)


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
