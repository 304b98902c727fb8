"""Dial attempts: which channel rings for whom, when it rang, whether it was picked up, how it was refused."""

from __future__ import annotations

import attrs

from uac_trio.calls.call import Call
from uac_trio.calls.change import Change
from uac_trio.calls.channel import Channel, Leg
from uac_trio.calls.channel_events import ChannelState
from uac_trio.calls.endpoint import EndpointClassifier, Evidence, Identity
from uac_trio.calls.hearing import Hearing
from uac_trio.calls.names import dialled_number


@attrs.define
class Legs:
    """Begins the legs of channels and keeps them up to date."""

    _classifier: EndpointClassifier
    _hearing: Hearing

    def begin(self, channel: Channel, caller: Channel | None, dial_string: str, change: Change) -> Leg:
        """The leg of ``channel``, new or completed with what is known now."""
        leg = channel.leg
        is_named_now = bool(dial_string) and (leg is None or not leg.dial_string)
        if leg is None:
            leg = channel.leg = Leg(channel, caller, dial_string, change.at, rang_at=channel.rang_at)
        else:
            leg.caller, leg.dial_string = leg.caller or caller, leg.dial_string or dial_string
        if leg.caller is not None:
            leg.caller.dialled[leg] = None
        change.channels[channel] = None
        if not channel.is_person:
            return leg
        if dial_string:
            channel.identity = self._classifier.dialled(channel.name, channel.identity, dial_string)
        if is_named_now and leg.rang_at is not None:
            change.rang.append(leg)
        call = channel.call
        if leg not in call.legs:
            call.legs.add(leg)
            change.legs.append(leg)
            if channel.up_at is not None:
                call.legs.pick_up(leg)
        if _meets_line(call, leg):
            change.touch(call.channels.live)
        return leg

    def identify(self, channel: Channel, identity: Identity) -> None:
        """What was learned since shows whose channel it is."""
        if channel.identity == identity:
            return
        channel.identity = identity
        if channel.leg is not None and channel.leg in channel.call.legs:
            _meets_line(channel.call, channel.leg)

    def enter_state(self, channel: Channel, state: int, change: Change) -> None:
        """The channel has another ``ChannelState``."""
        change.channels[channel] = None
        if state == ChannelState.RINGING:
            self.ring(channel, change)
        elif state == ChannelState.UP and channel.up_at is None:
            channel.up_at = change.at
            if channel.leg is not None and channel.is_person:
                channel.call.legs.pick_up(channel.leg)

    def ring(self, channel: Channel, change: Change) -> None:
        """The channel's device rings."""
        if channel.rang_at is None:
            channel.rang_at = change.at
        leg = channel.leg
        if leg is None and channel.is_person and channel.view.linkedid not in ("", channel.uniqueid):
            # Its DialBegin did not reach us (a filter), or follows (chan_iax2.c); it is a leg all the same.
            leg = self.begin(channel, None, "", change)
        if leg is not None and leg.rang_at is None and leg.ended_at is None:
            leg.rang_at = change.at
            change.channels[channel] = None
            if leg.dial_string:
                change.rang.append(leg)

    def refuse_or_answer(self, leg: Leg, caller: Channel | None, status: str, change: Change) -> None:
        """A DialStatus came."""
        if leg.connected_at is not None or leg.status not in ("", "ANSWER") or leg.status == status:
            return
        leg.status, leg.ended_at = status, change.at
        if status == "ANSWER" and leg.channel.is_person:
            leg.channel.call.legs.pick_up(leg)
        if status == "ANSWER" and caller is not None:
            leg.caller = caller  # another than began it: a pickup, a blond transfer
            caller.dialled[leg] = None
        self._hearing.await_bridge(leg, change)


def _meets_line(call: Call, leg: Leg) -> bool:
    """Whether the leg is the first to a line: it brings the outside into the call."""
    channel = leg.channel
    if channel.extension and channel.identity.evidence is not Evidence.MOBILES:
        return False
    leg.number = dialled_number(leg.dial_string, channel.name.endpoint) or channel.view.number or leg.number
    if channel.extension or call.has_met_line:
        return False
    call.has_met_line = True
    return True
