"""Raw files (.ami): bytes without times, which messages state."""

from __future__ import annotations

import pytest

from tests.transcript.chunks import EPOCH, NEWCHANNEL, SECURITY, STAMPED, block, messages_of
from uac_trio.transcript import read_transcript


def test_a_raw_transcript() -> None:
    """Each message has the latest time stated so far; before the first, that one; time never goes back."""
    messages = [
        "Asterisk\r\n" + block("Response: Success"),
        SECURITY,
        block("Event: Hangup", "Uniqueid: 1795413000.1"),
        "\r\n" + NEWCHANNEL,
        block("Event: RTCPSent", "SentNTP: 1795413719.500000"),
        STAMPED,
        block("Event: Other"),
        "Event: cut of",
    ]
    transcript = read_transcript("x.ami", "".join(messages).encode())

    assert transcript.epoch == EPOCH
    assert messages_of(transcript) == list(zip([0.0, 0.0, 0.0, 4.75, 6.25, 6.25, 6.25, 6.25], messages, strict=True))


def event(name: str, channel: str, *lines: str, linked: str = "1795413718.0") -> str:
    return block(f"Event: {name}", f"Channel: {channel}", f"Uniqueid: {channel}", f"Linkedid: {linked}", *lines)


def variable(name: str, value: str, channel: str = "1795413718.0") -> str:
    return event("VarSet", channel, f"Variable: {name}", f"Value: {value}")


def cdr(start: str = "2026-11-23 09:01:58", answer: str = "", end: str = "", uniqueid: str = "1795413718.0") -> str:
    times = [f"StartTime: {start}", f"AnswerTime: {answer}", f"EndTime: {end}"]
    return block("Event: Cdr", "DestinationChannel: PJSIP/101", *times, f"UniqueID: {uniqueid}")


DIAL_END = event("DialEnd", "1795413718.0", "DestChannel: PJSIP/101", "DestUniqueid: x", "DialStatus: ANSWER")
CALL = [
    event("Newchannel", "1795413718.0"),
    DIAL_END,
    event("BridgeEnter", "1795413718.0"),
    event("HangupRequest", "x"),
    event("BridgeLeave", "1795413718.0"),
]


@pytest.mark.parametrize(
    ("late", "times"),
    [
        pytest.param([cdr(answer="2026-11-23 09:02:00", end="2026-11-23 09:02:08")], [0, 2, 2, 10, 10, 10], id="Cdr"),
        pytest.param(
            [cdr("2026-11-23 11:46:57", "2026-11-23 11:47:00", "2026-11-23 11:47:08")],
            [0, 2, 2, 10, 10, 10],
            id="another zone, a second apart",
        ),
        pytest.param(
            [cdr(end="2026-11-23 09:02:08"), cdr(end="2026-11-23 09:02:04")], [0, 0, 0, 10, 10, 10, 10], id="no answer"
        ),
        pytest.param([cdr("", "", "2026-11-23 09:02:08")], [0] * 6, id="no start"),
        pytest.param([cdr("2026-99-23 09:01:58", "", "2026-11-23 09:02:08")], [0] * 6, id="no date"),
        pytest.param([cdr()], [0] * 6, id="no end"),
        pytest.param([cdr(end="2026-11-23 09:02:08", uniqueid="crm-1")], [0] * 6, id="no channel's creation"),
        pytest.param(
            [cdr(), cdr(end="2026-11-23 09:02:08", uniqueid="1795413799.0")], [0] * 7, id="a channel not heard of"
        ),
        pytest.param(
            [cdr(), block("Event: Cdr", "EndTime: 2026-11-23 09:02:08", "AnswerTime: 2026-11-23 09:02:00")],
            [0] * 7,
            id="half a Cdr",
        ),
        pytest.param(
            [variable("ANSWEREDTIME_MS", "3003"), variable("DIALEDTIME_MS", "4563")], [0] * 7, id="never begun"
        ),
    ],
)
def test_times_stated_afterwards(late: list[str], times: list[float]) -> None:
    """A Cdr states the times of an answer and of an end that lie before it, in the server's own zone."""
    transcript = read_transcript("x.ami", "".join(CALL + late).encode())

    assert [t for t, _ in messages_of(transcript)] == times


@pytest.mark.parametrize(
    ("messages", "late", "times"),
    [
        (
            CALL[1:],
            [variable("ANSWEREDTIME_MS", "3003"), variable("DIALEDTIME_MS", "4563")],
            [1.56, 1.56, 4.563, 4.563],
        ),
        (CALL[3:], [variable("DIALEDTIME_MS", "4563")], [4.563, 4.563]),
        (CALL[2:3], [variable("DIALEDTIME_MS", "4563")], [0.0]),
    ],
)
def test_times_of_a_dial(messages: list[str], late: list[str], times: list[float]) -> None:
    """What Dial() says of its times when it is over goes to the answer and to the end, to the millisecond."""
    begin = [CALL[0], variable("DIALEDTIME_MS", "")]
    transcript = read_transcript("x.ami", "".join(begin + messages + late).encode())
    end = max(times[-1], 4.563 if late else 0.0)

    expected = [0.0, 0.0, *times, *([times[-1]] * (len(late) - 1)), end]
    assert [t for t, _ in messages_of(transcript)] == pytest.approx(expected, abs=1e-6)


def test_times_of_a_dial_at_no_known_time() -> None:
    """Seconds after an unknown moment give no time."""
    begin = variable("DIALEDTIME_MS", "", "crm-1")
    transcript = read_transcript("x.ami", (begin + variable("DIALEDTIME_MS", "4563", "crm-1")).encode())

    assert transcript.epoch is None


def test_a_raw_transcript_without_times() -> None:
    """Without any time in it, all of a transcript is at once."""
    transcript = read_transcript("x.ami", b"Asterisk\r\n" + block("Event: FullyBooted").encode())

    assert transcript.epoch is None
    assert [transcript.at(chunk) for chunk in transcript.chunks] == [0.0]
