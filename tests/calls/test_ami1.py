"""AMI 1.x in the words of channel events: recordings, Cdrs, and what holds for all events."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls.ami1_scenes import (
    A_CALL,
    ANNA,
    ATTENDED,
    CONSULTS,
    OUTSIDE,
    PAIR,
    RINGS_ANNA,
    SECOND,
    TRUNK,
    adapter_after,
    agent,
    ami,
    asked,
    called,
    dial,
    follows,
    hangup,
    joins,
    leaves,
    local,
    masquerade,
    state,
    step,
    translated,
    variable,
)
from tests.calls.streams import connections
from tests.recorded import NAMES
from uac_trio.ami import Event
from uac_trio.calls.ami1 import WANTED_AMI1
from uac_trio.calls.ami1_devices import MAX_ENDED
from uac_trio.calls.channel_events import CdrWritten, ChannelCreated, ChannelEvent, ChannelHungUp

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
    shown = {"Disposition": "ANSWERED", "BillableSeconds": "7", "LastData": "SIP/101,15", "Linkedid": "1.0"}
    (written,) = translated(cdr(TRUNK, "1.1", recordingfile="b.wav", recordingpath="/a.wav", **shown))

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
    adapter = adapter_after()
    for number in range(MAX_ENDED + 2):
        translated(
            called(f"SIP/trunk-{number}", f"1.{number}") + hangup(f"SIP/trunk-{number}", f"1.{number}"), adapter=adapter
        )

    assert len(adapter._devices._by_name) == MAX_ENDED
    assert follows(cdr("SIP/trunk-1", "9.9"), adapter=adapter)[0].startswith("cdr 9.9 ")
    assert follows(cdr("SIP/trunk-9", "9.9"), adapter=adapter)[0].startswith("cdr 1.9 ")


# ---- all of it


def test_an_event_of_who_is_gone_is_none() -> None:
    gone = [A_CALL, RINGS_ANNA, hangup(ANNA, "1.2"), hangup(TRUNK, "1.1")]
    late = [
        state(TRUNK, "1.1", 6), ami("NewCallerid", Channel=TRUNK, Uniqueid="1.1"), asked(TRUNK, "1.1"),
        hangup(TRUNK, "1.1"), dial(TRUNK, "1.1", ANNA, "1.2", "101"), agent(TRUNK, "1.1", ANNA, "SIP/101"),
        ami("Pickup", Channel=TRUNK, TargetChannel=ANNA), ATTENDED, joins(TRUNK, "1.1"), leaves(TRUNK, "1.1"),
        ami("ConfbridgeJoin", Channel=TRUNK, Uniqueid="1.1", Conference="600"),
        ami("Hold", Channel=TRUNK, Uniqueid="1.1", Status="On"),
    ]  # fmt: skip

    adapter = adapter_after(*gone)
    for text in late:
        assert follows(text, adapter=adapter) == []
    assert not adapter._dials._by_caller
    assert not adapter._callers._queued


def test_only_events_that_are_read_are_wanted() -> None:
    assert {"Dial", "Bridge", "Unlink", "Rename", "Join", "CoreShowChannelsComplete"} <= WANTED_AMI1
    assert not {"RTCPSent", "Masquerade", "LocalBridge", "SoftHangupRequest"} & WANTED_AMI1
    assert adapter_after().translate(Event((("Event", "Registry"),))) == ()


RECORDED = [name for name in NAMES if name.startswith(("asterisk1.8/", "asterisk11"))]


@functools.cache
def recorded(name: str) -> list[list[Event]]:
    """Of each connection of a recording, the events that the adapter reads."""
    return [[event for _, event in events if event.name in WANTED_AMI1] for events in connections(name)]


def counted(found: list[ChannelEvent], kind: type[ChannelCreated | ChannelHungUp]) -> list[str]:
    return sorted(event.channel.uniqueid for event in found if isinstance(event, kind))


@pytest.mark.parametrize("name", RECORDED)
def test_who_is_created_hangs_up_once_and_nothing_is_kept(name: str) -> None:
    adapter = adapter_after()
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
    adapter = adapter_after()
    found: list[ChannelEvent] = []
    for events in recorded(data.draw(st.sampled_from(RECORDED))):
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
    adapter = adapter_after()
    for event in data.draw(st.permutations(events)):
        adapter.translate(event)
