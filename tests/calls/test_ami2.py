"""AMI 2 and later to channel events: one row to each event."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls.scenes import event
from uac_trio.calls.ami2 import MARKS_AMI2, WANTED_AMI2, Ami2Adapter, duration, view
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
    DialProgressed,
    HangupRequested,
    HoldChanged,
    ListedChannel,
    ListingUnusable,
    OriginateEnded,
    Parked,
    PickedUp,
    QueueJoined,
    QueueLeft,
    RecordingStarted,
    ServerBooted,
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.rules import TrackerRules

HEADERS: Any = ("a", "b")
ONE, OTHER = ChannelView("1.1", "PJSIP/101-01"), ChannelView("1.2", "PJSIP/102-02")


def shown(prefix: str = "", of: ChannelView = ONE) -> dict[str, str]:
    return {f"{prefix}Uniqueid": of.uniqueid, f"{prefix}Channel": of.name}


def translated(name: str, **headers: str) -> list[ChannelEvent]:
    return list(Ami2Adapter(TrackerRules()).translate(event(name, **headers)))


def test_a_whole_channel() -> None:
    """Every header of the snapshot; what Asterisk has not is empty, backslashes of a name are undone."""
    headers = {
        "Uniqueid": "1.1", "Channel": "PJSIP/101-01", "Linkedid": "1.0", "ChannelState": "6", "CallerIDNum": "101",
        "CallerIDName": r"A\tb", "ConnectedLineNum": "<unknown>", "Context": "office", "Exten": "s", "Tenantid": "acme",
    }  # fmt: skip
    assert view(event("Newchannel", **headers)) == ChannelView(
        "1.1", "PJSIP/101-01", "1.0", 6, "101", "A\tb", "", "office", "s", "acme"
    )
    assert view(event("Newchannel", ChannelState="Up")).state is None
    assert view(event("Newchannel", ChannelState="100")).state is None


ROWS: list[tuple[str, dict[str, str], ChannelEvent]] = [
    ("Newchannel", shown(), ChannelCreated(event="Newchannel", channel=ONE)),
    ("Newstate", shown(), ChannelChanged(event="Newstate", channel=ONE)),
    ("NewCallerid", shown(), ChannelChanged(event="NewCallerid", channel=ONE)),
    ("Rename", {"Uniqueid": "1.1", "Newname": "x"}, ChannelRenamed(event="Rename", uniqueid="1.1", name="x")),
    ("HangupRequest", shown(), HangupRequested(event="HangupRequest", channel=ONE)),
    (
        "Hangup", {**shown(), "Cause": "17", "TechCause": "486"},
        ChannelHungUp(event="Hangup", channel=ONE, cause=17, tech_cause="486"),
    ),
    ("Hangup", shown(), ChannelHungUp(event="Hangup", channel=ONE)),
    ("Hold", shown(), HoldChanged(event="Hold", channel=ONE, is_held=True)),
    ("Unhold", shown(), HoldChanged(event="Unhold", channel=ONE, is_held=False)),
    (
        "DialBegin", {**shown(), **shown("Dest", OTHER), "DialString": "102"},
        DialBegan(event="DialBegin", dialled=OTHER, caller=ONE, dial_string="102"),
    ),
    ("DialBegin", shown("Dest"), DialBegan(event="DialBegin", dialled=ONE)),
    ("DialState", {**shown("Dest"), "DialStatus": "RINGING"}, DialProgressed(event="DialState", dialled=ONE)),
    ("DialState", {**shown("Dest"), "DialStatus": "PROGRESS"}, DialProgressed(event="DialState", dialled=ONE)),
    (
        "DialEnd", {**shown(), **shown("Dest", OTHER), "DialStatus": "busy:x"},
        DialEnded(event="DialEnd BUSY", dialled=OTHER, caller=ONE, status="BUSY"),
    ),
    (
        "DialEnd", {**shown("Dest"), "DialStatus": "CANCEL", "Forward": "103@office"},
        DialEnded(event="DialEnd FORWARDED", dialled=ONE, status="FORWARDED"),
    ),
    (
        "OriginateResponse",
        {"Uniqueid": "1.1", "Channel": "PJSIP/101", "Exten": "495", "Response": "Failure", "Reason": "3"},
        OriginateEnded(
            event="OriginateResponse", uniqueid="1.1", asked="PJSIP/101", exten="495", is_success=False, reason=3
        ),
    ),
    (
        "OriginateResponse", {"Uniqueid": "<unknown>", "Channel": "PJSIP/101", "Exten": "s", "Response": "Success"},
        OriginateEnded(event="OriginateResponse", uniqueid="", asked="PJSIP/101", exten="", is_success=True),
    ),
    (
        "BridgeEnter", {**shown(), "BridgeUniqueid": "b", "BridgeType": "basic", "SwapUniqueid": "1.9"},
        BridgeEntered(event="BridgeEnter", channel=ONE, bridge="b", bridge_type="basic", swapped="1.9"),
    ),
    ("BridgeLeave", {**shown(), "BridgeUniqueid": "b"}, BridgeLeft(event="BridgeLeave", channel=ONE, bridge="b")),
    (
        "BlindTransfer",
        {**shown("Transferer"), **shown("Transferee", OTHER), "Extension": "103", "Result": "Success"},
        BlindTransferred(event="BlindTransfer", transferer=ONE, transferee=OTHER, to="103"),
    ),
    (
        "AttendedTransfer", {**shown("OrigTransferer"), **shown("TransferTarget", OTHER), "Result": "Success"},
        AttendedTransferred(event="AttendedTransfer", first=ONE, target=OTHER),
    ),
    (
        "AttendedTransfer",
        {**shown("OrigTransferer"), **shown("SecondTransferer", OTHER), **shown("Transferee"), "Result": "Success"},
        AttendedTransferred(event="AttendedTransfer", first=ONE, second=OTHER, transferee=ONE),
    ),
    ("Pickup", {**shown(), **shown("Target", OTHER)}, PickedUp(event="Pickup", picker=ONE, target=OTHER)),
    (
        "ParkedCall", {**shown("Parkee"), "ParkerDialString": "PJSIP/101"},
        Parked(event="ParkedCall", parkee=ONE, parker="PJSIP/101"),
    ),
    (
        "UnParkedCall", {**shown("Parkee"), **shown("Retriever", OTHER)},
        Unparked(event="UnParkedCall", parkee=ONE, retriever=OTHER),
    ),
    (
        "QueueCallerJoin", {**shown(), "Queue": "sales", "Position": "2"},
        QueueJoined(event="QueueCallerJoin", channel=ONE, queue="sales", position="2"),
    ),
    ("QueueCallerLeave", shown(), QueueLeft(event="QueueCallerLeave", channel=ONE)),
    (
        "Cdr",
        {
            "UniqueID": "1.1", "Linkedid": "1.0", "DestinationChannel": "x", "LastApplication": "Queue",
            "LastData": "sales", "Disposition": "ANSWERED", "BillableSeconds": "7", "recordingfile": "a.wav",
        },
        CdrWritten(
            event="Cdr", uniqueid="1.1", linkedid="1.0", destination="x", application="Queue", data="sales",
            is_answered=True, billable_secs=7, recording="a.wav",
        ),
    ),
    ("Cdr", {"UniqueID": "1.1", "Disposition": "NO ANSWER"}, CdrWritten(event="Cdr", uniqueid="1.1")),
    ("Newexten", {**shown(), "Application": "VoiceMail"}, VoicemailStarted(event="Newexten VoiceMail", channel=ONE)),
    (
        "VarSet", {**shown(), "Variable": "MIXMONITOR_FILENAME", "Value": "/a.wav"},
        RecordingStarted(event="VarSet MIXMONITOR_FILENAME", channel=ONE, path="/a.wav"),
    ),
    ("FullyBooted", {"Uptime": "12"}, ServerBooted(event="FullyBooted", uptime=12)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "headers", "expected"), ROWS)
def test_an_event(name: str, headers: dict[str, str], expected: ChannelEvent) -> None:
    """What it means, as a value."""
    assert translated(name, **headers) == [expected]


def test_every_event_has_a_row() -> None:
    """But for the listing, which has tests of its own."""
    assert {name for name, *_ in ROWS} == WANTED_AMI2 - {"CoreShowChannel", "CoreShowChannelsComplete"}
    assert set(MARKS_AMI2) <= WANTED_AMI2


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("DialState", {"DialStatus": "PROCEEDING"}),
        ("BlindTransfer", {"Result": "Fail"}),
        ("AttendedTransfer", {"Result": "Fail"}),
        ("ParkedCall", {"ActionID": "1"}),
        ("Newexten", {"Application": "Dial"}),
        ("VarSet", {"Variable": "FOO", "Value": "x"}),
        ("VarSet", {"Variable": "MIXMONITOR_FILENAME", "Value": ""}),
        ("FullyBooted", {}),
        ("RTCPSent", {}),
    ],
)
def test_what_means_nothing(name: str, headers: dict[str, str]) -> None:
    """A transfer that failed, an item of a list, another application or variable, an event of no call."""
    assert translated(name, **headers) == []


def test_the_header_of_the_recording() -> None:
    """The first of the mapped headers that has one."""
    adapter = Ami2Adapter(TrackerRules(recording_headers=HEADERS))
    (cdr,) = adapter.translate(event("Cdr", UniqueID="1.1", b="b.wav", recordingfile="c.wav"))
    assert isinstance(cdr, CdrWritten)
    assert cdr.recording == "b.wav"


def listed(adapter: Ami2Adapter, action: str = "x", **headers: Any) -> None:
    item = event("CoreShowChannel", ActionID=action, **shown(), **headers)
    assert list(adapter.translate(item)) == []


def complete(adapter: Ami2Adapter, action: str = "x", **headers: str) -> ChannelEvent:
    (made,) = adapter.translate(event("CoreShowChannelsComplete", ActionID=action, **headers))
    return made


def test_a_listing() -> None:
    """Given out whole; two at once are kept apart."""
    adapter = Ami2Adapter(TrackerRules())
    listed(adapter, Duration="01:00:05", BridgeId="b", Application="AppDial")
    listed(adapter, "y")
    item = ListedChannel(view=ONE, duration=3605.0, bridge="b", application="AppDial")
    assert complete(adapter, ListItems="1") == ChannelsListed(event="list of channels", channels=(item,))
    assert complete(adapter, ListItems="0") == ChannelsListed(event="list of channels", channels=())
    assert complete(adapter, "y") == ChannelsListed(event="list of channels", channels=(ListedChannel(view=ONE),))


def test_an_incomplete_listing() -> None:
    """It says of itself that items are missing."""
    adapter = Ami2Adapter(TrackerRules())
    listed(adapter)
    assert complete(adapter, ListItems="2") == ListingUnusable(
        event="CoreShowChannelsComplete", announced="2", listed=1
    )


def test_a_listing_that_was_cut() -> None:
    """It goes with its connection."""
    adapter = Ami2Adapter(TrackerRules())
    listed(adapter)
    adapter.disconnected()
    assert complete(adapter) == ChannelsListed(event="list of channels", channels=())


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00:00", 0.0), ("00:01:02", 62.0), ("123:00:01", 442801.0), ("", 0.0), ("x:y:5", 5.0)]
)
def test_duration(text: str, seconds: float) -> None:
    """Hours may exceed 99."""
    assert duration(text) == seconds
