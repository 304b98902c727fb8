"""AMI 1.x: dials that no event shows.

A dialled channel waits for its Dial event or AgentCalled. If it rings, answers or is linked without one, then
``ami1_callers.py`` concludes who dials it, and it is given out so.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.ami1_callers import Callers, FeatureTransfer
from uac_trio.calls.ami1_devices import Device, Devices
from uac_trio.calls.ami1_dials import Dials
from uac_trio.calls.ami1_feature_codes import FeatureCodes
from uac_trio.calls.ami1_given_out import GivenOut
from uac_trio.calls.ami1_hangups import Hangups
from uac_trio.calls.ami1_originates import Originates
from uac_trio.calls.channel_events import Lack, ServerLacks


@attrs.define
class UnseenDials:
    """Explains the channels of one server that are given out late."""

    devices: Devices
    dials: Dials
    callers: Callers
    feature_codes: FeatureCodes
    hangups: Hangups
    originates: Originates
    out: GivenOut

    def explain(self, device: Device, mate: str = "", *, is_over: bool = False) -> None:
        """Give out a device that was not yet, with who dials it.

        ``mate``: the structure it is being linked with. ``is_over``: it hangs up; a channel to which nothing ever
        happened stays unseen, until an OriginateResponse shows what it was.
        """
        if device.is_shown or device.is_helper:
            return
        root = self.callers.root_of(device)
        leg = self.dials.to(root.structure)
        if root.is_ended:
            return  # nothing ever happened to it
        if root.half == "2":  # the Newchannel of the other half was lost
            self.out.show(root)
            self.out.dials_of(root)
        elif leg is not None:
            self.out.dial(leg)
        elif mate and root is device:
            self._begin_by_queue(mate, root)
        else:
            self._conclude(root, is_over=is_over)

    def _conclude(self, root: Device, *, is_over: bool) -> None:
        """Who dials ``root`` is not shown by any event."""
        transfer = self.callers.who_transfers(root)
        if transfer is not None and root.half:
            self.feature_codes.consult(root, transfer)
        elif transfer is not None:
            self._call_back(root, transfer)
        elif queued := self.callers.who_queues(root):
            self._miss_agent_calls()
            self._begin_by_queue(queued, root)
        elif waiting := self.callers.who_waits(root):
            self.out.begin(self.dials.queue_by(waiting), root, "")
        elif not is_over or self._runs_dialplan(root):
            self.originates.begin(root)

    def _miss_agent_calls(self) -> None:
        """A queue called its members and no AgentCalled came."""
        self.out.add(ServerLacks(event="Join without AgentCalled", lack=Lack.QUEUE_MEMBERS))

    def _begin_by_queue(self, structure: str, root: Device) -> None:
        self.out.begin(self.dials.queue_by(structure), root, root.interface)

    def _runs_dialplan(self, root: Device) -> bool:
        """A Local channel that has dialled was called itself."""
        other = self.devices.other_half(root)
        return other is not None and self.dials.by(other.structure) is not None

    def _call_back(self, root: Device, transfer: FeatureTransfer) -> None:
        """The transferer left while the colleague's phone rang, in vain: they are called for the transferee."""
        if not self.hangups.shows_requests:
            self.feature_codes.called_back(transfer)
        self.out.begin(self.dials.queue_by(transfer.transferee.structure), root, "")
