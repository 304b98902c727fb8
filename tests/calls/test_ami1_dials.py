"""AMI 1.x: dials, and the Local channels that they go through."""

from __future__ import annotations

import pytest

from tests.calls.ami1_scenes import (
    A_CALL,
    ANNA,
    INSIDE,
    NEWER,
    OUTSIDE,
    PAIR,
    RINGS_ANNA,
    TRUNK,
    ami,
    called,
    dial,
    dialled,
    follows,
    hangup,
    link,
    local,
    made,
    state,
    translated,
)
from uac_trio.calls.channel_events import ChannelCreated, DialBegan


def test_a_calling_device_is_given_out_at_once() -> None:
    (created, _) = translated(A_CALL)

    assert isinstance(created, ChannelCreated)
    view = created.channel
    assert (view.uniqueid, view.name, view.state, view.exten) == ("1.1", TRUNK, 0, "4951000101")
    assert (view.number, view.context, view.linkedid) == ("+79161234567", "from-trunk", "")


def test_a_dialled_channel_is_given_out_with_its_dial() -> None:
    assert follows(A_CALL, made(ANNA, "1.2", "101")) == []
    assert follows(A_CALL, made(ANNA, "1.2", "101"), dial(TRUNK, "1.1", ANNA, "1.2", "101")) == [
        f"created {ANNA}",
        f"dial {TRUNK} > {ANNA} 101",
    ]


@pytest.mark.parametrize("number", ["0", "4"])
def test_a_device_that_calls_without_a_number(number: str) -> None:
    """An analogue line begins in the state Ring, chan_sip.c begins all in Down."""
    new = ami("Newchannel", Channel=TRUNK, Uniqueid="1.1", ChannelState=number, Exten="s")

    assert (follows(new) == [f"created {TRUNK}"]) is (number == "4")
    assert follows("", new + state(TRUNK, "1.1", 4)) == [f"created {TRUNK}", f"changed {TRUNK}"]


@pytest.mark.parametrize("number", ["1", "3"])
def test_lines_of_dahdi_are_dialled_in_other_states(number: str) -> None:
    reserved = ami("Newchannel", Channel="DAHDI/1-1", Uniqueid="1.2", ChannelState=number, Exten="s")

    assert follows(A_CALL, reserved) == []
    assert follows(A_CALL, reserved, dial(TRUNK, "1.1", "DAHDI/1-1", "1.2", "g1/8495"))[0] == "created DAHDI/1-1"


def test_a_channel_is_created_as_it_was_and_dialled_as_it_is() -> None:
    renumbered = ami("NewCallerid", Channel=ANNA, Uniqueid="1.2", CallerIDNum="4951000101")
    assert follows(A_CALL, made(ANNA, "1.2", "101"), renumbered) == []
    created, began = translated(A_CALL, made(ANNA, "1.2", "101"), renumbered, dial(TRUNK, "1.1", ANNA, "1.2", "101"))[
        -2:
    ]

    assert isinstance(created, ChannelCreated)
    assert isinstance(began, DialBegan)
    assert (created.channel.number, began.dialled.number) == ("101", "4951000101")


@pytest.mark.parametrize("number", ["<unknown>", "unknown"])
def test_a_number_that_asterisk_has_not_is_none(number: str) -> None:
    (created, *_) = translated(called(TRUNK, "1.1", number))

    assert isinstance(created, ChannelCreated)
    assert not created.channel.number


def test_the_same_event_twice_is_no_second_dial() -> None:
    assert follows(A_CALL, RINGS_ANNA, dial(TRUNK, "1.1", ANNA, "1.2", "101")) == []
    assert follows(A_CALL, A_CALL) == [f"changed {TRUNK}"]


def test_the_destination_that_is_up_has_answered() -> None:
    assert follows(A_CALL, RINGS_ANNA, state(ANNA, "1.2", 6)) == [
        f"changed {ANNA}",
        f"dialled {TRUNK} > {ANNA} ANSWER",
    ]


