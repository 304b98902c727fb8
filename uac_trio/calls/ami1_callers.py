"""AMI 1.x: who dials a channel that comes without a Dial event.

That is a queue whose queues.conf lacks ``eventwhencalled = yes``, FollowMe(), a transfer by feature code, or none of
them: an Originate. What a dialled channel shows as its other side (ConnectedLineNum) decides.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.ami1_devices import Device, Devices
from uac_trio.calls.ami1_dials import Dials
from uac_trio.calls.rules import TrackerRules


@attrs.frozen
class FeatureTransfer:
    """A transfer by feature code: main/features.c dials for ``transferer``, while ``transferee`` hears music."""

    transferer: Device
    transferee: Device


@attrs.define
class Callers:
    """What is known of those who may be dialling."""

    rules: TrackerRules
    devices: Devices
    dials: Dials
    shows_agent_calls: bool = attrs.field(default=False, init=False)
    """AgentCalled reaches us, so a queue's calls need no conclusion."""
    shows_variables: bool = attrs.field(default=False, init=False)
    """VarSet reaches us, and with it TRANSFERERNAME."""
    _queued: dict[str, str] = attrs.field(factory=dict, init=False)
    """Structures that wait in a queue, in the order in which they joined, and its name."""
    _parted: dict[str, str] = attrs.field(factory=dict, init=False)
    """Structures whose link was undone while both live, both ways: one of them may be dialling a feature code."""
    _transferers: dict[str, str] = attrs.field(factory=dict, init=False)
    """A structure that features.c dials, and the name of the channel that transfers (VarSet TRANSFERERNAME)."""

    # -- what events show --------------------------------------------------------------------------------------------

    def joined(self, structure: str, queue: str) -> None:
        self._queued[structure] = queue

    def left(self, structure: str) -> None:
        self._queued.pop(structure, None)

    def parted(self, one: str, other: str) -> None:
        """A link was undone."""
        self._parted[one], self._parted[other] = other, one

    def settled(self, structure: str) -> None:
        """The structure is linked anew, dials, or is gone: no feature code is being dialled there."""
        self._parted.pop(self._parted.pop(structure, ""), None)

    def are_parted(self, one: str, other: str) -> bool:
        return self._parted.get(one) == other

    def transfers(self, structure: str, transferer: str) -> None:
        """VarSet TRANSFERERNAME (main/features.c, ``feature_request_and_dial``)."""
        self._transferers[structure] = transferer

    def forget(self, structure: str) -> None:
        self.left(structure)
        self.settled(structure)
        self._transferers.pop(structure, None)

    # -- conclusions -------------------------------------------------------------------------------------------------

    def root_of(self, device: Device) -> Device:
        """The first device of the chain of dials and Local channels that leads to ``device``, as far as it is open who
        dials it."""
        seen: set[Device] = set()
        while device not in seen:
            seen.add(device)
            other = self.devices.other_half(device) if device.half == "2" else None
            device = other or device
            leg = self.dials.to(device.structure)
            caller = self.devices.within(leg.dialling.caller) if leg is not None else None
            device = caller or device
        return device

    def who_transfers(self, root: Device) -> FeatureTransfer | None:
        """Where features.c dials: a colleague who is asked, or the transferer who is called back."""
        named = self.devices.named(self._transferers.get(root.structure, ""))
        if named is not None:
            mate = self.devices.within(self._parted.get(named.structure, ""))
            return FeatureTransfer(named, mate) if mate is not None else None
        shown = self._numbers_shown(root)
        for transfer in self._transfers_possible():
            if transfer.transferer.view.number in shown:
                if root.half:
                    return transfer
                return FeatureTransfer(transfer.transferee, transfer.transferer)  # called back: it shows the other
        return self._only_transfer(root)

    def who_queues(self, root: Device) -> str:
        """The structure in a queue that rings this member: the first to join of those whose number it shows. "" = none,
        or an AgentCalled would have shown it."""
        if self.shows_agent_calls:
            return ""
        shown = self._numbers_shown(root)
        waiting = [(structure, device) for structure in self._queued if (device := self.devices.within(structure))]
        if not shown and len(waiting) == 1:
            return waiting[0][0]
        alike = (structure for structure, device in waiting if device.view.number in (shown or {""}))
        return next(alike, "")

    def who_waits(self, root: Device) -> str:
        """The structure of an outside caller who has no bridge and whose number the device shows: FollowMe() dials
        for them, or a queue whose Join was not seen."""
        shown = {number for number in self._numbers_shown(root) if not self.rules.is_extension(number)}
        for device in self.devices.live():
            structure = device.structure
            is_waiting = not device.is_dialled and structure not in self.devices.links and structure not in self._queued
            if is_waiting and device.view.number in shown:
                return device.structure
        return ""

    def _numbers_shown(self, root: Device) -> set[str]:
        """Whom the dialled device shows as the other side, or the dialplan of a Local channel as its caller."""
        other = self.devices.other_half(root)
        return {root.view.connected, other.view.number if other is not None else ""} - {""}

    def _transfers_possible(self) -> list[FeatureTransfer]:
        pairs = [(self.devices.within(one), self.devices.within(other)) for one, other in self._parted.items()]
        return [FeatureTransfer(one, other) for one, other in pairs if one is not None and other is not None]

    def _only_transfer(self, root: Device) -> FeatureTransfer | None:
        """Where the dialplan has changed the number already and VarSet does not reach us: an employee who is the only
        one to have left a conversation."""
        possible = self._transfers_possible() if root.half and not self.shows_variables else []
        employees = [transfer for transfer in possible if self.rules.is_extension(transfer.transferer.view.number)]
        return employees[0] if len(employees) == 1 else None
