"""AMI 1.x: links and masquerades."""

from __future__ import annotations

import pytest

from tests.calls.ami1_scenes import (
    A_CALL,
    ANNA,
    ASKS_BORIS,
    ATTENDED,
    BORIS,
    CONSULTS,
    INSIDE,
    OUTSIDE,
    PAIR,
    RINGS_ANNA,
    RINGS_BORIS,
    SECOND,
    TALKS_ANNA,
    TRUNK,
    VERA,
    ami,
    asked,
    called,
    dialled,
    follows,
    hangup,
    link,
    local,
    masquerade,
    rename,
    state,
    translated,
    unlink,
)
from uac_trio.calls.channel_events import ChannelCreated, ChannelHungUp

# ---- links


def test_who_is_linked_is_in_a_bridge() -> None:
    before = [A_CALL, RINGS_ANNA, state(ANNA, "1.2", 6)]

    assert follows(*before, link(TRUNK, "1.1", ANNA, "1.2")) == [
        f"in 1.1+1.2 basic {TRUNK}",
        f"in 1.1+1.2 basic {ANNA}",
    ]
    assert follows(A_CALL, TALKS_ANNA, link(TRUNK, "1.1", ANNA, "1.2")) == []
    out = [f"out 1.1+1.2 {TRUNK}", f"out 1.1+1.2 {ANNA}"]
    assert follows(A_CALL, TALKS_ANNA, unlink(TRUNK, "1.1", ANNA, "1.2")) == out
    old = ami("Unlink", Channel1=TRUNK, Uniqueid1="1.1", Channel2=ANNA, Uniqueid2="1.2")
    assert follows(A_CALL, TALKS_ANNA, old) == out, "Asterisk 1.8"
    assert follows(A_CALL, TALKS_ANNA, old, old) == []


def test_an_unlink_of_others_is_none() -> None:
    assert follows(A_CALL, TALKS_ANNA, RINGS_BORIS, unlink(TRUNK, "1.1", BORIS, "1.3")) == []


def test_a_link_ends_the_one_before() -> None:
    """Its Unlink was lost."""
    assert follows(A_CALL, TALKS_ANNA, RINGS_BORIS, link(TRUNK, "1.1", BORIS, "1.3"))[:2] == [
        f"out 1.1+1.2 {TRUNK}",
        f"out 1.1+1.2 {ANNA}",
    ]


def test_a_bridge_with_one_name_missing_is_none() -> None:
    broken = ami("Bridge", Bridgestate="Link", Channel1=TRUNK, Uniqueid1="1.1")

    assert follows(A_CALL, broken) == []
    assert follows(A_CALL, ami("Unlink", Channel1=TRUNK, Uniqueid1="1.1")) == []


@pytest.mark.parametrize("name", ["Confbridge", "Meetme"])
def test_who_is_in_a_conference(name: str) -> None:
    room = {"Conference": "600"} if name == "Confbridge" else {"Meetme": "600"}
    into = ami(f"{name}Join", Channel=TRUNK, Uniqueid="1.1", **room)

    assert follows(A_CALL, into) == [f"in conference 600 base {TRUNK}"]
    assert follows(A_CALL, into, ami(f"{name}Leave", Channel=TRUNK, Uniqueid="1.1", **room)) == [
        f"out conference 600 {TRUNK}"
    ]


# ---- masquerades


def test_the_customer_comes_into_the_transferers_place() -> None:
    moved = masquerade(SECOND, "1.5", TRUNK, "1.1")

    assert follows(*CONSULTS, ATTENDED, moved) == [
        f"out 1.1+1.2 {TRUNK}",
        f"out 1.5+1.6 {SECOND}",
        f"in 1.5+1.6 basic {TRUNK}",
    ]
    relinked = link(TRUNK, "1.5", BORIS, "1.6")
    gone = unlink(f"{SECOND}<ZOMBIE>", "1.1", ANNA, "1.2") + hangup(ANNA, "1.2") + hangup(f"{SECOND}<ZOMBIE>", "1.1")
    assert follows(*CONSULTS, ATTENDED, moved, relinked) == []
    assert follows(*CONSULTS, ATTENDED, moved, relinked, gone) == [
        f"out 1.1+1.2 {SECOND}",
        f"out 1.1+1.2 {ANNA}",
        f"hung up {ANNA} 16",
        f"hung up {SECOND} 16",
    ]
    (end,) = translated(*CONSULTS, ATTENDED, moved, relinked, gone, hangup(TRUNK, "1.5"))[-1:]
    assert isinstance(end, ChannelHungUp)
    assert (end.channel.uniqueid, end.channel.name) == ("1.1", TRUNK)


def test_a_ringing_targets_answer_is_the_customers() -> None:
    moved = masquerade(SECOND, "1.5", TRUNK, "1.1")

    assert follows(A_CALL, TALKS_ANNA, ASKS_BORIS, ATTENDED, moved, state(BORIS, "1.6", 6))[1] == (
        f"dialled {TRUNK} > {BORIS} ANSWER"
    )


