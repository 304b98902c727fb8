"""AMI 1.x: what a listing of all channels restores."""

from __future__ import annotations

import pytest

from tests.calls.ami1_scenes import (
    A_CALL,
    ANNA,
    BORIS,
    FEATURE_BLIND,
    IN_QUEUE,
    NEWER,
    RINGS_ANNA,
    TALKS_ANNA,
    TRUNK,
    adapter_after,
    ami,
    follows,
    hangup,
    rings,
    state,
    translated,
    unlink,
)
from uac_trio.calls.ami1 import Ami1Adapter
from uac_trio.calls.channel_events import ChannelsListed


def item(name: str, uid: str, **headers: str) -> str:
    return ami("CoreShowChannel", ActionID="1", Channel=name, UniqueID=uid, **headers)


def listing(*items: str, announced: int | None = None) -> str:
    count = len(items) if announced is None else announced
    return "".join(items) + ami("CoreShowChannelsComplete", ActionID="1", ListItems=str(count))


def reconnected(*texts: str) -> Ami1Adapter:
    adapter = adapter_after(*texts)
    adapter.disconnected()
    return adapter


def test_a_listing() -> None:
    shown = {"CallerIDnum": "+79161234567", "Extension": "4951000101", "Context": "from-trunk", "ChannelState": "6"}
    ours = item(TRUNK, "1.1", Duration="00:01:05", Application="Dial", BridgedUniqueID="1.2", **shown)
    theirs = item(ANNA, "1.2", Duration="100:00:01", Application="AppDial", BridgedUniqueID="1.1", ChannelState="6")
    (listed,) = translated(listing(ours, theirs))

    assert isinstance(listed, ChannelsListed)
    first, second = listed.channels
    assert (first.duration, second.duration) == (65.0, 360_001.0)
    assert first.bridge == second.bridge == "1.1+1.2"
    assert (first.application, second.application) == ("Dial", "AppDial")
    assert (first.view.number, first.view.exten, first.view.state) == ("+79161234567", "4951000101", 6)


def test_a_listing_that_lacks_items() -> None:
    assert follows(listing(item(TRUNK, "1.1"), announced=2)) == ["unusable 2 1"]


def test_what_is_no_device_is_not_listed() -> None:
    adapter = adapter_after()
    helper = f"AsyncGoto/{TRUNK}"

    assert follows(listing(item(helper, "1.9")), adapter=adapter) == ["listed"]
    assert follows(hangup(helper, "1.9"), adapter=adapter) == []
    assert follows(A_CALL, hangup(TRUNK, "1.1"), listing(item(TRUNK, "1.1"))) == ["listed"], "just gone"


def test_a_device_that_is_listed_alone_has_no_link() -> None:
    adapter = adapter_after(A_CALL, TALKS_ANNA, listing(item(TRUNK, "1.1"), item(ANNA, "1.2")))

    assert not adapter._devices.links


def test_half_a_listing_of_the_last_connection_is_forgotten() -> None:
    adapter = reconnected(item(TRUNK, "1.1"))

    assert follows(listing(item(ANNA, "1.2")), adapter=adapter) == ["listed 1.2:"]


def test_a_transfer_while_the_connection_was_lost() -> None:
    """The customer is in another structure, under the same name."""
    adapter = reconnected(A_CALL, TALKS_ANNA)
    found = follows(
        listing(item(TRUNK, "1.5", BridgedUniqueID="1.6"), item(BORIS, "1.6", BridgedUniqueID="1.5")), adapter=adapter
    )

    assert found[-1] == "listed 1.1:1.5+1.6 1.6:1.5+1.6"
    assert follows(unlink(TRUNK, "1.5", BORIS, "1.6"), adapter=adapter) == [
        f"out 1.5+1.6 {TRUNK}",
        f"out 1.5+1.6 {BORIS}",
    ]


def test_who_is_not_listed_is_forgotten() -> None:
    """So is whom they dialled and where they waited: what rings later rings for others."""
    adapter = reconnected(IN_QUEUE)

    assert follows(listing(), adapter=adapter) == ["listed"]
    assert f"dial - > {ANNA}" in follows(*rings("+79161234567"), adapter=adapter)
    kept = reconnected(IN_QUEUE)
    assert f"dial {TRUNK} > {ANNA} SIP/101" in follows(
        listing(item(TRUNK, "1.1")), *rings("+79161234567"), adapter=kept
    )


@pytest.mark.parametrize("between", ["", state(TRUNK, "1.1", 6)])
def test_whom_two_listings_lack_is_forgotten(between: str) -> None:
    """The Hangup was lost; one listing may be older than the channel."""
    adapter = adapter_after(IN_QUEUE, listing(), between, listing())

    assert bool(list(adapter._devices.live())) is bool(between)


def test_what_waited_when_the_connection_was_lost_is_given_out_first() -> None:
    adapter = reconnected(NEWER, A_CALL, RINGS_ANNA, hangup(ANNA, "1.2"))
    found = follows(listing(item(TRUNK, "1.1")), adapter=adapter)

    assert found == [f"dialled {TRUNK} > {ANNA} CANCEL", f"hung up {ANNA} 16", "listed 1.1:"]
    adapter = reconnected(*FEATURE_BLIND, hangup(ANNA, "1.2"))
    assert follows(listing(item(TRUNK, "1.1")), adapter=adapter) == [f"hung up {ANNA} 16", "listed 1.1:"]


def test_a_listed_phone_that_rings_is_tied_to_who_dials_it() -> None:
    dials = item(TRUNK, "1.1", Application="Dial", ApplicationData="SIP/102&SIP/101,15,tT", ChannelState="4")
    rung = item(ANNA, "1.2", Application="AppDial", ApplicationData="(Outgoing Line)", ChannelState="5")

    assert follows(listing(dials, rung))[1:] == [f"dial {TRUNK} > {ANNA} 101"]
    assert follows(A_CALL, RINGS_ANNA, listing(dials, rung))[1:] == [], "it is known already"
    assert follows(listing(item(TRUNK, "1.1", Application="Dial", ApplicationData="SIP/103"), rung))[1:] == []
    assert follows(listing(dials, item(ANNA, "1.2", Application="VoiceMail", ChannelState="6")))[1:] == []


def test_a_listed_phone_that_talks_was_answered() -> None:
    dials = item(TRUNK, "1.1", Application="Queue", ApplicationData="support", BridgedUniqueID="1.2", ChannelState="6")
    talks = item(ANNA, "1.2", Application="AppQueue", BridgedUniqueID="1.1", ChannelState="6")

    assert follows(listing(dials, talks), state(ANNA, "1.2", 6)) == [f"changed {ANNA}"]
    assert follows(listing(dials, talks), hangup(ANNA, "1.2")) == [f"hung up {ANNA} 16"]
