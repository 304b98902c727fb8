"""What hostile traffic costs: work is counted in function calls, so that the machine's speed does not matter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

import pytest

from uac_trio.ami.message import Event
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker

RULES = TrackerRules(internal="report")


def channel(number: int, **more: str) -> dict[str, str]:
    """One of the channels of one call."""
    extension = str(10_000 + number)
    return {
        "Channel": f"PJSIP/{extension}-{number:08x}", "ChannelState": "4", "ChannelStateDesc": "Ring",
        "CallerIDNum": extension, "Context": "from-internal", "Exten": "101", "Uniqueid": f"1.{number}",
        "Linkedid": "1.0", **more,
    }  # fmt: skip


def event(name: str, **headers: str) -> Event:
    return Event((("Event", name), *headers.items()))


def ringing(count: int) -> Iterator[Event]:
    """So many phones ring in one call."""
    for number in range(count):
        yield event("Newchannel", **channel(number))
    caller = channel(0)
    for number in range(1, count):
        dialled = channel(number, ChannelState="5", ChannelStateDesc="Ringing")
        yield event("DialBegin", **caller, **{f"Dest{name}": value for name, value in dialled.items()})
        yield event("Newstate", **dialled)


def listing(count: int) -> Iterator[Event]:
    for number in range(count):
        item = channel(number, ChannelState="6", ChannelStateDesc="Up")
        yield event("CoreShowChannel", **item, Application="AppDial", BridgeId="", Duration="00:00:05")
    yield event("CoreShowChannelsComplete", EventList="Complete", ListItems=str(count))


def meeting(count: int) -> Iterator[Event]:
    """So many calls meet in one conference, and leave it."""
    for number in range(count):
        yield event("Newchannel", **channel(number, Linkedid=f"1.{number}"))
    for name in ("BridgeEnter", "BridgeLeave"):
        for number in range(count):
            headers = channel(number, Linkedid=f"1.{number}", ChannelState="6", ChannelStateDesc="Up")
            yield event(name, **headers, BridgeUniqueid="b", BridgeType="base")


def hostile_call(count: int) -> None:
    """It rings; the connection is lost and back twice: all channels are listed, all picked up; then none is."""
    tracker = CallTracker("main", RULES)
    tracker.connected(0.0)

    def feed(events: Iterable[Event], at: float) -> None:
        for one in events:
            tracker.process(one, at)

    feed(listing(0), 0.0)
    feed(ringing(count), 1.0)
    for at, listed in ((2.0, count), (3.0, 0)):
        tracker.lost(at)
        tracker.connected(at)
        feed(listing(listed), at)
    tracker.tick(100.0)
    assert tracker.calls == {}


def vanishing_call(count: int) -> None:
    """It rings, and a listing of the same connection lacks its channels."""
    tracker = CallTracker("main", RULES)
    tracker.connected(0.0)
    for one in (*listing(0), *ringing(count), *listing(0)):
        tracker.process(one, 1.0)
    for at in (50.0, 100.0):
        tracker.tick(at)
    assert tracker.calls == {}


def conference(count: int) -> None:
    tracker = CallTracker("main", RULES)
    tracker.connected(0.0)
    for one in (*listing(0), *meeting(count)):
        tracker.process(one, 1.0)


def function_calls(work: Callable[[int], None], count: int) -> int:
    """Python's and C's, comprehensions included."""
    calls = 0

    def see(_frame: FrameType, what: str, _argument: object) -> None:
        nonlocal calls
        calls += what in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        work(count)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("work", [hostile_call, vanishing_call])
def test_hostile_call_with_a_snapshot_is_linear(work: Callable[[int], None]) -> None:
    """Four times as many channels in one call cost four times as much: its start, the listings and its end. (More than
    the devices that an end looks at, calls/call.py MOST_PICKED_UP.)"""
    assert function_calls(work, 800) < 5 * function_calls(work, 200)


def test_conference_costs_each_event_its_members() -> None:
    """All members hear who enters or leaves, so an event costs as much as there are members, and no more."""
    assert function_calls(conference, 100) < 5 * function_calls(conference, 50)
