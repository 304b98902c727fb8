"""AMI 1.x in the words of channel events: the text of a server in, what follows from it out."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recorded import NAMES, transcripts_of
from uac_trio.ami import Event, MessageParser
from uac_trio.calls.ami1 import WANTED_AMI1, Ami1Adapter
from uac_trio.calls.ami1_devices import MAX_ENDED
from uac_trio.calls.channel_events import (
    AttendedTransferred,
    BlindTransferred,
    BridgeEntered,
    BridgeLeft,
    CdrWritten,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelHungUp,
    ChannelRenamed,
    ChannelsListed,
    ChannelView,
    DialBegan,
    DialEnded,
    HangupRequested,
    HoldChanged,
    ListingUnusable,
    OriginateEnded,
    Parked,
    PickedUp,
    QueueJoined,
    QueueLeft,
    RecordingStarted,
    ServerLacks,
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.rules import TrackerRules
from uac_trio.transcript import read_transcript

# ---- what a server says


def ami(name: str, **headers: str) -> str:
    return "".join(f"{key}: {value}\r\n" for key, value in {"Event": name, **headers}.items()) + "\r\n"


def called(name: str, uid: str, number: str = "+79161234567", exten: str = "4951000101") -> str:
    """A device that calls us."""
    shown = {"CallerIDNum": number, "Exten": exten, "Context": "from-trunk"}
    return ami("Newchannel", Channel=name, Uniqueid=uid, ChannelState="0", **shown) + state(name, uid, 4, number)


def made(name: str, uid: str, number: str = "", half: str = "") -> str:
    """A channel that is to be dialled."""
    ring = "4" if half == "2" else "0"
    exten = {"Exten": "101", "Context": "from-queue"} if half else {}
    return ami("Newchannel", Channel=name, Uniqueid=uid, ChannelState=ring, CallerIDNum=number, **exten)


def local(pair: str, one: str, two: str) -> str:
    return made(f"{pair};1", one, half="1") + made(f"{pair};2", two, half="2")


def state(name: str, uid: str, number: int, caller: str = "", connected: str = "") -> str:
    shown = {"CallerIDNum": caller, "ConnectedLineNum": connected}
    return ami("Newstate", Channel=name, Uniqueid=uid, ChannelState=str(number), **shown)


def dial(caller: str, by: str, dialled: str, uid: str, string: str, number: str = "+79161234567") -> str:
    return ami(
        "Dial", SubEvent="Begin", Channel=caller, UniqueID=by, Destination=dialled, DestUniqueID=uid,
        Dialstring=string, CallerIDNum=number,
    )  # fmt: skip


def dialled(caller: str, by: str, status: str) -> str:
    return ami("Dial", SubEvent="End", Channel=caller, UniqueID=by, DialStatus=status)


def hangup(name: str, uid: str, cause: int = 16) -> str:
    return ami("Hangup", Channel=name, Uniqueid=uid, Cause=str(cause))


def asked(name: str, uid: str) -> str:
    return ami("HangupRequest", Channel=name, Uniqueid=uid)


def link(one: str, a: str, other: str, b: str) -> str:
    return ami("Bridge", Bridgestate="Link", Channel1=one, Uniqueid1=a, Channel2=other, Uniqueid2=b)


def unlink(one: str, a: str, other: str, b: str) -> str:
    return ami("Bridge", Bridgestate="Unlink", Channel1=one, Uniqueid1=a, Channel2=other, Uniqueid2=b)


def rename(name: str, uid: str, new: str) -> str:
    return ami("Rename", Channel=name, Uniqueid=uid, Newname=new)


def masquerade(original: str, a: str, clone: str, b: str) -> str:
    """The device ``clone`` in structure ``b`` goes into ``a`` (main/channel.c)."""
    return (
        ami("Masquerade", Clone=clone, Original=original)
        + rename(clone, b, f"{clone}<MASQ>")
        + rename(original, a, clone)
        + rename(f"{clone}<MASQ>", b, f"{original}<ZOMBIE>")
    )


def variable(name: str, uid: str, key: str, value: str) -> str:
    return ami("VarSet", Channel=name, Uniqueid=uid, Variable=key, Value=value)


def step(name: str, uid: str, exten: str, application: str = "Set") -> str:
    return ami("Newexten", Channel=name, Uniqueid=uid, Extension=exten, Application=application)


def joins(name: str, uid: str, queue: str = "support") -> str:
    return ami("Join", Channel=name, Uniqueid=uid, Queue=queue, Position="1", Count="1")


def leaves(name: str, uid: str) -> str:
    return ami("Leave", Channel=name, Uniqueid=uid, Queue="support")


def agent(caller: str, by: str, dialled: str, member: str) -> str:
    return ami("AgentCalled", ChannelCalling=caller, Uniqueid=by, DestinationChannel=dialled, AgentCalled=member)


# ---- what follows


def events_of(text: str) -> Iterable[Event]:
    parser = MessageParser()
    parser.receive_data(text.encode())
    while (message := parser.next_message()) is not None:
        assert isinstance(message, Event)
        yield message
    assert not parser.unfinished


def translated(*texts: str, adapter: Ami1Adapter | None = None) -> list[ChannelEvent]:
    adapter = adapter or Ami1Adapter(TrackerRules())
    return [found for text in texts for event in events_of(text) for found in adapter.translate(event)]


def follows(*texts: str, adapter: Ami1Adapter | None = None) -> list[str]:
    """In words, what follows for channels from the last text, after the others."""
    adapter = adapter or Ami1Adapter(TrackerRules())
    translated(*texts[:-1], adapter=adapter)
    found = translated(texts[-1], adapter=adapter)
    return [words(event) for event in found if not isinstance(event, ServerLacks)]


def words(event: ChannelEvent) -> str:
    match event:
        case ChannelCreated() | ChannelChanged():
            verb = "created" if isinstance(event, ChannelCreated) else "changed"
            return f"{verb} {event.channel.name}"
        case ChannelRenamed():
            return f"{event.uniqueid} renamed {event.name}"
        case HangupRequested():
            return f"asked {event.channel.name}"
        case ChannelHungUp():
            return f"hung up {event.channel.name} {event.cause}"
        case DialBegan():
            return f"dial {name_of(event.caller)} > {event.dialled.name} {event.dial_string}".rstrip()
        case DialEnded():
            return f"dialled {name_of(event.caller)} > {event.dialled.name} {event.status}"
        case OriginateEnded():
            return f"originated {event.uniqueid} {event.asked} {event.exten} {event.is_success} {event.reason}"
        case BridgeEntered():
            return f"in {event.bridge} {event.bridge_type} {event.channel.name}"
        case BridgeLeft():
            return f"out {event.bridge} {event.channel.name}"
        case HoldChanged():
            return f"{'hold' if event.is_held else 'unhold'} {event.channel.name}"
        case BlindTransferred():
            return f"blind {event.transferer.name} sends {name_of(event.transferee)} to {event.to}"
        case AttendedTransferred():
            transferers = " ".join(view.name for view in (event.first, event.second) if view is not None)
            return f"attended {transferers}: {name_of(event.transferee)} to {name_of(event.target)}"
        case PickedUp():
            return f"picked up {event.target.name} by {event.picker.name}"
        case Parked():
            return f"parked {event.parkee.name} by {event.parker}"
        case Unparked():
            return f"unparked {event.parkee.name} by {event.retriever.name}"
        case QueueJoined():
            return f"joined {event.queue} {event.position} {event.channel.name}"
        case QueueLeft():
            return f"left {event.channel.name}"
        case CdrWritten():
            return f"cdr {event.uniqueid} > {event.destination} {event.recording}"
        case VoicemailStarted():
            return f"voicemail {event.channel.name}"
        case RecordingStarted():
            return f"recording {event.channel.name} {event.path}"
        case ChannelsListed():
            return " ".join(["listed", *(f"{each.view.uniqueid}:{each.bridge}" for each in event.channels)])
        case ListingUnusable():
            return f"unusable {event.announced} {event.listed}"
        case _:
            raise AssertionError(event)


def name_of(view: ChannelView | None) -> str:
    return view.name if view is not None else "-"


NEWER = asked("SIP/109-ff", "1.99")
"""A server that shows who hangs up; Asterisk 1.8 does not."""

TRUNK, ANNA, BORIS, VERA = "SIP/trunk-01", "SIP/101-02", "SIP/102-03", "SIP/103-04"
A_CALL = called(TRUNK, "1.1")
RINGS_ANNA = made(ANNA, "1.2", "101") + dial(TRUNK, "1.1", ANNA, "1.2", "101") + state(ANNA, "1.2", 5)
RINGS_BORIS = made(BORIS, "1.3", "102") + dial(TRUNK, "1.1", BORIS, "1.3", "102") + state(BORIS, "1.3", 5)
TALKS_ANNA = RINGS_ANNA + state(ANNA, "1.2", 6) + link(TRUNK, "1.1", ANNA, "1.2")
PAIR = "Local/101@from-queue-0a"


# ---- dials


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


REFUSED = [
    # cause, meanwhile, then the end of the Dial() and what it means
    pytest.param(17, False, "", "BUSY", id="busy while another rings"),
    pytest.param(21, False, "", "BUSY", id="rejected while another rings"),
    pytest.param(20, False, "", "CHANUNAVAIL", id="not registered"),
    pytest.param(34, False, "", "CONGESTION", id="no line free"),
    pytest.param(26, True, "", "CANCEL", id="answered elsewhere, the last"),
    pytest.param(16, True, "NOANSWER", "NOANSWER", id="the Dial() timed out"),
    pytest.param(16, True, "CANCEL", "CANCEL", id="the caller gave up"),
    pytest.param(0, True, "CANCEL", "CANCEL", id="the caller gave up, without a cause"),
    pytest.param(21, True, "BUSY", "BUSY", id="603"),
    pytest.param(21, True, "CONGESTION", "CONGESTION", id="403"),
    pytest.param(19, True, "CONGESTION", "NOANSWER", id="480, after it rang"),
]


@pytest.mark.parametrize(("cause", "is_last", "end", "status"), REFUSED)
def test_how_a_destination_ended(cause: int, is_last: bool, end: str, status: str) -> None:
    """Its status is given out before its Hangup, which waits for the end of the Dial() where only that decides."""
    before = [NEWER, A_CALL, RINGS_ANNA, *([] if is_last else [RINGS_BORIS])]
    ending = hangup(ANNA, "1.2", cause)
    found = follows(*before, ending)
    if end:
        assert found == []
        found = follows(*before, ending, dialled(TRUNK, "1.1", end))

    assert found == [f"dialled {TRUNK} > {ANNA} {status}", f"hung up {ANNA} {cause}"]


@pytest.mark.parametrize(("rings", "status"), [(True, "NOANSWER"), (False, "CONGESTION")])
@pytest.mark.parametrize("cause", [18, 19])
def test_no_answer_at_once_means_that_nothing_rings_there(cause: int, rings: bool, status: str) -> None:
    tried = made(ANNA, "1.2", "101") + dial(TRUNK, "1.1", ANNA, "1.2", "101")
    before = [A_CALL, tried, *([state(ANNA, "1.2", 5)] if rings else [])]
    ending = hangup(ANNA, "1.2", cause)

    assert follows(*before, RINGS_BORIS, ending)[0] == f"dialled {TRUNK} > {ANNA} {status}"
    assert follows(*before, ending, dialled(TRUNK, "1.1", "CONGESTION"))[0] == f"dialled {TRUNK} > {ANNA} {status}"


def test_the_cause_of_a_leg_that_is_given_up_may_be_a_copy() -> None:
    before = [A_CALL, RINGS_ANNA, RINGS_BORIS, asked(TRUNK, "1.1"), hangup(ANNA, "1.2", 17)]

    assert follows(*before) == []
    assert f"dialled {TRUNK} > {ANNA} CANCEL" in follows(*before, dialled(TRUNK, "1.1", "CANCEL"))


def test_of_several_the_end_of_the_dial_shows_no_cause_of_one() -> None:
    before = [A_CALL, RINGS_ANNA, RINGS_BORIS, hangup(ANNA, "1.2", 34), hangup(BORIS, "1.3", 17)]

    assert follows(*before, dialled(TRUNK, "1.1", "CONGESTION"))[0] == f"dialled {TRUNK} > {BORIS} BUSY"
    assert follows(A_CALL, RINGS_ANNA, RINGS_BORIS, hangup(ANNA, "1.2"), hangup(BORIS, "1.3", 17)) == []
    assert follows(*before[:-1], hangup(BORIS, "1.3", 16), dialled(TRUNK, "1.1", "BUSY")) == [
        f"dialled {TRUNK} > {BORIS} NOANSWER",
        f"hung up {BORIS} 16",
    ]


def test_the_losers_of_a_group_were_given_up() -> None:
    answered = [A_CALL, RINGS_ANNA, RINGS_BORIS, state(ANNA, "1.2", 6)]

    assert follows(*answered, hangup(BORIS, "1.3", 26)) == [
        f"dialled {TRUNK} > {BORIS} CANCEL",
        f"hung up {BORIS} 26",
    ]
    assert follows(*answered, hangup(BORIS, "1.3", 16), dialled(TRUNK, "1.1", "ANSWER"))[0] == (
        f"dialled {TRUNK} > {BORIS} CANCEL"
    )


def test_who_talked_hangs_up_at_once() -> None:
    assert follows(A_CALL, TALKS_ANNA, hangup(ANNA, "1.2")) == [
        f"hung up {ANNA} 16",
    ]
    assert follows(A_CALL, TALKS_ANNA, hangup(ANNA, "1.2"), dialled(TRUNK, "1.1", "ANSWER")) == []


def test_an_answer_that_led_to_no_conversation_is_taken_back() -> None:
    """The called party did not press the key that Dial()'s U() asked for; rarely_not_confirmed."""
    before = [A_CALL, RINGS_ANNA, state(ANNA, "1.2", 6), hangup(ANNA, "1.2")]

    assert follows(*before) == []
    assert follows(*before, dialled(TRUNK, "1.1", "BUSY")) == [
        f"dialled {TRUNK} > {ANNA} BUSY",
        f"hung up {ANNA} 16",
    ]
    assert follows(*before, dialled(TRUNK, "1.1", "ANSWER")) == [f"hung up {ANNA} 16"]


