"""Which channels there are, and what the latest event shows of each."""

from __future__ import annotations

import attrs

from uac_trio.calls.call_union import CallUnion
from uac_trio.calls.change import Change
from uac_trio.calls.channel import Channel
from uac_trio.calls.channel_events import ChannelView
from uac_trio.calls.deadlines import Deadlines
from uac_trio.calls.endpoint import EndpointClassifier
from uac_trio.calls.legs import Legs
from uac_trio.calls.local_pairs import LocalPairs
from uac_trio.calls.names import parse_channel_name


@attrs.define
class KnownChannels:
    """The channels of unfinished calls, those too that ended: a Cdr may follow the Hangup."""

    _classifier: EndpointClassifier
    _union: CallUnion
    _pairs: LocalPairs
    _legs: Legs
    by_uniqueid: dict[str, Channel] = attrs.field(factory=dict, init=False)
    missing: Deadlines[Channel] = attrs.field(factory=Deadlines, init=False)
    """By Uniqueid: a listing lacked these channels; gone when they are due."""
    listing_expected_until: float = attrs.field(default=0.0, init=False)
    """Until then a list of channels is awaited, and of older channels it shows more than an event in passing."""

    def see(
        self, view: ChannelView | None, change: Change, *, adopt: bool = True, is_new: bool = False
    ) -> Channel | None:
        """The channel of a view, brought up to date; None where there is no view, or the channel is long gone."""
        if view is None:
            return None
        channel = self.by_uniqueid.get(view.uniqueid)
        if channel is None:
            return self._adopt(view, change, is_new) if adopt and self._is_adoptable(view, change.at, is_new) else None
        if channel.end is None:
            self._refresh(channel, view, change)
        return channel

    def _is_adoptable(self, view: ChannelView, at: float, is_new: bool) -> bool:
        if not view.uniqueid or not view.name or self._union.is_gone(view.uniqueid):
            return False
        return is_new or at >= self.listing_expected_until

    def _refresh(self, channel: Channel, view: ChannelView, change: Change) -> None:
        channel.seen_at = channel.call.seen_at = change.at
        self.missing.pop(view.uniqueid)
        before = channel.view
        channel.view = view = _completed(view, before)
        if view.number and not before.number:
            change.channels[channel] = None
        if view.linkedid != before.linkedid:
            self._union.follow_linkedid(channel, change)
        if view.state is not None and view.state != before.state:
            self._legs.enter_state(channel, view.state, change)

    def _adopt(self, view: ChannelView, change: Change, is_new: bool) -> Channel:
        """A channel seen for the first time: new, or older than our connection."""
        at = change.at
        name = parse_channel_name(view.name)
        linkedid = view.linkedid or view.uniqueid
        identity = self._classifier.identify(name, view, is_new=is_new)
        call = self._union.call_of(linkedid, view.uniqueid, at)
        channel = Channel(view.uniqueid, name, view, view, identity, call, at, at)
        change.reopen(call)
        self.by_uniqueid[view.uniqueid] = channel
        call.channels.add(channel)
        call.seen_at = at
        self._pairs.add(channel)
        if call.source is None or view.uniqueid == call.linkedid:
            call.source = channel
        half = channel.half
        if half is not None and half.call is not call:  # servers before 13.5 have no Linkedid
            self._union.merge(half.call, call, f"halves of {name.pair}", change)
        change.channels[channel] = None
        if view.state is not None:
            self._legs.enter_state(channel, view.state, change)
        return channel


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
