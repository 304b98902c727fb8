"""Recorded calls, replayed as new ones."""

from __future__ import annotations

import re

import pytest

from uac_trio.ami.message import Event
from uac_trio.demo.recording import Rewriter, encoded, read_recording, shipped_recordings
from uac_trio.transcript import TranscriptError

NAMES = sorted(shipped_recordings())


def event(**headers: str) -> Event:
    return Event((("Event", "Newstate"), *headers.items()))


REWRITER = Rewriter(epoch=1_795_413_713, shift=1000, serial=3)


@pytest.mark.parametrize(
    ("name", "recorded", "rewritten"),
    [
        ("Uniqueid", "1795413713.7", "1795414713.3007"),
        ("Channel", "PJSIP/101-0000000a", "PJSIP/101-0000300a"),
        ("DestChannel", "Local/101@from-internal-0000000a;2", "Local/101@from-internal-0000300a;2"),
        ("BridgeUniqueid", "0f0e0d0c-1111-2222-3333-444455556666", "0f0e0d0f-1111-2222-3333-444455556666"),
        ("BridgeUniqueid", "", ""),
        ("Timestamp", "1795413713.250000", "1795414713.250000"),
        ("StartTime", "2026-11-23 06:01:53", "2026-11-23 06:18:33"),
        ("StartTime", "2026-02-31 06:01:53", "2026-02-31 06:01:53"),
        ("StartTime", "1999-11-23 06:01:53", "1999-11-23 06:01:53"),
        ("recordingpath", "/m/20261123-060153-+79161234567-1795413713.7.wav",
         "/m/20261123-061833-+79161234567-1795414713.3007.wav"),
        ("CallerIDNum", "+79161234567", "+79161234567"),
        ("CallerIDName", "9161234567.12 a-0000000a", "9161234567.12 a-0000000a"),
    ],
)  # fmt: skip
def test_what_makes_a_call_unique_is_moved(name: str, recorded: str, rewritten: str) -> None:
    """Ids, serials and times move together; numbers and names that merely look alike stay."""
    assert REWRITER.event(event(**{name: recorded})).get(name) == rewritten


def test_only_events_of_calls_are_read() -> None:
    """Banner, responses, answers to actions and what the login caused are no part of the call."""
    lines = [
        '{"t":0,"dir":"recv","data":"Asterisk Call Manager/11.0.0\\r\\n"}',
        '{"t":0,"dir":"send","data":"Action: Login\\r\\n\\r\\n"}',
        '{"t":1,"dir":"recv","data":"Response: Success\\r\\n\\r\\nEvent: FullyBooted\\r\\n\\r\\nEvent: Newch"}',
        '{"t":2,"dir":"recv","b64":"YW5uZWwNClVuaXF1ZWlkOiAxNzk1NDEzNzEzLjANCg0K"}',
        '{"t":3,"dir":"recv","data":"Event: CoreShowChannel\\r\\nActionID: 1\\r\\n\\r\\n"}',
        '{"t":4,"dir":"eof"}',
    ]
    recording = read_recording("x.jsonl", "\n".join(lines).encode())
    assert recording.name == "x"
    assert [(timed.at, timed.event.name) for timed in recording.events] == [(2.0, "Newchannel")]
    assert (recording.epoch, recording.began, recording.seconds) == (1_795_413_713, 2.0, 0.0)


def test_a_transcript_without_events_is_refused() -> None:
    """A recording that would play nothing is an error that names it."""
    with pytest.raises(TranscriptError, match=r"quiet\.jsonl: there is no event"):
        read_recording("quiet.jsonl", b'{"t":0,"dir":"note","data":"no one called"}')


@pytest.mark.parametrize("name", NAMES)
def test_shipped_recordings_are_whole_calls(name: str) -> None:
    """Each has its truth, hangs up every channel it makes, and holds nothing of another time once it is rewritten."""
    recording = shipped_recordings()[name]
    assert recording.calls
    made = {t.event.get("Uniqueid") for t in recording.events if t.event.name == "Newchannel"}
    ended = {t.event.get("Uniqueid") for t in recording.events if t.event.name == "Hangup"}
    assert made == ended
    rewriter = Rewriter(epoch=recording.epoch, shift=86_400 * 30, serial=1)
    text = b"".join(encoded(rewriter.event(timed.event)) for timed in recording.events).decode()
    assert re.search(r"\b20261123|2026-11-23|\b17954[01]", text) is None
    assert re.search(r"\blab\b", text.lower()) is None


def test_shipped_recordings_are_small() -> None:
    """There are ten of them, with at least six customers between them and less than 40 s of calls."""
    recordings = shipped_recordings().values()
    assert len(recordings) == 10
    assert len({call["customer"] for recording in recordings for call in recording.calls}) >= 6
    assert sum(recording.seconds for recording in recordings) < 40
