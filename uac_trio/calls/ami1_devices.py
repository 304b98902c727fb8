"""AMI 1.x: which device is in which channel structure of Asterisk, and which structures are linked.

In Asterisk 1.8 to 11 a Uniqueid belongs to a channel structure (``struct ast_channel``). A masquerade puts a device
with its name into another structure (main/channel.c, ``ast_do_masquerade``): transfers, parking, pickup and Local
channels that optimise themselves away work so. The name stays with the device, so the name decides which device an
event is about; the Uniqueid it was created with is its identity.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import attrs

from uac_trio.ami.message import Event
from uac_trio.calls.channel_events import ChannelState, ChannelView
from uac_trio.calls.names import known, whole

MAX_ENDED = 2_000
"""Devices that hung up and are kept for their Cdr, and for an OriginateResponse: minutes of a busy PBX."""

_HELPERS = ("Parking/", "Parked/", "AsyncGoto/", "Transfered/", "SIPPeer/", "IAXPeer/", "Bridge/")
"""What features.c, pbx.c, chan_sip.c, chan_iax2.c and chan_bridge.c name structures that are made to be masqueraded
into, or for an announcement."""

_CALLED = (ChannelState.DOWN, ChannelState.RESERVED, ChannelState.DIALING)
"""The latter two are of chan_dahdi.c and the like."""


@attrs.define(eq=False)
class Device:
    """What is behind a channel: a phone, a line, half of a Local channel."""

    view: ChannelView
    """As events showed it last."""
    structure: str
    """Uniqueid of the structure it is in."""
    first: ChannelView
    """As its Newchannel showed it."""
    is_dialled: bool = False
    """It was created to be dialled; by which channel, later events show."""
    is_shown: bool = False
    """ChannelCreated was given out, or the device is older than the connection."""
    is_originated: bool = False
    """No channel dials it."""
    has_response: bool = False
    """Its OriginateResponse came."""
    recordings: list[str] = attrs.field(factory=list)
    """Paths of those that began before it was given out."""
    was_linked: bool = False
    is_zombie: bool = False
    """Masqueraded out of its structure, only to be hung up."""
    is_ended: bool = False
    cause: int = 0
    """Of its Hangup."""
    is_stale: bool = False
    """No event was about it since the connection began, or since a listing lacked it."""

    @property
    def uniqueid(self) -> str:
        return self.view.uniqueid

    @property
    def interface(self) -> str:
        """``SIP/101``, ``Local/101@from-queue``: the name without sequence number."""
        return self.view.name.rpartition("-")[0]

    @property
    def is_helper(self) -> bool:
        """No device: a structure that waits to be masqueraded into."""
        return self.view.name.startswith(_HELPERS)

    @property
    def is_given_out(self) -> bool:
        """Channel events may be about it."""
        return self.is_shown and not self.is_helper

    @property
    def rings_early(self) -> bool:
        """An IAX2 channel is Ringing as soon as it is called, before the Dial event (chan_iax2.c, ``iax2_call``)."""
        return self.view.name.startswith("IAX2/")

    @property
    def half(self) -> str:
        """Local only: "1" (dialled) or "2" (runs the dialplan)."""
        name = self.view.name
        return name[-1] if name.startswith("Local/") and name[-2:-1] == ";" else ""

    def update(self, event: Event) -> None:
        """Take over what the event shows. ``CallerIDnum`` and ``Extension`` are a listing's."""
        view, state = self.view, event.get("ChannelState")
        self.view = ChannelView(
            uniqueid=view.uniqueid,
            name=view.name,
            state=whole(state, 0) if state else view.state,
            number=known(event.get("CallerIDNum")) or view.number,
            caller_name=known(event.get("CallerIDName")) or view.caller_name,
            connected=known(event.get("ConnectedLineNum")) or view.connected,
            context=view.context or event.get("Context"),
            exten=view.exten or event.get("Exten") or event.get("Extension"),
        )


@attrs.frozen
class Moved:
    """A masquerade put ``device`` into ``structure``, where ``before`` was."""

    structure: str
    device: Device
    left: str
    """The structure that it was in."""
    before: Device | None