def test_iax2_channels_ring_before_their_dial() -> None:
    """chan_iax2.c, iax2_call; iax2_outbound_answered."""
    name = "IAX2/provider-7"
    before = [A_CALL, ami("Newchannel", Channel=name, Uniqueid="1.2", ChannelState="0", Exten="s")]

    assert follows(*before, state(name, "1.2", 5)) == []
    assert follows(*before, state(name, "1.2", 5), dial(TRUNK, "1.1", name, "1.2", "provider/8495")) == [
        f"created {name}",
        f"dial {TRUNK} > {name} provider/8495",
    ]


# ---- Local channels


@pytest.mark.parametrize("order", [(OUTSIDE, INSIDE), (INSIDE, OUTSIDE)], ids=["outer first", "inner first"])
def test_the_dial_inside_a_local_channel_follows_the_dial_of_it(order: tuple[str, str]) -> None:
    found = follows(A_CALL, local(PAIR, "1.5", "1.6"), "".join(order))

    assert found == [
        f"created {PAIR};1",
        f"created {PAIR};2",
        f"dial {TRUNK} > {PAIR};1 101@from-queue/n",
        f"created {ANNA}",
        f"dial {PAIR};2 > {ANNA} 101",
    ]


@pytest.mark.parametrize("is_inner_first", [True, False])
def test_a_local_channels_inside_ends_after_it(is_inner_first: bool) -> None:
    """The outer Dial() timed out, the inner one was cancelled by that; which shows first is chance."""
    inner = hangup(ANNA, "1.7") + dialled(f"{PAIR};2", "1.6", "CANCEL") + hangup(f"{PAIR};2", "1.6", 0)
    outer = hangup(f"{PAIR};1", "1.5", 0)
    before = [NEWER, A_CALL, local(PAIR, "1.5", "1.6"), OUTSIDE, INSIDE]
    endings = inner + outer if is_inner_first else outer + inner

    assert follows(*before, endings) == []
    assert follows(*before, endings, dialled(TRUNK, "1.1", "NOANSWER")) == [
        f"dialled {TRUNK} > {PAIR};1 NOANSWER",
        f"hung up {PAIR};1 0",
        f"dialled {PAIR};2 > {ANNA} CANCEL",
        f"hung up {ANNA} 16",
        f"hung up {PAIR};2 0",
    ]


def test_what_is_dialled_inside_an_answered_local_channel_ends_by_itself() -> None:
    """The dialplan answered before it dialled, and the caller gives up now."""
    answered = state(f"{PAIR};1", "1.5", 6) + link(TRUNK, "1.1", f"{PAIR};1", "1.5")
    before = [NEWER, A_CALL, local(PAIR, "1.5", "1.6"), OUTSIDE, answered, INSIDE, hangup(ANNA, "1.7")]

    assert follows(*before, dialled(f"{PAIR};2", "1.6", "CANCEL")) == [
        f"dialled {PAIR};2 > {ANNA} CANCEL",
        f"hung up {ANNA} 16",
    ]


def test_a_local_channel_of_which_one_half_is_known() -> None:
    """The Newchannel of the half that is dialled was lost."""
    half = made(f"{PAIR};2", "1.6", half="2")

    assert follows(half, INSIDE, state(ANNA, "1.7", 5)) == [
        f"created {PAIR};2",
        f"created {ANNA}",
        f"dial {PAIR};2 > {ANNA} 101",
        f"changed {ANNA}",
    ]


def test_a_dial_that_is_seen_late_is_given_out_alone() -> None:
    """A busy server: the phone rang before the Dial event of the Local channel around it."""
    inside = INSIDE.replace("+79161234567", "102") + state(ANNA, "1.7", 5)

    assert follows(A_CALL, local(PAIR, "1.5", "1.6"), inside, OUTSIDE) == [f"dial {TRUNK} > {PAIR};1 101@from-queue/n"]


def test_a_busy_phone_inside_a_local_channel_is_busy_at_once() -> None:
    before = [A_CALL, local(PAIR, "1.5", "1.6"), OUTSIDE, INSIDE]

    assert follows(*before, hangup(ANNA, "1.7", 17), dialled(f"{PAIR};2", "1.6", "BUSY")) == [
        f"dialled {PAIR};2 > {ANNA} BUSY",
        f"hung up {ANNA} 17",
    ]
