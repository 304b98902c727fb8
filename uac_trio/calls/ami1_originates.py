"""AMI 1.x: channels that no channel dials, which are an Originate's.

AMI 1.x knows no ChannelId: the channel of an Originate of ours gets our identity once it is known to be one. Its
OriginateResponse names no channel if it failed.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.ami1_devices import Device, Devices
from uac_trio.calls.ami1_dials import BY_CAUSE, Dialling
from uac_trio.calls.ami1_given_out import GivenOut
from uac_trio.calls.channel_events import ChannelHungUp, DialBegan, DialEnded


@attrs.define
class Originates:
    """The Originates of one server, and which of them are ours."""

    devices: Devices
    out: GivenOut
    _ordered: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    """What Originates of ours ask for, and the identities of their first channels."""

    def ordered(self, channel: str, channel_id: str) -> None:
        """We ask for ``channel`` (``SIP/101``)."""
        self._ordered.setdefault(channel.removesuffix("/n"), []).append(channel_id)

    def withdrawn(self, channel: str, channel_id: str) -> None:
        """The order was refused, or nothing came of it: the next Originate for ``channel`` is another's."""
        asked = channel.removesuffix("/n")
        orders = [each for each in self._ordered.pop(asked, []) if each != channel_id]
        if orders:
            self._ordered[asked] = orders

    def begin(self, root: Device) -> None:
        """Give out ``root`` as dialled by an Originate, of ours if we asked for it."""
        self._recognise(root)
        self.out.begin(Dialling(""), root, "")

    def respond(self, asked: str, structure: str) -> str:
        """The Originate for ``asked`` is over; if it made a channel, that is given out by now.

        The answer is the channel's identity, that of our order where no channel was made, "" where neither is known.
        """
        device = self.devices.within(structure) or self._last(asked)
        if device is None:
            return self._next_order(asked.removesuffix("/n"))
        device.has_response = True
        if not device.is_shown:
            self._reveal(device)
        return device.uniqueid

    def _last(self, asked: str) -> Device | None:
        """The last channel that an Originate asked for: ``Local/101@from-internal/n``, ``SIP/101``."""
        interface = asked.removesuffix("/n")
        for device in (*self.devices.ended(), *self.devices.live()):
            is_open = (device.is_originated or not device.is_shown) and not device.has_response
            if is_open and device.half != "2" and device.interface == interface:
                return device
        return None

    def _reveal(self, device: Device) -> None:
        """An Originate whose channel failed, or hung up, before anything happened to it."""
        if not device.is_ended:
            self.begin(device)
            return
        self._recognise(device)
        self.out.show(device)
        status = BY_CAUSE.get(device.cause, "NOANSWER")
        self.out.add(DialBegan(event="Originate", dialled=device.view))
        self.out.add(DialEnded(event="Originate", dialled=device.view, status=status))
        for each in (device, self.devices.other_half(device)):
            if each is not None and each.is_ended:
                self.out.add(ChannelHungUp(event="Hangup", channel=each.view, cause=each.cause))

    def _recognise(self, root: Device) -> None:
        root.is_originated = True
        ours = self._next_order(root.interface)
        if ours:
            root.view, root.first = root.view._replace(uniqueid=ours), root.first._replace(uniqueid=ours)

    def _next_order(self, interface: str) -> str:
        orders = self._ordered.get(interface)
        if not orders:
            return ""
        ours = orders.pop(0)
        if not orders:
            del self._ordered[interface]
        return ours