@attrs.define
class Devices:
    """The devices of one server."""

    links: dict[str, str] = attrs.field(factory=dict, init=False)
    """The structures that are bridged, both ways."""
    _by_name: dict[str, Device] = attrs.field(factory=dict, init=False)
    _in: dict[str, Device] = attrs.field(factory=dict, init=False)
    _ended: OrderedDict[str, Device] = attrs.field(factory=OrderedDict, init=False)

    def create(self, event: Event) -> Device | None:
        """Newchannel; None if it names none, or one that is known.

        A device that calls has a number it dials, or begins in the state Ring; one that is dialled has neither. Of a
        Local channel both halves wait for the dial. DAHDI names its channels alike again and again: an older device
        of the name is over.
        """
        view = ChannelView(
            uniqueid=event.get("Uniqueid"),
            name=event.get("Channel"),
            state=whole(event.get("ChannelState"), 0),
            number=known(event.get("CallerIDNum")),
            caller_name=known(event.get("CallerIDName")),
            connected=known(event.get("ConnectedLineNum")),
            context=event.get("Context"),
            exten=event.get("Exten"),
        )
        if not view.uniqueid or not view.name or view.uniqueid in self._in:
            return None
        is_local = view.name.startswith("Local/")
        is_dialled = is_local or (view.state in _CALLED and view.exten in ("", "s"))
        device = Device(view, view.uniqueid, view, is_dialled=is_dialled)
        self._by_name[view.name] = self._in[view.uniqueid] = device
        return device

    def adopt(self, structure: str, name: str) -> Device:
        """A device that is older than our connection, or whose Newchannel was lost."""
        view = ChannelView(uniqueid=structure, name=name)
        device = Device(view, structure, view, is_shown=True)
        self._by_name[name] = self._in[structure] = device
        return device

    def within(self, structure: str) -> Device | None:
        """The device in a structure."""
        return self._in.get(structure)

    def named(self, name: str) -> Device | None:
        """The device with this channel name, of late ended ones too."""
        return self._by_name.get(_bare(name))

    def live(self) -> Iterator[Device]:
        return iter(list(self._in.values()))

    def ended(self) -> Iterator[Device]:
        """Those that hung up of late, the latest first."""
        return reversed(list(self._ended.values()))

    def meet(self, structure: str, name: str) -> tuple[Device | None, Moved | None]:
        """The device that an event shows in ``structure``, and the move that this implies."""
        device = self.named(name) if name else self._in.get(structure)
        before = self._in.get(structure)
        if device is not None:
            device.is_stale = False
        if device is None or device is before or device.is_ended or not structure:
            return device, None
        left, device.structure = device.structure, structure
        self._in[structure] = device
        if before is not None and before.structure != structure:
            before = None  # it moved on already
        device.is_zombie = name.endswith("<ZOMBIE>")
        return device, Moved(structure, device, left, before)

    def rename(self, device: Device, name: str) -> None:
        self._by_name.pop(device.view.name, None)
        device.view = device.view._replace(name=name)
        self._by_name[name] = device

    def end(self, device: Device) -> None:
        """Hangup. The device is still found by its name, for its Cdr."""
        device.is_ended = True
        self._in.pop(device.structure, None)
        self.unlink(device.structure)
        self._ended[device.view.name] = device
        while len(self._ended) > MAX_ENDED:
            name, oldest = self._ended.popitem(last=False)
            if self._by_name.get(name) is oldest:
                del self._by_name[name]

    def other_half(self, device: Device) -> Device | None:
        """Local only."""
        half = device.half
        return self._by_name.get(f"{device.view.name[:-1]}{'2' if half == '1' else '1'}") if half else None

    def link(self, one: str, other: str) -> None:
        self.links[one], self.links[other] = other, one

    def unlink(self, structure: str) -> str:
        """The structure that it was linked with, or ""."""
        other = self.links.pop(structure, "")
        self.links.pop(other, None)
        return other


def _bare(name: str) -> str:
    """A channel's name without the marks of a masquerade under way."""
    return name.partition("<")[0]


def bridge_id(one: str, other: str) -> str:
    """Two linked structures have no bridge that AMI 1.x names: this stands for it."""
    return "+".join(sorted((one, other)))
