"""AMI 1.x: links of two structures, and masquerades, which move a device from one structure to another.

A link belongs to the structures. So a device that a masquerade moves leaves the bridge of the structure it was in, and
comes into the bridge, and into the dial, of the other.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.ami1_callers import Callers
from uac_trio.calls.ami1_devices import Device, Devices, Moved, bridge_id
from uac_trio.calls.ami1_dials import Dials, Leg
from uac_trio.calls.ami1_feature_codes import FeatureCodes
from uac_trio.calls.ami1_given_out import GivenOut
from uac_trio.calls.ami1_unseen_dials import UnseenDials
from uac_trio.calls.channel_events import PickedUp


@attrs.define
class Bridges:
    """Who is with whom on one server."""

    devices: Devices
    dials: Dials
    callers: Callers
    feature_codes: FeatureCodes
    unseen_dials: UnseenDials
    out: GivenOut

    # -- masquerades -------------------------------------------------------------------------------------------------

    def see(self, structure: str, name: str) -> Device | None:
        """The device in ``structure``, which the event calls ``name``; None where that says nothing."""
        device, moved = self.devices.meet(structure, name)
        if moved is not None:
            self._move(moved)
        if device is None and structure and name and "<" not in name:
            device = self.devices.adopt(structure, name)
        return device

    def _move(self, moved: Moved) -> None:
        """A masquerade: the device comes into another's place, in its bridge and in its dial."""
        self._move_between_bridges(moved)
        leg = self.dials.to(moved.structure)
        is_ringing = leg is not None and leg.is_open and not leg.is_linked
        if leg is not None and is_ringing and moved.before is not None and not moved.device.is_zombie:
            self._take_over(leg, moved.device, moved.before)

    def _move_between_bridges(self, moved: Moved) -> None:
        device, structure, links = moved.device, moved.structure, self.devices.links
        old_mate, mate = links.get(moved.left, ""), links.get(structure, "")
        if old_mate and self.devices.within(moved.left) is device:  # else it was put out of there before
            self.out.leave(device, bridge_id(moved.left, old_mate))
        if mate and moved.before is not None:
            self.out.leave(moved.before, bridge_id(structure, mate))
        if mate:
            self.out.enter(device, bridge_id(structure, mate))

    def _take_over(self, leg: Leg, picker: Device, target: Device) -> None:
        """main/features.c, ast_do_pickup: the picker's device comes into the structure that rings."""
        if not leg.is_picked and picker.is_shown and target.is_shown:
            self.out.add(PickedUp(event="Masquerade", picker=picker.view, target=target.view))
        self.out.answer(leg, picker)

    # -- links -------------------------------------------------------------------------------------------------------

    def link(self, one: str, other: str) -> None:
        if self.devices.links.get(one) == other:
            return
        for structure in (one, other):
            self._leave_link(structure)
        for structure, mate in ((one, other), (other, one)):
            self.callers.left(structure)
            device, leg = self.devices.within(structure), self.dials.to(structure)
            if device is not None:
                device.was_linked = True
                self.unseen_dials.explain(device, mate)
            if leg is not None:
                leg.is_linked = True
        self.devices.link(one, other)
        self.feature_codes.linked(one, other)
        for structure in (one, other):
            device = self.devices.within(structure)
            if device is not None:
                self.out.enter(device, bridge_id(one, other))

    def unlink(self, one: str, other: str) -> None:
        if self.devices.links.get(one) != other:
            return
        self._leave_link(one)
        self.callers.parted(one, other)

    def _leave_link(self, structure: str) -> None:
        mate = self.devices.unlink(structure)
        for each in (structure, mate) if mate else ():
            device = self.devices.within(each)
            if device is not None:
                self.out.leave(device, bridge_id(structure, mate))