def test_a_phone_that_forwards_is_shown_so_once_the_dial_goes_on() -> None:
    """apps/app_dial.c, do_forward; tangled_forwarded_then_refer."""
    forwarded = local(PAIR, "1.5", "1.6") + dial(TRUNK, "1.1", f"{PAIR};1", "1.5", "101@from-queue")
    before = [A_CALL, RINGS_ANNA, forwarded, hangup(ANNA, "1.2")]

    assert follows(*before) == []
    assert follows(*before, state(f"{PAIR};1", "1.5", 5)) == [
        f"changed {PAIR};1",
        f"dialled {TRUNK} > {ANNA} FORWARDED",
        f"hung up {ANNA} 16",
    ]


def test_a_leg_that_ends_while_earlier_ones_ring_did_not_answer() -> None:
    before = [A_CALL, RINGS_ANNA, RINGS_BORIS, hangup(BORIS, "1.3")]

    assert f"dialled {TRUNK} > {BORIS} NOANSWER" in follows(*before, state(ANNA, "1.2", 6))


def test_a_hangup_behind_the_end_of_its_dial_needs_no_waiting() -> None:
    before = [A_CALL, RINGS_ANNA, dialled(TRUNK, "1.1", "CANCEL")]

    assert follows(*before, hangup(ANNA, "1.2")) == [f"dialled {TRUNK} > {ANNA} CANCEL", f"hung up {ANNA} 16"]


