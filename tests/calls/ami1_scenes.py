"""AMI 1.x as text: what a server says, what follows from it in words, and scenes to begin with."""

from __future__ import annotations

from collections.abc import Iterable

from uac_trio.ami import Event, MessageParser
from uac_trio.calls.ami1 import Ami1Adapter
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


def adapter_after(*texts: str) -> Ami1Adapter:
    """The adapter of a server that has said this."""
    adapter = Ami1Adapter(TrackerRules())
    translated(*texts, adapter=adapter)
    return adapter


def follows(*texts: str, adapter: Ami1Adapter | None = None) -> list[str]:
    """In words, what follows for channels from the last text, after the others."""
    adapter = adapter or adapter_after()
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


# ---- scenes

NEWER = asked("SIP/109-ff", "1.99")
"""A server that shows who hangs up; Asterisk 1.8 does not."""

TRUNK, ANNA, BORIS, VERA = "SIP/trunk-01", "SIP/101-02", "SIP/102-03", "SIP/103-04"
A_CALL = called(TRUNK, "1.1")
RINGS_ANNA = made(ANNA, "1.2", "101") + dial(TRUNK, "1.1", ANNA, "1.2", "101") + state(ANNA, "1.2", 5)
RINGS_BORIS = made(BORIS, "1.3", "102") + dial(TRUNK, "1.1", BORIS, "1.3", "102") + state(BORIS, "1.3", 5)
TALKS_ANNA = RINGS_ANNA + state(ANNA, "1.2", 6) + link(TRUNK, "1.1", ANNA, "1.2")
PAIR = "Local/101@from-queue-0a"
INSIDE = made(ANNA, "1.7", "101") + dial(f"{PAIR};2", "1.6", ANNA, "1.7", "101")
OUTSIDE = dial(TRUNK, "1.1", f"{PAIR};1", "1.5", "101@from-queue/n")
IN_QUEUE = A_CALL + state(TRUNK, "1.1", 6) + joins(TRUNK, "1.1")
CALLS_ANNA = made(ANNA, "1.2", "101") + agent(TRUNK, "1.1", ANNA, "SIP/101")
RINGS_OUT = ami("AgentRingNoAnswer", Uniqueid="1.1", Member="SIP/101", Queue="support")


def rings(connected: str) -> list[str]:
    return [made(ANNA, "1.2", "101"), state(ANNA, "1.2", 5, "101", connected)]


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
FEATURE_BLIND = [
    A_CALL,
    TALKS_ANNA,
    unlink(TRUNK, "1.1", ANNA, "1.2"),
    variable(ANNA, "1.2", "BLINDTRANSFER", TRUNK),
    variable(TRUNK, "1.1", "BLINDTRANSFER", ANNA),
]