def test_without_renames_the_next_event_shows_the_move() -> None:
    """Names stay with the devices."""
    found = follows(*CONSULTS, ATTENDED, ami("NewCallerid", Channel=TRUNK, Uniqueid="1.5", CallerIDNum="+79161234567"))

    assert found == [
        f"out 1.1+1.2 {TRUNK}",
        f"out 1.5+1.6 {SECOND}",
        f"in 1.5+1.6 basic {TRUNK}",
        f"changed {TRUNK}",
    ]


@pytest.mark.parametrize(
    "helper", ["Parking/", "Parked/", "AsyncGoto/", "Transfered/", "SIPPeer/", "IAXPeer/", "Bridge/"]
)
def test_structures_that_wait_for_a_device_are_not_given_out(helper: str) -> None:
    name = f"{helper}{TRUNK}"
    before = [A_CALL, TALKS_ANNA]
    new = ami("Newchannel", Channel=name, Uniqueid="1.9", ChannelState="0", Exten="s")
    moved = masquerade(name, "1.9", TRUNK, "1.1")

    assert follows(*before, new) == []
    assert follows(*before, new, moved) == [f"out 1.1+1.2 {TRUNK}"]
    gone = f"{name}<ZOMBIE>"
    assert follows(*before, new, moved, unlink(gone, "1.1", ANNA, "1.2") + dialled(gone, "1.1", "ANSWER")) == [
        f"out 1.1+1.2 {ANNA}"
    ]
    ending = state(name, "1.1", 6) + asked(gone, "1.1") + hangup(gone, "1.1") + hangup(TRUNK, "1.9")
    assert follows(*before, new, moved, ending) == [f"hung up {TRUNK} 16"]


def test_a_rename_that_is_no_masquerade() -> None:
    """chan_dahdi.c names the channel of an outgoing call anew."""
    found = follows(
        A_CALL,
        rename(TRUNK, "1.1", "DAHDI/i1/8495-1"),
        ami("Hold", Channel="DAHDI/i1/8495-1", Uniqueid="1.1", Status="On"),
    )

    assert follows(A_CALL, rename(TRUNK, "1.1", "DAHDI/i1/8495-1")) == ["1.1 renamed DAHDI/i1/8495-1"]
    assert found == ["hold DAHDI/i1/8495-1"]


def test_names_of_dahdi_come_again() -> None:
    first = called("DAHDI/1-1", "1.1") + hangup("DAHDI/1-1", "1.1", 17)
    (created, *_) = translated(first, called("DAHDI/1-1", "1.9"))[-2:]

    assert isinstance(created, ChannelCreated)
    assert created.channel.uniqueid == "1.9"


def test_a_pickup() -> None:
    """The picker's device comes into the structure that rings; office_pickup_queue_group."""
    picker = called(VERA, "1.4", "103", "*8") + state(VERA, "1.4", 6)
    event = ami("Pickup", Channel=VERA, TargetChannel=ANNA)
    moved = masquerade(ANNA, "1.2", VERA, "1.4")
    gone = hangup(f"{ANNA}<ZOMBIE>", "1.4", 26)

    assert follows(A_CALL, RINGS_ANNA, picker, event) == [f"picked up {ANNA} by {VERA}"]
    assert follows(A_CALL, RINGS_ANNA, picker, event, moved + gone) == [
        f"dialled {TRUNK} > {VERA} ANSWER",
        f"hung up {ANNA} 26",
    ]
    assert follows(A_CALL, RINGS_ANNA, picker, moved) == [
        f"picked up {ANNA} by {VERA}",
        f"dialled {TRUNK} > {VERA} ANSWER",
    ], "the Pickup event is masked"


def test_a_pickup_of_a_channel_whose_dial_was_not_seen() -> None:
    both = [called(ANNA, "1.2", "101"), called(VERA, "1.4", "103", "*8")]

    assert follows(*both, ami("Pickup", Channel=VERA, TargetChannel=ANNA)) == [f"picked up {ANNA} by {VERA}"]


def test_a_local_channel_optimises_itself_away() -> None:
    """The phone comes into the structure of the half that is linked; office_queue_optimized_second."""
    linked = link(f"{PAIR};2", "1.6", ANNA, "1.7") + link(TRUNK, "1.1", f"{PAIR};1", "1.5")
    before = [A_CALL, local(PAIR, "1.5", "1.6"), OUTSIDE, INSIDE, linked]
    found = follows(*before, masquerade(f"{PAIR};1", "1.5", ANNA, "1.7"))

    assert found == [f"out 1.6+1.7 {ANNA}", f"out 1.1+1.5 {PAIR};1", f"in 1.1+1.5 basic {ANNA}"]
    gone = hangup(f"{PAIR};1<ZOMBIE>", "1.7") + hangup(ANNA, "1.5")
    assert follows(*before, masquerade(f"{PAIR};1", "1.5", ANNA, "1.7"), gone) == [
        f"hung up {PAIR};1 16",
        f"hung up {ANNA} 16",
    ]
