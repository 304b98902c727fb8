"""AMI 1.x: transfers by feature code, from the moment they begin until they are over.

main/features.c has no event for them. A blind one shows by VarSet BLINDTRANSFER, an attended one by the Local channel
that features.c dials for the transferer; how it ended, hangups and links show.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.ami1_callers import Callers, FeatureTransfer
from uac_trio.calls.ami1_devices import Device, Devices, bridge_id
from uac_trio.calls.ami1_given_out import GivenOut
from uac_trio.calls.channel_events import AttendedTransferred, BlindTransferred, ChannelEvent, ChannelHungUp

_FEATURE = "transfer by feature code"
"""In place of AMI's name of an event."""


@attrs.define
class FeatureCodes:
    """The transfers by feature code that are under way on one server."""

    devices: Devices
    callers: Callers
    out: GivenOut
    _consultations: dict[str, FeatureTransfer] = attrs.field(factory=dict, init=False)
    """By the structure that is asked, a Local one that features.c dials."""
    _blind: dict[str, Device] = attrs.field(factory=dict, init=False)
    """The two of a blind transfer, both ways, by Uniqueid (VarSet BLINDTRANSFER): the one that goes on is the
    transferee."""
    _sent_on: dict[str, list[ChannelEvent]] = attrs.field(factory=dict, init=False)
    """By the transferee's Uniqueid: the transferer's end, which follows once it is known where the transferee goes."""

    # -- blind -------------------------------------------------------------------------------------------------------

    @property
    def has_blind(self) -> bool:
        return bool(self._blind)

    def blind(self, device: Device, other: Device) -> None:
        """VarSet BLINDTRANSFER; chan_sip.c sets it of two that are linked, for a REFER."""
        if self.callers.are_parted(device.structure, other.structure):
            self._blind[device.uniqueid], self._blind[other.uniqueid] = other, device

    def other_of_blind(self, device: Device) -> Device | None:
        return self._blind.get(device.uniqueid)

    def wait_for(self, transferee: Device, end: ChannelHungUp) -> None:
        """The transferer hung up before it is known where the transferee goes."""
        self._sent_on.setdefault(transferee.uniqueid, []).append(end)

    def go_to(self, device: Device, to: str) -> None:
        """A device runs the dialplan at ``to``; if it was sent there by feature code, its transferer may go."""
        transferer = self._blind.pop(device.uniqueid, None)
        if transferer is None:
            return
        self._blind.pop(transferer.uniqueid, None)
        self.out.add(BlindTransferred(event=_FEATURE, transferer=transferer.view, to=to, transferee=device.view))
        self.release(device)

    def release(self, transferee: Device) -> None:
        """Who sent this device on may go: it is known where to, or it is gone itself."""
        self.out.add(*self._sent_on.pop(transferee.uniqueid, ()))

    def stop_waiting(self) -> None:
        """Where transferees went while there was no connection is not shown."""
        for ends in self._sent_on.values():
            self.out.add(*ends)
        self._sent_on.clear()
        self._blind.clear()

    # -- attended ----------------------------------------------------------------------------------------------------

    def consult(self, root: Device, transfer: FeatureTransfer) -> None:
        """Asterisk 12 and later puts transferer and asked channel into a bridge before the latter answers; without
        that the two would have nothing in common."""
        self._consultations[root.structure] = transfer
        self.out.show(root)
        bridge = bridge_id(transfer.transferer.structure, root.structure)
        self.out.enter(transfer.transferer, bridge)
        self.out.enter(root, bridge)
        self.out.dials_inside(root)

    def left(self, transferer: Device) -> None:
        """The transferer hung up, which completes the transfer."""
        for asked, transfer in list(self._consultations.items()):
            if transfer.transferer is transferer:
                self._complete(asked)

    def linked(self, one: str, other: str) -> None:
        """A link ends what feature codes were dialled for, unless it is the consultation itself."""
        for structure, mate in ((one, other), (other, one)):
            transfer = self._consultations.get(structure)
            if transfer is not None and transfer.transferer is self.devices.within(mate):
                return
            if transfer is not None:
                self._complete(structure)
                self.callers.settled(transfer.transferer.structure)
        self.callers.settled(one)
        self.callers.settled(other)

    def called_back(self, transfer: FeatureTransfer) -> None:
        """The transferer had left before the colleague answered, on a server that has no event for it."""
        self.out.add(
            AttendedTransferred(event=_FEATURE, first=transfer.transferer.view, transferee=transfer.transferee.view)
        )

    def _complete(self, asked: str) -> None:
        """The transferer left, or transferee and asked channel were linked."""
        transfer = self._consultations.pop(asked)
        self.out.add(
            AttendedTransferred(
                event=_FEATURE,
                first=transfer.transferer.view,
                transferee=transfer.transferee.view,
                target=self.out.view(asked),
            )
        )

    # -- both --------------------------------------------------------------------------------------------------------

    def forget(self, device: Device) -> None:
        """It is gone; of a blind transfer the one that stays may still go on."""
        self._consultations.pop(device.structure, None)
        other = self._blind.get(device.uniqueid)
        if other is not None and other.is_ended:
            del self._blind[device.uniqueid], self._blind[other.uniqueid]
