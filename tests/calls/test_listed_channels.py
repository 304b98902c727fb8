"""What a listing of channels shows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls.pieces import change, view
from uac_trio.calls.bridges import Bridges
from uac_trio.calls.call_union import CallUnion
from uac_trio.calls.channel import Channel
from uac_trio.calls.channel_events import ListedChannel
from uac_trio.calls.endpoint import EndpointClassifier
from uac_trio.calls.hearing import Hearing
from uac_trio.calls.known_channels import KnownChannels
from uac_trio.calls.legs import Legs
from uac_trio.calls.listed_channels import ListedChannels
from uac_trio.calls.local_pairs import LocalPairs
from uac_trio.calls.rules import TrackerRules

UP, RING, RINGING = 6, 4, 5


@pytest.fixture
def listed() -> ListedChannels:
    classifier, union = EndpointClassifier(TrackerRules()), CallUnion("main")
    legs = Legs(classifier, Hearing())
    return ListedChannels(KnownChannels(classifier, union, LocalPairs(), legs), union, legs, Bridges(union, legs))


def restored(
    listed: ListedChannels,
    uniqueid: str,
    name: str,
    *,
    linkedid: str = "1.1",
    duration: float = 0.0,
    bridge: str = "",
    application: str = "",
    **shown: Any,
) -> Channel:
    """Listed 100 s after the epoch."""
    item = ListedChannel(
        view=view(uniqueid, name, linkedid=linkedid, **shown), duration=duration, bridge=bridge, application=application
    )
    channel = listed.restore(item, change(100.0))
    assert channel is not None
    return channel


def test_an_older_channel(listed: ListedChannels) -> None:
    """It is as old as the listing shows, and its call with it; the beginning was not seen."""
    one = restored(listed, "1.1", "PJSIP/trunk-01", duration=30.0)
    assert (one.created_at, one.call.started_at, one.call.is_adopted) == (70.0, 70.0, True)
    restored(listed, "1.2", "PJSIP/101-02", duration=10.0)
    assert one.call.started_at == 70.0


@pytest.mark.parametrize(("duration", "is_adopted"), [(1.0, False), (31.0, False), (32.0, True)])
def test_a_channel_that_is_known(listed: ListedChannels, duration: float, is_adopted: bool) -> None:
    """A listing has whole seconds: within the slack it is as old as its first event."""
    listed._known.see(view("1.1", "PJSIP/trunk-01", linkedid="1.1"), change(70.0), is_new=True)
    one = restored(listed, "1.1", "PJSIP/trunk-01", duration=duration)
    assert one.call.is_adopted is is_adopted


def test_bridges(listed: ListedChannels) -> None:
    """It is in the one that is listed, and in none where none is."""
    one, other = (
        restored(listed, "1.1", "PJSIP/trunk-01", bridge="a"),
        restored(listed, "1.2", "PJSIP/101-02", bridge="a"),
    )
    assert list(one.bridge_mates) == [one, other]
    restored(listed, "1.2", "PJSIP/101-02", bridge="b")
    restored(listed, "1.1", "PJSIP/trunk-01")
    assert one.bridge is None
    assert list(other.bridge_mates) == [other]


def leg_of(listed: ListedChannels, channel: Channel, application: str) -> bool:
    return listed.restore_leg(channel, application, change(100.0))


@pytest.mark.parametrize("application", ["AppDial", "AppQueue"])
def test_a_phone_that_rings(listed: ListedChannels, application: str) -> None:
    """The last channel made before it dialled it."""
    caller = restored(listed, "1.1", "PJSIP/trunk-01", state=RING)
    phone = restored(listed, "1.2", "PJSIP/101-02", state=RINGING)
    restored(listed, "1.3", "PJSIP/102-03", state=RINGING)
    assert leg_of(listed, phone, application)
    assert phone.leg is not None
    assert (phone.leg.caller, phone.leg.status, phone.leg.connected_at) == (caller, "", None)


@pytest.mark.parametrize(
    ("application", "bridge", "connected_at"),
    [("AppDial", "", 100.0), ("AppDial", "a", None), ("AppQueue", "", None)],
)
def test_a_phone_that_is_up(listed: ListedChannels, application: str, bridge: str, connected_at: float | None) -> None:
    """It was answered; Dial() bridges at once, so without a bridge they talked before."""
    restored(listed, "1.1", "PJSIP/trunk-01", state=UP, bridge=bridge)
    phone = restored(listed, "1.2", "PJSIP/101-02", state=UP, bridge=bridge, duration=20.0)
    assert leg_of(listed, phone, application)
    assert phone.leg is not None
    assert (phone.leg.status, phone.leg.rang_at, phone.leg.ended_at) == ("ANSWER", 80.0, 100.0)
    assert phone.leg.connected_at == connected_at
    assert phone.call.legs.is_picked_up(phone.leg)


def test_a_phone_that_neither_rings_nor_is_up(listed: ListedChannels) -> None:
    """Its DialBegin may come: the leg does not show the direction yet."""
    restored(listed, "1.1", "PJSIP/trunk-01", state=RING)
    phone = restored(listed, "1.2", "PJSIP/101-02", state=0)
    assert not leg_of(listed, phone, "AppDial")
    assert phone.leg is not None


def test_who_is_not_dialled(listed: ListedChannels) -> None:
    """A channel that runs the dialplan has no leg."""
    caller = restored(listed, "1.1", "PJSIP/trunk-01", state=RING)
    assert not leg_of(listed, caller, "Queue")
    assert caller.leg is None


@pytest.mark.parametrize(
    ("name", "application", "is_originated"),
    [("PJSIP/101-01", "AppDial2", True), ("Local/101@q-01;1", "", True), ("PJSIP/101-01", "AppDial", False)],
)
def test_an_originate(listed: ListedChannels, name: str, application: str, is_originated: bool) -> None:
    """The call's first channel is an Originate's by its application, or as the half of a Local channel."""
    source = restored(listed, "1.1", name, state=RINGING)
    assert leg_of(listed, source, application)
    assert source.is_originated is is_originated


def test_an_agent_on_the_line(listed: ListedChannels) -> None:
    """In a bridge with a customer: they rang for this call just now, whenever they began to wait."""
    restored(listed, "1.1", "PJSIP/trunk-01", state=UP, bridge="a")
    agent = restored(listed, "0.1", "PJSIP/101-02", state=UP, bridge="a", duration=900.0)
    assert not leg_of(listed, agent, "AgentLogin")
    assert agent.leg is not None
    assert (agent.leg.rang_at, agent.leg.status, agent.leg.ended_at) == (100.0, "ANSWER", 100.0)
    waiting = restored(listed, "0.2", "PJSIP/102-03", state=UP, bridge="pool", linkedid="0.2")
    assert not leg_of(listed, waiting, "AgentLogin")
    assert waiting.leg is None


@pytest.mark.parametrize(("other_call", "is_tied"), [(False, True), (True, False)])
def test_without_linkedids(listed: ListedChannels, other_call: bool, is_tied: bool) -> None:
    """The number that a ringing phone shows is its caller's, unless two calls have it."""
    number = "+79161234567"
    caller = restored(listed, "1.1", "PJSIP/trunk-01", linkedid="", state=RING, number=number)
    if other_call:
        restored(listed, "2.1", "PJSIP/trunk-02", linkedid="", state=UP, number=number)
    phone = restored(
        listed, "3.2", "PJSIP/101-03", linkedid="", state=RINGING, connected=number, application="AppDial"
    )  # fmt: skip
    assert (phone.call is caller.call) is is_tied
