"""AMI 1.x: who hung up, and the Hangups that wait for a status.

A destination that hangs up without a conversation was refused, given up or timed out; often only the end of its Dial()
shows which. Its Hangup is given out behind that status, and behind it what ended because of it. Asterisk 1.8 does not
show a caller who gives up (no HangupRequest): other events do.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.ami1_callers import Callers
from uac_trio.calls.ami1_devices import Device, Devices
from uac_trio.calls.ami1_dials import Dialling, Dials, Leg, status_at_end, status_at_hangup, status_meanwhile
from uac_trio.calls.ami1_feature_codes import FeatureCodes
from uac_trio.calls.ami1_given_out import GivenOut
from uac_trio.calls.channel_events import ChannelEvent, ChannelHungUp, HangupRequested


@attrs.define
class Hangups:
    """The ends of the channels of one server."""

    devices: Devices
    dials: Dials
    callers: Callers
    feature_codes: FeatureCodes
    out: GivenOut
    shows_requests: bool = attrs.field(default=False, init=False)
    """HangupRequest reaches us. Asterisk 1.8 has none; from other events it is concluded where a caller gave up."""
    _hanging_up: set[str] = attrs.field(factory=set, init=False)
    """Structures whose own end hung up."""

    def request(self, device: Device) -> None:
        """Its own end hung up."""
        self._hanging_up.add(device.structure)
        self.feature_codes.left(device)
        if device.is_shown:
            self.out.add(HangupRequested(event="HangupRequest", channel=device.view))

    def hang_up(self, device: Device, end: ChannelHungUp) -> None:
        """Give out its Hangup, or keep it until that is known which it has to follow."""
        leg, around = self.dials.to(device.structure), self._leg_around(device)
        transferee = self.feature_codes.other_of_blind(device)
        if leg is None and not device.was_linked and not device.cause:
            self._give_up(device.structure)  # main/channel.c: 0 where the device hung up, 16 where the dialplan did
        is_sent_off = device.structure not in self._hanging_up  # main/features.c hangs up on the transferer
        if transferee is not None and not transferee.is_ended and is_sent_off:
            self.feature_codes.wait_for(transferee, end)
        elif leg is not None and leg.can_be_refused:
            self._refuse(leg, end)
        elif around is not None and around.after:
            around.after.append(end)
        else:
            self.out.add(end)

    def end(self, device: Device) -> None:
        """It is gone, with all that is kept of it."""
        leg = self.dials.to(device.structure)
        if leg is not None and leg.hung_up is None:
            self.dials.forget(leg)
        self._hanging_up.discard(device.structure)
        self.callers.forget(device.structure)
        self.devices.end(device)
        self.feature_codes.forget(device)

    def ring(self, leg: Leg) -> None:
        """The Dial() of this leg goes on, so others of it that hung up did so by themselves."""
        leg.has_rung = True
        for other in leg.dialling.legs:
            if other.hung_up is not None:
                self._settle(other, other.hung_up, status_meanwhile(other), self.out.events)

    def end_dialling(self, dialling: Dialling, dial_status: str) -> None:
        """A Dial() is over; if because its Local channel was hung up, then its end follows that of the outer leg."""
        dialling.end = dial_status
        if dial_status == "CANCEL":
            self._give_up(dialling.caller)
        caller = self.devices.within(dialling.caller)
        around = self._leg_around(caller) if caller is not None else None
        is_inside = around is not None and not around.is_answered and dial_status == "CANCEL"
        into = around.after if around is not None and is_inside else self.out.events
        for leg in dialling.legs:
            if leg.hung_up is not None:
                self._settle(leg, leg.hung_up, status_at_end(leg, dial_status), into)

    def stop_waiting(self) -> None:
        """The ends of these Dial()s fell into the time without a connection."""
        for leg, end in self.dials.waiting():
            self._settle(leg, end, status_at_end(leg, "CANCEL"), self.out.events)

    def _give_up(self, structure: str) -> None:
        """The caller hung up before an answer, on a server that has no event for it."""
        device = self.devices.within(structure)
        if not self.shows_requests and device is not None and structure not in self._hanging_up:
            self.request(device)

    def _refuse(self, leg: Leg, end: ChannelHungUp) -> None:
        """A destination hung up without a conversation: its Hangup follows the status, which may not be known yet."""
        dialling, leg.hung_up = leg.dialling, end
        status = status_at_hangup(leg, dialling.caller in self._hanging_up)
        if status == "CANCEL" and dialling.is_queue and not dialling.is_answered:
            self._give_up(dialling.caller)
        if status:
            self._settle(leg, end, status, self.out.events)

    def _settle(self, leg: Leg, end: ChannelHungUp, status: str, into: list[ChannelEvent]) -> None:
        """The status of a leg that hung up is known: give it out, then its Hangup, then what followed from it."""
        leg.status, leg.hung_up = status, None
        if status != "ANSWER":
            into.append(self.out.dial_ended(leg, end.channel, status))
        into += (end, *leg.after)
        self.dials.forget(leg)

    def _leg_around(self, device: Device) -> Leg | None:
        """Of the half of a Local channel that runs the dialplan: the leg of the half that is dialled."""
        other = self.devices.other_half(device) if device.half == "2" else None
        return self.dials.to(other.structure) if other is not None else None
