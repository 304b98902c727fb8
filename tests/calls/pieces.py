"""Parts of calls as plain values: calls, channels and legs that no event made."""

from __future__ import annotations

from typing import Any

from uac_trio.calls.call import Call
from uac_trio.calls.change import Change
from uac_trio.calls.channel import Bridge, Channel, HangUp, Leg
from uac_trio.calls.channel_events import ChannelView
from uac_trio.calls.endpoint import Evidence, Identity
from uac_trio.calls.names import parse_channel_name


def call(linkedid: str = "1.1", at: float = 0.0) -> Call:
    return Call(f"main-{linkedid}", linkedid, at, at)


def view(uniqueid: str, name: str, **shown: Any) -> ChannelView:
    return ChannelView(uniqueid, name, **shown)


def channel(
    uniqueid: str, name: str, of: Call | None = None, extension: str = "", *, evidence: Evidence = Evidence.NONE,
    at: float = 0.0, **shown: Any,
) -> Channel:  # fmt: skip
    """A live channel of the call ``of``, or of a call of its own; the first one is the call's source."""
    seen = view(uniqueid, name, **shown)
    its_call = call(uniqueid, at) if of is None else of
    made = Channel(
        uniqueid, parse_channel_name(name), seen, seen, Identity(extension, evidence), its_call, at, at,
    )  # fmt: skip
    its_call.channels.add(made)
    if its_call.source is None:
        its_call.source = made
    return made


def phone(uniqueid: str, extension: str, of: Call | None = None, **more: Any) -> Channel:
    """A channel of an employee's device."""
    return channel(uniqueid, f"PJSIP/{extension}-0000{uniqueid[-2:].replace('.', '0')}", of, extension, **more)


def line(uniqueid: str, of: Call | None = None, **more: Any) -> Channel:
    """A channel of a line to the outside."""
    return channel(uniqueid, f"PJSIP/trunk-0000{uniqueid[-2:].replace('.', '0')}", of, **more)


def pair(first: str, second: str, of: Call) -> tuple[Channel, Channel]:
    """Both halves of a Local channel."""
    one = channel(first, f"Local/101@queue-{first[-2:]};1", of)
    two = channel(second, f"Local/101@queue-{first[-2:]};2", of)
    one.half, two.half = two, one
    return one, two


def dial(caller: Channel | None, dialled: Channel, dial_string: str = "", at: float = 0.0, **more: Any) -> Leg:
    """A leg of the dialled channel's call."""
    leg = Leg(dialled, caller, dial_string, at, **more)
    dialled.leg = leg
    if caller is not None:
        caller.dialled[leg] = None
    if dialled.is_person:
        dialled.call.legs.add(leg)
    return leg


def bridged(*channels: Channel, kind: str = "basic") -> Bridge:
    """All of them in one bridge."""
    bridge = Bridge(f"bridge of {channels[0].uniqueid}", kind)
    for each in channels:
        each.bridge, each.was_bridged = bridge, True
        bridge.members[each] = None
    return bridge


def hung_up(ended: Channel, at: float, cause: int = 16, *, by_itself: bool = False) -> None:
    """``by_itself``: its own end asked for it."""
    if by_itself:
        ended.call.channels.request_hangup(ended, at)
    ended.end = HangUp(at, cause)
    ended.call.channels.remove(ended)


def change(at: float = 5.0) -> Change:
    return Change(at, "Event")
