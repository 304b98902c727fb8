"""AMI 1.x: what a listing of all channels (CoreShowChannels) restores.

It shows devices, their links, and whom the application of a channel dials, for what happened without a connection.
"""

from __future__ import annotations

import attrs

from uac_trio.ami.message import Event
from uac_trio.calls.ami1_bridges import Bridges
from uac_trio.calls.ami1_devices import Devices, bridge_id
from uac_trio.calls.ami1_dials import Dials
from uac_trio.calls.ami1_feature_codes import FeatureCodes
from uac_trio.calls.ami1_given_out import GivenOut
from uac_trio.calls.ami1_hangups import Hangups
from uac_trio.calls.channel_events import ChannelsListed, ChannelState, ListedChannel, ListingUnusable
from uac_trio.calls.names import whole

_DIALLED_APPLICATIONS = ("AppDial", "AppQueue")
"""What a listed channel runs that another dialled (apps/app_dial.c, apps/app_queue.c)."""


@attrs.define
class Listings:
    """The listings of one server."""

    devices: Devices
    dials: Dials
    feature_codes: FeatureCodes
    hangups: Hangups
    bridges: Bridges
    out: GivenOut
    _items: dict[str, list[Event]] = attrs.field(factory=dict, init=False)
    """By ActionID: the items of a listing that is not complete yet."""

    def disconnected(self) -> None:
        """A listing that is not complete never will be; what the next one lacks may be gone."""
        self._items.clear()
        for device in self.devices.live():
            device.is_stale = True

    def add(self, item: Event) -> None:
        """CoreShowChannel."""
        self._items.setdefault(item.get("ActionID"), []).append(item)

    def complete(self, event: Event) -> None:
        """CoreShowChannelsComplete."""
        items = self._items.pop(event.get("ActionID"), [])
        announced = event.get("ListItems")
        if whole(announced, len(items)) != len(items):
            self.out.add(ListingUnusable(event=event.name, announced=announced, listed=len(items)))
            return
        self._stop_waiting()
        listed = [self._listed(item) for item in items]
        self._end_unlisted({item.get("UniqueID") for item in items})
        self.out.add(ChannelsListed(event=event.name, channels=tuple(each for each in listed if each is not None)))
        for item in items:
            self._restore_leg(item, items)

    def _stop_waiting(self) -> None:
        """What the connection was lost in the middle of is given out before the listing that ends or continues it."""
        self.feature_codes.stop_waiting()
        self.hangups.stop_waiting()

    def _listed(self, item: Event) -> ListedChannel | None:
        structure, mate = item.get("UniqueID"), item.get("BridgedUniqueID")
        device = self.bridges.see(structure, item.get("Channel"))
        if device is None or device.is_helper or device.is_ended:
            return None
        device.update(item)
        device.is_shown = True
        self.devices.unlink(structure)
        if mate:
            self.devices.link(structure, mate)
        return ListedChannel(
            view=device.view,
            duration=_seconds(item.get("Duration")),
            bridge=bridge_id(structure, mate) if mate else "",
            application=item.get("Application"),
        )

    def _end_unlisted(self, listed: set[str]) -> None:
        """A device that a listing lacks was created just now, or is gone: then another lacks it too, and no event was
        about it in between."""
        for device in self.devices.live():
            if device.structure in listed:
                continue
            if device.is_stale:
                self.dials.over(device.structure)
                self.hangups.end(device)
            device.is_stale = True

    def _restore_leg(self, item: Event, items: list[Event]) -> None:
        """A dialled channel whose Dial event we did not see: a listing shows the application's data of who dials."""
        structure = item.get("UniqueID")
        device = self.devices.within(structure)
        is_dialled = item.get("Application") in _DIALLED_APPLICATIONS
        if device is None or not is_dialled or self.dials.to(structure) is not None:
            return
        callers = [each.get("UniqueID") for each in items if device.interface in _interfaces(each)]
        caller = self.devices.links.get(structure) or next(iter(callers), "")
        if caller and device.view.state != ChannelState.UP:
            self.out.begin(self.dials.dial_by(caller), device, device.interface.partition("/")[2])
        elif caller:
            leg = self.dials.begin(self.dials.dial_by(caller), structure, "")
            if leg is not None:
                leg.is_given_out = leg.is_answered = leg.is_linked = True


def _interfaces(item: Event) -> set[str]:
    """Whom a listed channel's application dials: ``SIP/101&SIP/102,15,tT`` of Dial()."""
    return {interface.removesuffix("/n") for interface in item.get("ApplicationData").partition(",")[0].split("&")}


def _seconds(duration: str) -> float:
    """``hh:mm:ss`` of a listed channel; hours may exceed 99."""
    parts = [whole(part, 0) for part in duration.split(":")[:3]]
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))
