"""Which channels there are, and what the latest event shows of each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls.pieces import change, hung_up, view
from uac_trio.calls.call_union import CallUnion
from uac_trio.calls.channel import Channel
from uac_trio.calls.channel_events import ChannelState
from uac_trio.calls.endpoint import EndpointClassifier
from uac_trio.calls.hearing import Hearing
from uac_trio.calls.known_channels import KnownChannels
from uac_trio.calls.legs import Legs
from uac_trio.calls.local_pairs import LocalPairs
from uac_trio.calls.rules import TrackerRules


@pytest.fixture
def known() -> KnownChannels:
    classifier = EndpointClassifier(TrackerRules())
    return KnownChannels(classifier, CallUnion("main"), LocalPairs(), Legs(classifier, Hearing()))


def seen(
    known: KnownChannels, uniqueid: str = "1.1", name: str = "PJSIP/101-01", at: float = 5.0, **more: Any
) -> Channel:
    channel = known.see(view(uniqueid, name, **more), change(at), is_new=True)
    assert channel is not None
    return channel


def test_a_new_channel(known: KnownChannels) -> None:
    """It is of the call of its Linkedid, whose first channel is its source."""
    second = seen(known, "1.2", linkedid="1.1")
    first = seen(known, "1.1", "PJSIP/trunk-02", at=6.0, linkedid="1.1")
    call = first.call
    assert second.call is call
    assert (call.id, call.source, call.started_at, call.seen_at) == ("main-1.1", first, 5.0, 6.0)
    assert list(call.channels) == [second, first]
    assert (second.extension, first.extension) == ("101", "")
    assert known.by_uniqueid == {"1.1": first, "1.2": second}


def test_a_server_without_linkedids(known: KnownChannels) -> None:
    """Each channel begins a call, and the halves of a Local channel are one."""
    one, two = seen(known, "1.1", "Local/101@q-01;1"), seen(known, "1.2", "Local/101@q-01;2")
    assert one.call is two.call
    assert one.half is two


def test_an_event_that_shows_less(known: KnownChannels) -> None:
    """What it does not show is as it was; what it shows is news."""
    one = seen(known, number="101", linkedid="1.1", state=4, connected="+79161234567", context="office")
    later = change(9.0)
    known.see(view("1.1", "PJSIP/101-01"), later)
    assert (one.view.number, one.view.linkedid, one.view.state, one.view.connected) == ("101", "1.1", 4, "+79161234567")
    assert one.view.context == ""  # only of the latest event
    assert (one.origin.context, one.seen_at, one.call.seen_at) == ("office", 9.0, 9.0)
    assert list(later.channels) == []


@pytest.mark.parametrize(("before", "now", "is_touched"), [("", "101", True), ("101", "102", False), ("", "", False)])
def test_a_number_that_comes_later(known: KnownChannels, before: str, now: str, is_touched: bool) -> None:
    """An analogue line learns its caller's number with a later event: that may show the direction."""
    one = seen(known, number=before)
    later = change()
    known.see(view("1.1", "PJSIP/101-01", number=now), later)
    assert (one in later.channels) is is_touched


def test_another_linkedid(known: KnownChannels) -> None:
    """The calls become one."""
    one, other = seen(known, "1.1", linkedid="1.1"), seen(known, "2.1", "PJSIP/102-02", linkedid="2.1")
    now = change()
    known.see(view("2.1", "PJSIP/102-02", linkedid="1.1"), now)
    assert other.call is one.call
    assert len(now.merges) == 1


def test_a_state(known: KnownChannels) -> None:
    """Ringing and Up are kept with their time, also of the first event."""
    up = seen(known, "1.1", at=5.0, state=ChannelState.UP)
    assert up.up_at == 5.0
    ringing = seen(known, "1.2", "PJSIP/102-02", at=6.0, state=ChannelState.DOWN)
    known.see(view("1.2", "PJSIP/102-02", state=ChannelState.RINGING), change(7.0))
    assert (ringing.rang_at, ringing.up_at) == (7.0, None)


@pytest.mark.parametrize(
    ("uniqueid", "name", "adopt", "expected_until", "is_new", "is_adopted"),
    [
        ("1.1", "PJSIP/101-01", True, 0.0, False, True),
        ("1.1", "PJSIP/101-01", False, 0.0, False, False),
        ("", "PJSIP/101-01", True, 0.0, False, False),
        ("1.1", "", True, 0.0, False, False),
        ("1.1", "PJSIP/101-01", True, 9.0, False, False),
        ("1.1", "PJSIP/101-01", True, 9.0, True, True),
        ("1.1", "PJSIP/101-01", True, 5.0, False, True),
    ],
)
def test_what_is_adopted(
    known: KnownChannels, uniqueid: str, name: str, adopt: bool, expected_until: float, is_new: bool, is_adopted: bool
) -> None:
    """A channel older than the connection, unless a listing is awaited, which shows more of it."""
    known.listing_expected_until = expected_until
    channel = known.see(view(uniqueid, name), change(5.0), adopt=adopt, is_new=is_new)
    assert (channel is not None) is is_adopted


def test_a_channel_that_is_gone(known: KnownChannels) -> None:
    """A late event does not revive it, nor bring up to date one that hung up."""
    one = seen(known, number="101")
    hung_up(one, 6.0)
    assert known.see(view("1.1", "PJSIP/101-01", number="999"), change(7.0)) is one
    assert (one.view.number, one.seen_at) == ("101", 5.0)
    known._union.forget(one.call)
    del known.by_uniqueid["1.1"]
    assert known.see(view("1.1", "PJSIP/101-01"), change(8.0)) is None
    assert known.see(None, change()) is None


def test_a_channel_that_was_missing(known: KnownChannels) -> None:
    """An event of it takes back what a listing without it seemed to show."""
    one = seen(known)
    known.missing.add("1.1", one, 9.0)
    known.see(view("1.1", "PJSIP/101-01"), change(7.0))
    assert "1.1" not in known.missing