def test_the_callers_hangup_ends_what_waits() -> None:
    """The end of the Dial() was lost."""
    assert follows(A_CALL, asked(TRUNK, "1.1"), RINGS_ANNA, hangup(ANNA, "1.2"), hangup(TRUNK, "1.1", 0)) == [
        f"dialled {TRUNK} > {ANNA} CANCEL",
        f"hung up {ANNA} 16",
        f"hung up {TRUNK} 0",
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

INSIDE = made(ANNA, "1.7", "101") + dial(f"{PAIR};2", "1.6", ANNA, "1.7", "101")
OUTSIDE = dial(TRUNK, "1.1", f"{PAIR};1", "1.5", "101@from-queue/n")


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
    """The outer Dial() timed out, the inner one was cancelled by that; which is told first is chance."""
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


def test_who_hangs_up_a_channel_that_was_not_given_out() -> None:
    assert follows(A_CALL, made(ANNA, "1.2", "101"), asked(ANNA, "1.2")) == []


def test_a_busy_phone_inside_a_local_channel_is_busy_at_once() -> None:
    before = [A_CALL, local(PAIR, "1.5", "1.6"), OUTSIDE, INSIDE]

    assert follows(*before, hangup(ANNA, "1.7", 17), dialled(f"{PAIR};2", "1.6", "BUSY")) == [
        f"dialled {PAIR};2 > {ANNA} BUSY",
        f"hung up {ANNA} 17",
    ]


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


# ---- Originate

RESPONSE = {"Channel": "SIP/101", "Context": "from-internal", "Exten": "84951234567"}


def test_a_channel_that_nobody_dials_is_an_originates() -> None:
    assert follows(made(ANNA, "1.2", "101"), state(ANNA, "1.2", 5)) == [
        f"created {ANNA}",
        f"dial - > {ANNA}",
        f"changed {ANNA}",
    ]
    assert follows(made(ANNA, "1.2", "101"), state(ANNA, "1.2", 6)) == [
        f"created {ANNA}",
        f"dial - > {ANNA}",
        f"changed {ANNA}",
        f"dialled - > {ANNA} ANSWER",
    ]


def test_an_originate_through_a_local_channel_shows_when_its_phone_rings() -> None:
    before = [local(PAIR, "1.5", "1.6"), INSIDE]

    assert follows(*before) == []
    assert follows(*before, state(ANNA, "1.7", 5)) == [
        f"created {PAIR};1",
        f"created {PAIR};2",
        f"dial - > {PAIR};1",
        f"created {ANNA}",
        f"dial {PAIR};2 > {ANNA} 101",
        f"changed {ANNA}",
    ]
    assert f"dial - > {PAIR};1" in follows(*before, hangup(ANNA, "1.7", 17))


@pytest.mark.parametrize(("cause", "status"), [(17, "BUSY"), (0, "NOANSWER"), (21, "BUSY")])
def test_an_originate_that_is_not_answered(cause: int, status: str) -> None:
    before = [made(ANNA, "1.2", "101"), state(ANNA, "1.2", 5)]

    assert follows(*before, hangup(ANNA, "1.2", cause)) == [
        f"dialled - > {ANNA} {status}",
        f"hung up {ANNA} {cause}",
    ]


def test_an_originates_answer_is_final() -> None:
    before = [made(ANNA, "1.2", "101"), state(ANNA, "1.2", 6)]

    assert follows(*before, hangup(ANNA, "1.2")) == [f"hung up {ANNA} 16"]


def test_an_originate_that_fails_at_once_shows_by_its_response() -> None:
    refused = made(ANNA, "1.2", "101") + hangup(ANNA, "1.2", 17)
    failure = ami("OriginateResponse", Response="Failure", Reason="5", Uniqueid="<null>", **RESPONSE)

    assert follows(refused) == []
    assert follows(refused, failure) == [
        f"created {ANNA}",
        f"dial - > {ANNA}",
        f"dialled - > {ANNA} BUSY",
        f"hung up {ANNA} 17",
        "originated 1.2 SIP/101 84951234567 False 5",
    ]


def test_an_originate_that_fails_while_its_channel_is_there() -> None:
    asked_for = RESPONSE | {"Channel": "Local/101@from-queue/n"}
    failure = ami("OriginateResponse", Response="Failure", Reason="0", Uniqueid="<null>", **asked_for)

    assert follows(local(PAIR, "1.5", "1.6"), INSIDE, failure) == [
        f"created {PAIR};1",
        f"created {PAIR};2",
        f"dial - > {PAIR};1",
        f"created {ANNA}",
        f"dial {PAIR};2 > {ANNA} 101",
        "originated 1.5 Local/101@from-queue/n 84951234567 False 0",
    ]


@pytest.mark.parametrize("is_two_first", [True, False])
def test_an_originate_through_a_local_channel_that_rings_nothing(is_two_first: bool) -> None:
    """The phone is not registered."""
    halves = [hangup(f"{PAIR};2", "1.6", 20), hangup(f"{PAIR};1", "1.5", 20)]
    gone = "".join(halves if is_two_first else reversed(halves))
    asked_for = RESPONSE | {"Channel": "Local/101@from-queue/n"}
    failure = ami("OriginateResponse", Response="Failure", Reason="0", Uniqueid="<null>", **asked_for)

    assert follows(local(PAIR, "1.5", "1.6"), gone) == []
    assert follows(local(PAIR, "1.5", "1.6"), gone, failure)[2:4] == [
        f"dial - > {PAIR};1",
        f"dialled - > {PAIR};1 CHANUNAVAIL",
    ]


def test_a_response_names_the_channel_that_was_originated_last() -> None:
    """Not one that another dialled, nor the other half of a Local channel."""
    inside = INSIDE.replace("+79161234567", "101") + state(ANNA, "1.7", 5)
    clicked = local(PAIR, "1.5", "1.6") + inside + hangup(f"{PAIR};1", "1.5", 0)
    another = local("Local/101@from-queue-0b", "1.8", "1.9")
    other_dial = A_CALL + another + dial(TRUNK, "1.1", "Local/101@from-queue-0b;1", "1.8", "101@from-queue/n")
    asked_for = RESPONSE | {"Channel": "Local/101@from-queue/n"}
    failure = ami("OriginateResponse", Response="Failure", Reason="3", Uniqueid="<null>", **asked_for)

    assert follows(other_dial, clicked, failure)[-1] == "originated 1.5 Local/101@from-queue/n 84951234567 False 3"
    assert follows(other_dial, failure) == ["originated  Local/101@from-queue/n 84951234567 False 3"]


def test_a_response_of_success_names_its_channel() -> None:
    success = ami("OriginateResponse", Response="Success", Reason="4", Uniqueid="1.2", **RESPONSE)

    assert follows(made(ANNA, "1.2", "101"), state(ANNA, "1.2", 6), success) == [
        "originated 1.2 SIP/101 84951234567 True 4"
    ]


FAILED = ami("OriginateResponse", Response="Failure", Reason="5", Uniqueid="<null>", **RESPONSE)


@pytest.mark.parametrize(
    "made_so",
    [
        pytest.param(made(ANNA, "1.2", "101") + state(ANNA, "1.2", 5) + hangup(ANNA, "1.2", 17), id="it rang"),
        pytest.param(made(ANNA, "1.2", "101") + hangup(ANNA, "1.2", 17), id="it was busy at once"),
        pytest.param("", id="no channel could be made"),
    ],
)
def test_a_click_of_ours_is_known_by_our_identity(made_so: str) -> None:
    """AMI 1.x has no ChannelId."""
    adapter = Ami1Adapter(TrackerRules())
    adapter.ordered("SIP/101", "uac-1")
    adapter.ordered("SIP/101", "uac-2")
    adapter.ordered("SIP/102", "uac-3")
    found = translated(A_CALL, made_so, FAILED, adapter=adapter)
    ours = [event for event in found if isinstance(event, ChannelCreated | DialBegan | DialEnded | ChannelHungUp)][1:]
    views = [event.dialled if isinstance(event, DialBegan | DialEnded) else event.channel for event in ours]

    assert {view.uniqueid for view in views} <= {"uac-1"}
    assert words(found[-1]) == "originated uac-1 SIP/101 84951234567 False 5"
    assert follows(made(BORIS, "1.3", "102"), state(BORIS, "1.3", 5), hangup(BORIS, "1.3"), adapter=adapter)
    assert follows(FAILED, adapter=adapter)[-1].startswith("originated uac-2")
    assert follows(FAILED, adapter=adapter) == ["originated  SIP/101 84951234567 False 5"]


def test_a_dial_that_could_not_be_placed_is_no_originate() -> None:
    """apps/app_dial.c: ast_call failed, so there is no Dial event; chan_sip's call-limit."""
    assert follows(A_CALL, made(ANNA, "1.2", "101"), hangup(ANNA, "1.2", 17)) == []


# ---- queues

IN_QUEUE = A_CALL + state(TRUNK, "1.1", 6) + joins(TRUNK, "1.1")
CALLS_ANNA = made(ANNA, "1.2", "101") + agent(TRUNK, "1.1", ANNA, "SIP/101")


def test_who_waits_in_a_queue() -> None:
    assert follows(A_CALL, joins(TRUNK, "1.1")) == [f"joined support 1 {TRUNK}"]
    assert follows(A_CALL, joins(TRUNK, "1.1"), leaves(TRUNK, "1.1")) == [f"left {TRUNK}"]


def test_a_queue_that_shows_whom_it_calls() -> None:
    adapter = Ami1Adapter(TrackerRules())

    assert follows(IN_QUEUE, CALLS_ANNA, adapter=adapter) == [f"created {ANNA}", f"dial {TRUNK} > {ANNA} SIP/101"]
    assert follows(state(ANNA, "1.2", 6, connected="+79161234567"), adapter=adapter) == [
        f"changed {ANNA}",
        f"dialled {TRUNK} > {ANNA} ANSWER",
    ]
    assert not adapter._unseen_dials.lacks_agent_calls


RINGS_OUT = ami("AgentRingNoAnswer", Uniqueid="1.1", Member="SIP/101", Queue="support")


@pytest.mark.parametrize(
    ("before", "cause", "status"),
    [
        pytest.param(RINGS_OUT, 16, "NOANSWER", id="timed out"),
        pytest.param("", 16, "CANCEL", id="given up"),
        pytest.param("", 17, "BUSY", id="busy"),
    ],
)
def test_how_a_member_ended(before: str, cause: int, status: str) -> None:
    found = follows(NEWER, IN_QUEUE, CALLS_ANNA, before, hangup(ANNA, "1.2", cause))

    assert found == [f"dialled {TRUNK} > {ANNA} {status}", f"hung up {ANNA} {cause}"]


def test_a_member_who_answers_and_leaves_before_the_bridge_is_not_refused() -> None:
    assert follows(IN_QUEUE, CALLS_ANNA, state(ANNA, "1.2", 6), hangup(ANNA, "1.2")) == [f"hung up {ANNA} 16"]


def test_members_that_lose_were_given_up() -> None:
    """Asterisk 1.8 hangs up their Local channels without a cause."""
    calls_boris = made(BORIS, "1.3", "102") + agent(TRUNK, "1.1", BORIS, "SIP/102")
    found = follows(IN_QUEUE, CALLS_ANNA, calls_boris, RINGS_OUT, state(BORIS, "1.3", 6), hangup(ANNA, "1.2", 0))

    assert found == [f"dialled {TRUNK} > {ANNA} CANCEL", f"hung up {ANNA} 0"]


def test_what_is_dialled_behind_a_queue_is_a_dials() -> None:
    """office_queue_then_ringgroup."""
    behind = [IN_QUEUE, CALLS_ANNA, RINGS_OUT, hangup(ANNA, "1.2"), leaves(TRUNK, "1.1"), RINGS_BORIS]

    assert follows(*behind, hangup(BORIS, "1.3")) == []
    assert follows(*behind, hangup(BORIS, "1.3"), dialled(TRUNK, "1.1", "NOANSWER"))[0] == (
        f"dialled {TRUNK} > {BORIS} NOANSWER"
    )


def test_a_queue_behind_a_dial_is_a_queues() -> None:
    """The end of the Dial() was lost."""
    behind = [A_CALL, RINGS_BORIS, joins(TRUNK, "1.1"), CALLS_ANNA, RINGS_OUT]

    assert follows(*behind, hangup(ANNA, "1.2")) == [f"dialled {TRUNK} > {ANNA} NOANSWER", f"hung up {ANNA} 16"]


def test_after_an_answer_a_queue_starts_anew() -> None:
    """The customer was sent on to the queue again: whoever answered before answered then."""
    again = made(BORIS, "1.3", "102") + agent(TRUNK, "1.1", BORIS, "SIP/102") + state(BORIS, "1.3", 5)
    rings_out = ami("AgentRingNoAnswer", Uniqueid="1.1", Member="SIP/102", Queue="support")
    found = follows(IN_QUEUE, CALLS_ANNA, state(ANNA, "1.2", 6), again, rings_out, hangup(BORIS, "1.3"))

    assert found[0] == f"dialled {TRUNK} > {BORIS} NOANSWER"


def rings(connected: str) -> list[str]:
    return [made(ANNA, "1.2", "101"), state(ANNA, "1.2", 5, "101", connected)]


def test_a_queue_without_agent_called_is_known_by_the_number_that_its_members_show() -> None:
    adapter = Ami1Adapter(TrackerRules())
    found = follows(IN_QUEUE, *rings("+79161234567"), adapter=adapter)

    assert found == [f"created {ANNA}", f"dial {TRUNK} > {ANNA} SIP/101", f"changed {ANNA}"]
    assert adapter._unseen_dials.lacks_agent_calls


def test_of_two_who_wait_the_one_whose_number_it_is() -> None:
    second = called("SIP/trunk-09", "1.9", "+79990001122") + joins("SIP/trunk-09", "1.9")

    assert f"dial SIP/trunk-09 > {ANNA} SIP/101" in follows(IN_QUEUE, second, *rings("+79990001122"))
    assert f"dial {TRUNK} > {ANNA} SIP/101" in follows(IN_QUEUE, second, *rings("+79161234567"))
    assert f"dial - > {ANNA}" in follows(IN_QUEUE, second, *rings("84950000000"))
    assert f"dial - > {ANNA}" in follows(IN_QUEUE, *rings("84950000000")), "nor of one"


def test_of_two_who_wait_without_a_number_the_first() -> None:
    first = called("SIP/trunk-08", "1.8", "") + joins("SIP/trunk-08", "1.8")
    second = called("SIP/trunk-09", "1.9", "") + joins("SIP/trunk-09", "1.9")

    assert f"dial SIP/trunk-08 > {ANNA} SIP/101" in follows(IN_QUEUE, first, second, *rings(""))
    assert f"dial SIP/trunk-09 > {ANNA} SIP/101" in follows(first, leaves("SIP/trunk-08", "1.8"), second, *rings(""))
    assert f"dial SIP/trunk-09 > {ANNA} SIP/101" in follows(first, hangup("SIP/trunk-08", "1.8"), second, *rings(""))


def test_a_busy_member_of_the_only_one_who_waits() -> None:
    assert follows(IN_QUEUE, made(ANNA, "1.2", "101"), hangup(ANNA, "1.2", 17))[1:] == [
        f"dial {TRUNK} > {ANNA} SIP/101",
        f"dialled {TRUNK} > {ANNA} BUSY",
        f"hung up {ANNA} 17",
    ]


def test_a_local_member_is_known_by_the_number_inside() -> None:
    """The half that is dialled shows it only later; office_queue_local_ringall."""
    second = called("SIP/trunk-09", "1.9", "+79990001122") + joins("SIP/trunk-09", "1.9")
    found = follows(IN_QUEUE, second, local(PAIR, "1.5", "1.6"), INSIDE, state(ANNA, "1.7", 5))

    assert found[2:4] == [f"dial {TRUNK} > {PAIR};1 Local/101@from-queue", f"created {ANNA}"]


@pytest.mark.parametrize(("before", "status"), [(asked(TRUNK, "1.1"), "CANCEL"), ("", "NOANSWER")])
def test_how_a_member_ended_without_agent_events(before: str, status: str) -> None:
    found = follows(NEWER, IN_QUEUE, *rings("+79161234567"), before, hangup(ANNA, "1.2"))

    assert found[0] == f"dialled {TRUNK} > {ANNA} {status}"


def test_an_originate_beside_a_queue_that_shows_its_calls() -> None:
    """A click on the number of a customer who waits."""
    assert f"dial - > {BORIS}" in follows(
        IN_QUEUE, CALLS_ANNA, made(BORIS, "1.3", "102"), state(BORIS, "1.3", 5, "102", "+79161234567")
    )


def test_follow_me_calls_for_who_waits() -> None:
    """apps/app_followme.c has no event for its calls; also a queue whose Join is masked."""
    assert follows(A_CALL, *rings("+79161234567")) == [f"created {ANNA}", f"dial {TRUNK} > {ANNA}", f"changed {ANNA}"]


@pytest.mark.parametrize(
    ("before", "connected"),
    [
        pytest.param([called("SIP/102-08", "1.8", "102", "*97")], "102", id="an employee's, who also clicks"),
        pytest.param([A_CALL, RINGS_BORIS, state(BORIS, "1.3", 6), link(TRUNK, "1.1", BORIS, "1.3")], "+79161234567",
                     id="a customer's, who talks"),
        pytest.param([A_CALL, hangup(TRUNK, "1.1")], "+79161234567", id="a customer's, who is gone"),
        pytest.param([A_CALL, made(VERA, "1.4", "+79990001122") + dial(TRUNK, "1.1", VERA, "1.4", "8999")
                      + state(VERA, "1.4", 5, "+79990001122")], "+79990001122", id="a mobile's, which rings"),
    ],
)  # fmt: skip
def test_whose_number_it_is_does_not_wait(before: list[str], connected: str) -> None:
    assert f"dial - > {ANNA}" in follows(*before, *rings(connected))


def test_a_bridge_ties_what_nothing_tied_before() -> None:
    assert follows(A_CALL, made(ANNA, "1.2", "101"), link(TRUNK, "1.1", ANNA, "1.2")) == [
        f"created {ANNA}",
        f"dial {TRUNK} > {ANNA} SIP/101",
        f"in 1.1+1.2 basic {TRUNK}",
        f"in 1.1+1.2 basic {ANNA}",
    ]


# ---- bridges


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

SECOND = "SIP/101-05"
ASKS_BORIS = (
    called(SECOND, "1.5", "101", "102")
    + made(BORIS, "1.6", "102")
    + dial(SECOND, "1.5", BORIS, "1.6", "102", "101")
    + state(BORIS, "1.6", 5)
)
CONSULTS = [A_CALL, TALKS_ANNA, ASKS_BORIS, state(BORIS, "1.6", 6), link(SECOND, "1.5", BORIS, "1.6")]


def refer(kind: str, **headers: str) -> str:
    return ami("Transfer", TransferType=kind, Channel=ANNA, Uniqueid="1.2", **headers)


ATTENDED = refer("Attended", TargetChannel=SECOND, TargetUniqueid="1.5")


def test_an_attended_transfer() -> None:
    assert follows(*CONSULTS, ATTENDED) == [f"attended {ANNA} {SECOND}: {TRUNK} to {BORIS}"]


def test_an_attended_transfer_while_the_target_rings() -> None:
    assert follows(A_CALL, TALKS_ANNA, ASKS_BORIS, ATTENDED) == [f"attended {ANNA} {SECOND}: {TRUNK} to -"]


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


def test_a_pickup_of_what_nobody_is_seen_to_dial() -> None:
    both = [called(ANNA, "1.2", "101"), called(VERA, "1.4", "103", "*8")]

    assert follows(*both, ami("Pickup", Channel=VERA, TargetChannel=ANNA)) == [f"picked up {ANNA} by {VERA}"]


def test_an_event_of_who_is_gone_is_none() -> None:
    gone = [A_CALL, RINGS_ANNA, hangup(ANNA, "1.2"), hangup(TRUNK, "1.1")]
    late = [
        state(TRUNK, "1.1", 6), ami("NewCallerid", Channel=TRUNK, Uniqueid="1.1"), asked(TRUNK, "1.1"),
        hangup(TRUNK, "1.1"), dial(TRUNK, "1.1", ANNA, "1.2", "101"), agent(TRUNK, "1.1", ANNA, "SIP/101"),
        ami("Pickup", Channel=TRUNK, TargetChannel=ANNA), ATTENDED, joins(TRUNK, "1.1"), leaves(TRUNK, "1.1"),
        ami("ConfbridgeJoin", Channel=TRUNK, Uniqueid="1.1", Conference="600"),
        ami("Hold", Channel=TRUNK, Uniqueid="1.1", Status="On"),
    ]  # fmt: skip

    adapter = Ami1Adapter(TrackerRules())
    translated(*gone, adapter=adapter)
    for text in late:
        assert follows(text, adapter=adapter) == []
    assert not adapter._dials._by_caller
    assert not adapter._callers._queued


# ---- handing over


def test_a_blind_transfer() -> None:
    sent = refer("Blind", TargetChannel=TRUNK, TargetUniqueid="1.1", TransferExten="102")

    assert follows(A_CALL, TALKS_ANNA, sent) == [f"blind {ANNA} sends {TRUNK} to 102"]


FEATURE_BLIND = [
    A_CALL,
    TALKS_ANNA,
    unlink(TRUNK, "1.1", ANNA, "1.2"),
    variable(ANNA, "1.2", "BLINDTRANSFER", TRUNK),
    variable(TRUNK, "1.1", "BLINDTRANSFER", ANNA),
]
SENT = f"blind {ANNA} sends {TRUNK} to"


def test_a_blind_transfer_by_feature_code() -> None:
    """main/features.c, builtin_blindtransfer: the transferer goes first, then the dialplan shows where to."""
    ends = hangup(ANNA, "1.2") + dialled(TRUNK, "1.1", "ANSWER")

    assert follows(*FEATURE_BLIND, ends) == []
    assert follows(*FEATURE_BLIND, ends, step(TRUNK, "1.1", "102")) == [f"{SENT} 102", f"hung up {ANNA} 16"]
    assert follows(*FEATURE_BLIND, ends, joins(TRUNK, "1.1", "sales"))[:2] == [f"{SENT} sales", f"hung up {ANNA} 16"]
    assert follows(*FEATURE_BLIND, ends, RINGS_BORIS)[:2] == [f"{SENT} ", f"hung up {ANNA} 16"]
    assert follows(*FEATURE_BLIND, ends, hangup(TRUNK, "1.1")) == [f"hung up {ANNA} 16", f"hung up {TRUNK} 16"]


def test_who_hangs_up_in_a_blind_transfer_sends_nobody_on() -> None:
    left = asked(TRUNK, "1.1") + hangup(TRUNK, "1.1") + hangup(ANNA, "1.2")

    assert follows(*FEATURE_BLIND, left) == [f"asked {TRUNK}", f"hung up {TRUNK} 16", f"hung up {ANNA} 16"]
    adapter = Ami1Adapter(TrackerRules())
    translated(*FEATURE_BLIND, left, adapter=adapter)
    assert not adapter._feature_codes._blind


def test_a_transferee_who_was_dialled_goes_on_in_another_structure() -> None:
    """ast_async_goto; the transferer's own dialplan ends in its h extension."""
    helper = f"AsyncGoto/{TRUNK}"
    moves = ami("Newchannel", Channel=helper, Uniqueid="1.9", ChannelState="0") + masquerade(
        helper, "1.9", TRUNK, "1.1"
    )
    before = [*FEATURE_BLIND, moves + hangup(f"{helper}<ZOMBIE>", "1.1")]

    assert follows(*before, step(ANNA, "1.2", "h")) == []
    assert follows(*before, step(TRUNK, "1.9", "102")) == [f"{SENT} 102"]
    assert follows(*before, step(TRUNK, "1.9", "102"), step(TRUNK, "1.9", "s")) == []
    assert follows(*before, step(TRUNK, "1.9", "102"), hangup(ANNA, "1.2")) == [f"hung up {ANNA} 16"]


def test_the_variable_of_a_refer_is_no_feature_code() -> None:
    """chan_sip.c sets it too, while the two are linked; the Transfer event says more."""
    before = [A_CALL, TALKS_ANNA, variable(TRUNK, "1.1", "BLINDTRANSFER", ANNA)]

    assert follows(*before, unlink(TRUNK, "1.1", ANNA, "1.2"), hangup(ANNA, "1.2")) == [f"hung up {ANNA} 16"]


XFER = "Local/102@from-internal-xfer-0c"
STARS = [A_CALL, TALKS_ANNA, unlink(TRUNK, "1.1", ANNA, "1.2")]
XFER_DIALS = made(BORIS, "1.7", "102") + dial(f"{XFER};2", "1.6", BORIS, "1.7", "102", "101")
BY_VARIABLE = [local(XFER, "1.5", "1.6"), variable(f"{XFER};1", "1.5", "TRANSFERERNAME", ANNA), XFER_DIALS]
BY_NUMBER = [local(XFER, "1.5", "1.6"), XFER_DIALS]
NUMBERED = [A_CALL, made(ANNA, "1.2", "101"), *[TALKS_ANNA.removeprefix(made(ANNA, "1.2", "101"))], STARS[-1]]
COMPLETED = f"attended {ANNA}: {TRUNK} to {XFER};1"


@pytest.mark.parametrize("shown", [BY_VARIABLE, BY_NUMBER], ids=["TRANSFERERNAME", "number"])
def test_a_consultation_by_feature_code(shown: list[str]) -> None:
    """Transferer and asked channel are in a bridge, as Asterisk 12 and later has it, before the colleague rings."""
    assert follows(*STARS, *shown, state(BORIS, "1.7", 5)) == [
        f"created {XFER};1",
        f"created {XFER};2",
        f"in 1.2+1.5 basic {ANNA}",
        f"in 1.2+1.5 basic {XFER};1",
        f"created {BORIS}",
        f"dial {XFER};2 > {BORIS} 102",
        f"changed {BORIS}",
    ]


def test_a_consultation_with_an_outside_number() -> None:
    """The dialplan has set the company's CallerID before anything rings; rarely_asked_mobile_by_feature."""
    dials = made(BORIS, "1.7") + dial(f"{XFER};2", "1.6", BORIS, "1.7", "8926", "4951000101")
    shown = [local(XFER, "1.5", "1.6"), dials, state(BORIS, "1.7", 5)]

    assert f"in 1.2+1.5 basic {ANNA}" in follows(*STARS, *shown), "an employee is the only one who can ask"
    assert f"dial - > {XFER};1" in follows(*STARS, variable(TRUNK, "1.1", "X", "y"), *shown), "VarSet would show it"
    named = variable(f"{XFER};1", "1.5", "TRANSFERERNAME", ANNA)
    assert f"in 1.2+1.5 basic {ANNA}" in follows(*STARS, shown[0], named, *shown[1:]), "VarSet shows it"
    in_vain = [STARS[0], STARS[1], local(XFER, "1.5", "1.6"), named, shown[1]]
    assert f"dial - > {XFER};1" in follows(*in_vain, shown[2]), "whom it is for is not known"
    phone = [made(BORIS, "1.7"), state(BORIS, "1.7", 5)]
    assert f"dial - > {BORIS}" in follows(*STARS, *phone), "features.c dials Local channels"
    third = called("SIP/trunk-09", "1.9", "+79990001122") + made(VERA, "1.4", "103")
    third += dial("SIP/trunk-09", "1.9", VERA, "1.4", "103") + link("SIP/trunk-09", "1.9", VERA, "1.4")
    both = [*STARS, third, unlink("SIP/trunk-09", "1.9", VERA, "1.4")]
    assert f"dial - > {XFER};1" in follows(*both, *shown), "two may be asking"
    colleagues = [stage.replace("+79161234567", "109") for stage in STARS]
    assert f"dial - > {XFER};1" in follows(*colleagues, *shown), "both may be asking"
    two_customers = [A_CALL, TALKS_ANNA, called("SIP/trunk-09", "1.9", "+79990001122") + RINGS_BORIS]
    assert f"dial - > {XFER};1" in follows(*two_customers, *shown), "nobody left a conversation"


CONSULTED = [*STARS, *BY_VARIABLE, state(BORIS, "1.7", 5)]


def test_a_transferer_who_hangs_up_completes_the_transfer() -> None:
    assert follows(*CONSULTED, asked(ANNA, "1.2")) == [COMPLETED, f"asked {ANNA}"]
    assert COMPLETED not in follows(*CONSULTED, asked(ANNA, "1.2"), link(TRUNK, "1.1", f"{XFER};1", "1.5"))


def test_asterisk_18_shows_the_transfer_when_the_two_are_linked() -> None:
    talk = link(ANNA, "1.2", f"{XFER};1", "1.5")
    before = [*CONSULTED, state(f"{XFER};1", "1.5", 6), talk, unlink(ANNA, "1.2", f"{XFER};1", "1.5")]

    assert COMPLETED not in follows(*before)
    assert follows(*before, link(TRUNK, "1.1", f"{XFER};1", "1.5"))[0] == COMPLETED


def test_a_consultation_that_is_given_back_is_no_transfer() -> None:
    ended = hangup(f"{XFER};1", "1.5", 0) + hangup(BORIS, "1.7", 17) + dialled(f"{XFER};2", "1.6", "BUSY")
    before = [NEWER, *CONSULTED, ended, link(TRUNK, "1.1", ANNA, "1.2")]

    assert follows(*before) == [f"in 1.1+1.2 basic {TRUNK}", f"in 1.1+1.2 basic {ANNA}"]
    assert follows(*before, asked(ANNA, "1.2")) == [f"asked {ANNA}"]


@pytest.mark.parametrize("variables", [True, False])
@pytest.mark.parametrize("is_18", [True, False])
def test_a_transferer_who_is_called_back(is_18: bool, variables: bool) -> None:
    """They hung up while the colleague's phone rang, in vain; rarely_recalled."""
    ended = hangup(f"{XFER};1", "1.5", 0) + hangup(BORIS, "1.7") + dialled(f"{XFER};2", "1.6", "CANCEL")
    left = [] if is_18 else [asked(ANNA, "1.2")]
    again = [made(SECOND, "1.8", "101"), *([variable(SECOND, "1.8", "TRANSFERERNAME", ANNA)] if variables else [])]
    found = follows(*CONSULTED, *left, ended, *again, state(SECOND, "1.8", 5, "101", "+79161234567"))

    transfer = [f"attended {ANNA}: {TRUNK} to -"] if is_18 else []
    assert found == [*transfer, f"created {SECOND}", f"dial {TRUNK} > {SECOND}", f"changed {SECOND}"]


def test_who_dials_anew_asks_nobody() -> None:
    """After the link ended the dialplan went on with the caller, and a click follows on the employee's number."""
    before = [A_CALL, TALKS_ANNA, unlink(TRUNK, "1.1", ANNA, "1.2")]
    click = [made(VERA, "1.4", "103"), state(VERA, "1.4", 5, "103", "101")]

    assert f"dial {ANNA} > {VERA}" not in follows(*before, RINGS_BORIS, *click)
    assert f"dial - > {VERA}" in follows(*before, joins(TRUNK, "1.1"), leaves(TRUNK, "1.1"), *click)
    assert f"dial - > {VERA}" in follows(*before, RINGS_BORIS, *click)


def test_parking() -> None:
    parked = ami("ParkedCall", Channel=TRUNK, Uniqueid="1.1", From=ANNA, Exten="71")
    retrieved = called(VERA, "1.4", "103", "71") + ami("UnParkedCall", Channel=TRUNK, Uniqueid="1.1", From=VERA)

    assert follows(A_CALL, TALKS_ANNA, parked) == [f"parked {TRUNK} by SIP/101"]
    assert follows(A_CALL, TALKS_ANNA, parked.replace("\r\n\r\n", "\r\nActionID: 1\r\n\r\n")) == [], "of a list"
    assert follows(A_CALL, TALKS_ANNA, parked, retrieved)[-1] == f"unparked {TRUNK} by {VERA}"
    unknown = ami("UnParkedCall", Channel=TRUNK, Uniqueid="1.1", From=VERA)
    assert follows(A_CALL, TALKS_ANNA, parked, unknown) == []


def test_hold() -> None:
    on = ami("Hold", Channel=ANNA, Uniqueid="1.2", Status="On")

    assert follows(A_CALL, TALKS_ANNA, on) == [f"hold {ANNA}"]
    assert follows(A_CALL, TALKS_ANNA, on, on.replace("On", "Off")) == [f"unhold {ANNA}"]


# ---- ends of callers


def test_who_hangs_up_is_shown() -> None:
    assert follows(A_CALL, RINGS_ANNA, asked(TRUNK, "1.1")) == [f"asked {TRUNK}"]


GIVEN_UP = [
    pytest.param([A_CALL, RINGS_ANNA, hangup(ANNA, "1.2")], dialled(TRUNK, "1.1", "CANCEL"), True, id="Dial()"),
    pytest.param([A_CALL, RINGS_ANNA, hangup(ANNA, "1.2")], dialled(TRUNK, "1.1", "NOANSWER"), False, id="timeout"),
    pytest.param([IN_QUEUE, CALLS_ANNA], hangup(ANNA, "1.2"), True, id="Queue()"),
    pytest.param([IN_QUEUE, CALLS_ANNA, RINGS_OUT], hangup(ANNA, "1.2"), False, id="a member's timeout"),
    pytest.param([A_CALL], hangup(TRUNK, "1.1", 0), True, id="menu"),
    pytest.param([A_CALL], hangup(TRUNK, "1.1", 16), False, id="the dialplan hung up"),
    pytest.param([A_CALL, TALKS_ANNA], hangup(TRUNK, "1.1", 0), False, id="after a talk"),
    pytest.param([IN_QUEUE, CALLS_ANNA, state(ANNA, "1.2", 6)], hangup(TRUNK, "1.1", 16), False, id="after an answer"),
]


@pytest.mark.parametrize(("before", "ending", "gives_up"), GIVEN_UP)
def test_asterisk_18_does_not_show_who_gives_up(before: list[str], ending: str, gives_up: bool) -> None:
    """It is concluded, once, and never on a server that has HangupRequest."""
    assert (f"asked {TRUNK}" in follows(*before, ending)) is gives_up
    assert f"asked {TRUNK}" not in follows(NEWER, *before, ending)
    if gives_up and "Dial" in ending:
        assert f"asked {TRUNK}" not in follows(*before, ending, hangup(TRUNK, "1.1", 0))


# ---- recordings, voicemail, Cdr


def test_what_the_dialplan_does() -> None:
    path = "/var/spool/1.wav"

    assert follows(A_CALL, variable(TRUNK, "1.1", "MIXMONITOR_FILENAME", path)) == [f"recording {TRUNK} {path}"]
    assert follows(A_CALL, variable(TRUNK, "1.1", "MIXMONITOR_FILENAME", "")) == []
    assert follows(A_CALL, step(TRUNK, "1.1", "s", "VoiceMail")) == [f"voicemail {TRUNK}"]
    assert follows(A_CALL, step(TRUNK, "1.1", "s", "Playback")) == []


def test_a_recording_inside_a_local_channel_does_not_show_who_dials_it() -> None:
    recorded = variable(f"{PAIR};2", "1.6", "MIXMONITOR_FILENAME", "a.wav")
    before = [A_CALL, local(PAIR, "1.5", "1.6"), recorded]

    assert follows(*before) == []
    assert follows(*before, OUTSIDE) == [
        f"created {PAIR};1",
        f"created {PAIR};2",
        f"recording {PAIR};2 a.wav",
        f"dial {TRUNK} > {PAIR};1 101@from-queue/n",
    ]


def cdr(name: str, uid: str, **headers: str) -> str:
    return ami("Cdr", Channel=name, UniqueID=uid, DestinationChannel=ANNA, LastApplication="Dial", **headers)


def test_a_cdr() -> None:
    told = {"Disposition": "ANSWERED", "BillableSeconds": "7", "LastData": "SIP/101,15", "Linkedid": "1.0"}
    (written,) = translated(cdr(TRUNK, "1.1", recordingfile="b.wav", recordingpath="/a.wav", **told))

    assert written == CdrWritten(
        event="Cdr", uniqueid="1.1", linkedid="1.0", destination=ANNA, application="Dial", data="SIP/101,15",
        is_answered=True, billable_secs=7, recording="/a.wav",
    )  # fmt: skip
    (other,) = translated(cdr(TRUNK, "1.1", Disposition="NO ANSWER", recordingfile="b.wav"))
    assert isinstance(other, CdrWritten)
    assert (other.is_answered, other.recording) == (False, "b.wav")


def test_a_cdr_is_of_the_device_that_it_names() -> None:
    """Party A is in another structure by then, or has hung up."""
    moved = masquerade(SECOND, "1.5", TRUNK, "1.1")
    gone = hangup(f"{SECOND}<ZOMBIE>", "1.1")

    assert follows(*CONSULTS, moved, cdr(TRUNK, "1.5"))[0].startswith("cdr 1.1 ")
    assert follows(*CONSULTS, moved, gone, cdr(SECOND, "1.5"))[0].startswith("cdr 1.5 ")
    assert follows(*CONSULTS, cdr("SIP/unknown-1", "1.5"))[0].startswith("cdr 1.5 ")


def test_those_who_ended_are_not_kept_for_long() -> None:
    adapter = Ami1Adapter(TrackerRules())
    for number in range(MAX_ENDED + 2):
        translated(
            called(f"SIP/trunk-{number}", f"1.{number}") + hangup(f"SIP/trunk-{number}", f"1.{number}"), adapter=adapter
        )

    assert len(adapter._devices._by_name) == MAX_ENDED
    assert follows(cdr("SIP/trunk-1", "9.9"), adapter=adapter)[0].startswith("cdr 9.9 ")
    assert follows(cdr("SIP/trunk-9", "9.9"), adapter=adapter)[0].startswith("cdr 1.9 ")


# ---- listings


def item(name: str, uid: str, **headers: str) -> str:
    return ami("CoreShowChannel", ActionID="1", Channel=name, UniqueID=uid, **headers)


def listing(*items: str, announced: int | None = None) -> str:
    count = len(items) if announced is None else announced
    return "".join(items) + ami("CoreShowChannelsComplete", ActionID="1", ListItems=str(count))


def reconnected(*texts: str) -> Ami1Adapter:
    adapter = Ami1Adapter(TrackerRules())
    translated(*texts, adapter=adapter)
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
    adapter = Ami1Adapter(TrackerRules())
    helper = f"AsyncGoto/{TRUNK}"

    assert follows(listing(item(helper, "1.9")), adapter=adapter) == ["listed"]
    assert follows(hangup(helper, "1.9"), adapter=adapter) == []
    assert follows(A_CALL, hangup(TRUNK, "1.1"), listing(item(TRUNK, "1.1"))) == ["listed"], "just gone"


def test_who_is_listed_alone_is_linked_with_nobody() -> None:
    adapter = Ami1Adapter(TrackerRules())
    translated(A_CALL, TALKS_ANNA, listing(item(TRUNK, "1.1"), item(ANNA, "1.2")), adapter=adapter)

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
    adapter = Ami1Adapter(TrackerRules())
    translated(IN_QUEUE, listing(), between, listing(), adapter=adapter)

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


# ---- all of it


def test_only_events_that_are_read_are_wanted() -> None:
    assert {"Dial", "Bridge", "Unlink", "Rename", "Join", "CoreShowChannelsComplete"} <= WANTED_AMI1
    assert not {"RTCPSent", "Masquerade", "LocalBridge", "SoftHangupRequest"} & WANTED_AMI1
    assert Ami1Adapter(TrackerRules()).translate(Event((("Event", "Registry"),))) == ()


RECORDED = [name for name in NAMES if name.startswith(("asterisk1.8/", "asterisk11"))]


@functools.cache
def recorded(name: str) -> list[list[Event]]:
    """The events of each connection of a recording."""
    connections = []
    for path in transcripts_of(name):
        parser = MessageParser()
        for chunk in read_transcript(path.name, path.read_bytes()).chunks:
            if chunk.direction == "recv":
                parser.receive_data(chunk.data)
        events = []
        while (message := parser.next_message()) is not None:
            if isinstance(message, Event) and message.name in WANTED_AMI1:
                events.append(message)
        connections.append(events)
    return connections


def counted(found: list[ChannelEvent], kind: type[ChannelCreated | ChannelHungUp]) -> list[str]:
    return sorted(event.channel.uniqueid for event in found if isinstance(event, kind))


@pytest.mark.parametrize("name", RECORDED)
def test_who_is_created_hangs_up_once_and_nothing_is_kept(name: str) -> None:
    adapter = Ami1Adapter(TrackerRules())
    found = []
    for events in recorded(name):
        adapter.disconnected()
        found += [found for event in events for found in adapter.translate(event)]

    created, ended = counted(found, ChannelCreated), counted(found, ChannelHungUp)
    assert created
    assert len(set(created)) == len(created)
    assert len(set(ended)) == len(ended)
    if "session_lost" not in name:  # there some began or ended unseen
        assert created == ended
    assert not list(adapter._devices.live())
    assert not adapter._devices.links
    assert not adapter._dials._by_caller
    assert not adapter._dials._by_destination
    assert not adapter._callers._queued
    assert not adapter._callers._parted
    assert not adapter._callers._transferers
    assert not adapter._feature_codes._consultations
    assert not adapter._feature_codes._blind
    assert not adapter._feature_codes._sent_on
    assert not adapter._hangups._hanging_up


@given(data=st.data())
def test_lost_and_doubled_events_never_raise(data: st.DataObject) -> None:
    """And no channel is created, or hangs up, twice."""
    connections = recorded(data.draw(st.sampled_from(RECORDED)))
    adapter = Ami1Adapter(TrackerRules())
    found: list[ChannelEvent] = []
    for events in connections:
        copies = data.draw(st.lists(st.sampled_from([1, 1, 1, 0, 2]), min_size=len(events), max_size=len(events)))
        for event, count in zip(events, copies, strict=True):
            for _ in range(count):
                found += adapter.translate(event)
        adapter.disconnected()

    for kind in (ChannelCreated, ChannelHungUp):
        assert len(set(counted(found, kind))) == len(counted(found, kind))


@given(data=st.data())
def test_events_in_any_order_never_raise(data: st.DataObject) -> None:
    events = [event for events in recorded(data.draw(st.sampled_from(RECORDED))) for event in events]
    adapter = Ami1Adapter(TrackerRules())
    for event in data.draw(st.permutations(events)):
        adapter.translate(event)
