"""AMI 1.x: the channel events that are given out, each behind what it rests on.

A dialled channel is given out with its dial, and a dial inside a Local channel after the dial of that channel.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from uac_trio.calls.ami1_devices import Device, Devices
from uac_trio.calls.ami1_dials import Dialling, Dials, Leg
from uac_trio.calls.channel_events import (
    BridgeEntered,
    BridgeLeft,
    ChannelCreated,
    ChannelEvent,
    ChannelView,
    DialBegan,
    DialEnded,
    RecordingStarted,
)


@attrs.define
class GivenOut:
    """What follows from the AMI event that is being translated."""

    devices: Devices
    dials: Dials
    events: list[ChannelEvent] = attrs.field(factory=list, init=False)
    """In order of cause."""

    def add(self, *events: ChannelEvent) -> None:
        self.events += events

    def take(self) -> Sequence[ChannelEvent]:
        """All that was given out since this was asked last."""
        out, self.events = self.events, []
        return out

    # -- channels ----------------------------------------------------------------------------------------------------

    def view(self, structure: str) -> ChannelView | None:
        """What is in a structure, None for what was not given out."""
        device = self.devices.within(structure) if structure else None
        return device.view if device is not None and device.is_given_out else None

    def show(self, device: Device) -> None:
        """Give out that a channel was created, and with it the other half of a Local one."""
        other = self.devices.other_half(device)
        halves = [device] if other is None else sorted((device, other), key=lambda each: each.half)
        for each in halves:
            if not each.is_shown:
                each.is_shown = True
                self.add(ChannelCreated(event="Newchannel", channel=each.first))
                self.recordings_of(each)

    def recordings_of(self, device: Device) -> None:
        """A Local channel may be recorded before it is known who dials it."""
        if device.is_shown:
            self.add(*(RecordingStarted(event="VarSet", channel=device.view, path=path) for path in device.recordings))
            device.recordings.clear()

    def enter(self, device: Device, bridge: str, bridge_type: str = "basic") -> None:
        if device.is_given_out and not device.is_zombie:
            self.add(BridgeEntered(event="Bridge", channel=device.view, bridge=bridge, bridge_type=bridge_type))

    def leave(self, device: Device, bridge: str) -> None:
        if device.is_given_out:
            self.add(BridgeLeft(event="Unlink", channel=device.view, bridge=bridge))

    # -- dials -------------------------------------------------------------------------------------------------------

    def begin(self, dialling: Dialling, dialled: Device, dial_string: str) -> None:
        """Another destination is tried."""
        leg = self.dials.begin(dialling, dialled.structure, dial_string)
        caller = self.devices.within(dialling.caller)
        if leg is not None and (caller is None or caller.is_shown or not caller.half):
            self.dial(leg)

    def dial(self, leg: Leg) -> None:
        """The dial and, of a Local channel, the dials of its other half that waited for this."""
        caller, dialled = self.devices.within(leg.dialling.caller), self.devices.within(leg.structure)
        if leg.is_given_out or dialled is None or dialled.is_helper:
            return
        leg.is_given_out = True
        for device in (caller, dialled):
            if device is not None and not device.is_helper:
                self.show(device)
        began = DialBegan(
            event="Dial", dialled=dialled.view, caller=self.view(leg.dialling.caller), dial_string=leg.dial_string
        )
        self.add(began)
        self.dials_inside(dialled)

    def dials_inside(self, dialled: Device) -> None:
        """The dials of the other half of a Local channel."""
        other = self.devices.other_half(dialled)
        if other is not None:
            self.dials_of(other)

    def dials_of(self, caller: Device) -> None:
        dialling = self.dials.by(caller.structure)
        for leg in dialling.legs if dialling is not None else ():
            self.dial(leg)

    def answer(self, leg: Leg, dialled: Device) -> None:
        leg.is_answered = True
        self.add(self.dial_ended(leg, dialled.view, "ANSWER"))

    def dial_ended(self, leg: Leg, dialled: ChannelView, status: str) -> DialEnded:
        return DialEnded(event="Dial", dialled=dialled, caller=self.view(leg.dialling.caller), status=status)
