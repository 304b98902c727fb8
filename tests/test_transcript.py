"""Transcripts: read, written, timed, and made anonymous."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.transcript import (
    Chunk,
    Direction,
    Transcript,
    TranscriptError,
    epoch_note,
    format_chunk,
    infer_epoch,
    open_transcript,
    read_transcript,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ami_transcripts"
EPOCH = 1_795_413_713.25


def recv(data: str | bytes, t: float = 0.0) -> Chunk:
    return Chunk(t=t, direction="recv", data=data.encode() if isinstance(data, str) else data)


def block(*lines: str) -> str:
    return "".join(f"{line}\r\n" for line in lines) + "\r\n"


def first(transcript: Transcript) -> bytes:
    return next(iter(transcript.chunks)).data


def messages_of(transcript: Transcript) -> list[tuple[float, str]]:
    """Each message with its time, of a raw transcript."""
    found = []
    for chunk in transcript.chunks:
        messages = chunk.data.decode().split("\r\n\r\n")
        found += [(chunk.t, f"{message}\r\n\r\n") for message in messages[:-1]]
        found += [(chunk.t, message) for message in messages[-1:] if message]
    return found


def received(chunks: Iterable[Chunk], direction: Direction = "recv") -> bytes:
    return b"".join(chunk.data for chunk in chunks if chunk.direction == direction)


# ---- timed files


def test_a_timed_transcript() -> None:
    """Lines become chunks with their times; bytes that are no text come out of base64; blank lines mean nothing."""
    transcript = read_transcript(
        "x.jsonl",
        b'{"t": 0, "dir": "recv", "data": "Asterisk\\r\\n"}\n'
        b"\r\n"
        b'{"t": 0.5, "dir": "send", "data": "\xd0\x98"}\n'
        b'{"t": 0.5, "dir": "recv", "b64": "0A=="}\n'
        b'{"t": 1.25, "dir": "note", "data": "101 rings"}\n'
        b'{"t": 2, "dir": "eof"}',
    )

    assert transcript.name == "x.jsonl"
    assert transcript.epoch is None
    chunks = tuple(transcript.chunks)
    assert chunks == (
        Chunk(t=0.0, direction="recv", data=b"Asterisk\r\n"),
        Chunk(t=0.5, direction="send", data="И".encode()),
        Chunk(t=0.5, direction="recv", data=b"\xd0"),
        Chunk(t=1.25, direction="note", data=b"101 rings"),
        Chunk(t=2.0, direction="eof", data=b""),
    )
    assert transcript.at(chunks[3]) == 1.25


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.sampled_from(["recv", "send", "note", "eof"]), st.binary(max_size=20)),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_written_is_read(entries: list[tuple[int, Direction, bytes]]) -> None:
    """Any bytes at any times come back as they were, to the microsecond."""
    chunks = [Chunk(t=t / 1e6, direction=direction, data=data) for t, direction, data in sorted(entries)]

    text = "".join(map(format_chunk, chunks))

    assert list(read_transcript("x", text.encode()).chunks) == chunks
    assert text.count("\n") == len(chunks)


GOOD = b'{"t": 0, "dir": "recv", "data": "x"}\n'


def test_a_file_whose_last_line_is_cut_off() -> None:
    """A killed recorder leaves half a line: what is before it is read, with a note."""
    transcript = read_transcript("x.jsonl", GOOD + b'{"t": 1, "dir": "re')
    assert [chunk.data for chunk in transcript.chunks] == [b"x"]
    assert transcript.cut == "the last line is cut off after 19 bytes; the lines before it are read"


# ---- compressed files

ZSTD = b"\x28\xb5\x2f\xfd" + b"\x00" * 8


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress], ids=["gzip", "xz", "bzip2"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.ami"])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_compressed_file(pack: Callable[[bytes], bytes], name: str, size: int) -> None:
    """It is read as what is in it, in pieces of any size, of one member or of several."""
    data = (GOOD if name == "x.jsonl" else block("Event: A").encode()) * 3
    packed = pack(data) + pack(data)
    plain = read_transcript(name, data + data)
    for named in (name, name + ".gz"):
        transcript = open_transcript(named, lambda: (packed[at : at + size] for at in range(0, len(packed), size)))
        assert received(transcript.chunks) == received(plain.chunks)
        assert transcript.cut == ""


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress], ids=["gzip", "xz", "bzip2"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.ami"])
def test_a_compressed_file_that_is_cut_off(pack: Callable[[bytes], bytes], name: str) -> None:
    """What was written before is read, and the end is noted."""
    line = GOOD if name == "x.jsonl" else block("Event: A").encode()
    packed = pack(line) + pack(line * 3)[:-9]
    transcript = read_transcript(name, packed)
    assert received(transcript.chunks).startswith(received(read_transcript(name, line).chunks))
    assert transcript.cut.endswith(
        "the program that wrote it was killed, or writes it still; what is before that is read"
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "x.jsonl: damaged gzip after 0 bytes of its content: "),
        (gzip.compress(GOOD, mtime=0)[:-8] + b"12345678", "x.jsonl: damaged gzip after 0 bytes of its content: "),
        (ZSTD, "x.jsonl: compressed with zstd; unpack it first: zstd -d x.jsonl"),
        (gzip.compress(b"", mtime=0), "x.jsonl: the file is empty"),
    ],
    ids=["header", "checksum", "zstd", "nothing"],
)
def test_a_damaged_compressed_file(data: bytes, words: str) -> None:
    """The fault is reported with the file, the format and the place."""
    with pytest.raises(TranscriptError) as caught:
        read_transcript("x.jsonl", data)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "x.jsonl: the file is empty"),
        (b"\n \n", "x.jsonl: the file is empty"),
        (GOOD + b"{]\n", "x.jsonl:2: not a JSON object: "),
        (b'{"t": 1, "dir": "re', "x.jsonl:1: not a JSON object"),
        (GOOD + b"\xff\xfe\n", "x.jsonl:2: not a JSON object"),
        (GOOD + b"[" * 100_000 + b"\n", "x.jsonl:2: not a JSON object"),
        (GOOD + b'{"t": ' + b"9" * 5000 + b"}\n", "x.jsonl:2: not a JSON object"),
        (b"[]\n", 'x.jsonl:1: expected an object {"t", "dir", "data"}, found list'),
        (b"1\n", "found int"),
        (b'{"dir": "recv", "data": "x"}\n', '"t" must be seconds since the connection, a number, found nothing'),
        (b'{"t": "1", "dir": "recv", "data": "x"}\n', "found '1'"),
        (b'{"t": true, "dir": "recv", "data": "x"}\n', "found True"),
        (b'{"t": -1, "dir": "recv", "data": "x"}\n', "found -1"),
        (b'{"t": NaN, "dir": "recv", "data": "x"}\n', "found nan"),
        (b'{"t": 1e999, "dir": "recv", "data": "x"}\n', "found inf"),
        (b'{"t": 1' + b"0" * 400 + b', "dir": "recv", "data": "x"}\n', "found 1000"),
        (b'{"t": 0, "data": "x"}\n', '"dir" must be one of recv, send, note, eof, found nothing'),
        (b'{"t": 0, "dir": ["recv"], "data": "x"}\n', "found ['recv']"),
        (b'{"t": 0, "dir": "up", "data": "' + b"x" * 200 + b'"}\n', "found 'up'"),
        (b'{"t": 0, "dir": "recv"}\n', '"data" must be text (or bytes in "b64"), found nothing'),
        (b'{"t": 0, "dir": "recv", "data": [1]}\n', "found [1]"),
        (b'{"t": 0, "dir": "recv", "data": "\\ud800"}\n', "half of a surrogate pair"),
        (b'{"t": 0, "dir": "recv", "b64": "?"}\n', '"b64" is not base64'),
        (b'{"t": 0, "dir": "recv", "b64": 7}\n', '"b64" is not base64'),
        (b'{"t": 0, "dir": "recv", "b64": "\xd0\x98"}\n', '"b64" is not base64'),
        (
            b'{"t": 2, "dir": "recv", "data": "x"}\n' + GOOD,
            "x.jsonl:2: time goes back from 2.0 to 0.0; one connection a file, in order",
        ),
    ],
)
def test_what_cannot_be_read(data: bytes, words: str) -> None:
    """Each fault is reported with the file, the line and what was expected."""
    with pytest.raises(TranscriptError) as caught:
        read_transcript("x.jsonl", data)

    assert words in str(caught.value)
    assert len(str(caught.value)) < 250


def test_the_name_decides_the_form() -> None:
    """An ending decides; without one, the first byte."""
    assert first(read_transcript("x", GOOD)) == b"x"
    assert first(read_transcript("x.ami", GOOD)) == GOOD
    assert first(read_transcript("x", b"Asterisk\r\n")) == b"Asterisk\r\n"


# ---- the clock

NEWCHANNEL = block("Event: Newchannel", "Channel: PJSIP/101-00000001", "Uniqueid: 1795413718.0", "Linkedid: 1.1")
SECURITY = block("Event: SuccessfulAuth", "EventTV: 2026-11-23T06:01:53.250+0000", "SessionTV: x")
STAMPED = block("Event: Hangup", "Timestamp: 1795413719.250000", "Uniqueid: 1795413700.0")


@pytest.mark.parametrize(
    ("chunks", "epoch"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([recv("Asterisk\r\n" + block("Event: FullyBooted", "Uptime: 12"))], None, id="no time at all"),
        pytest.param([recv(SECURITY, 0.0), recv(NEWCHANNEL, 5.0), recv(STAMPED, 6.0)], EPOCH, id="Timestamp"),
        pytest.param(
            [recv(block("Response: Success", "Ping: Pong", "Timestamp: 1795413714.250000"), 1.0), recv(STAMPED, 9.0)],
            EPOCH,
            id="the answer to a ping, the first of two",
        ),
        pytest.param([recv(NEWCHANNEL, 5.0), recv(SECURITY, 0.0)], EPOCH, id="EventTV"),
        pytest.param(
            [recv(block("Event: ChallengeSent", "EventTV: 2026-99-23T06:01:53.250+0000")), recv(NEWCHANNEL, 5.0)],
            1_795_413_713.0,
            id="an EventTV that is none",
        ),
        pytest.param(
            [recv(NEWCHANNEL, 5.9), recv(NEWCHANNEL, 5.1), recv(NEWCHANNEL, 7.0)], 1_795_413_712.9, id="Newchannel"
        ),
        pytest.param(
            [recv(block("Event: Hangup", "Uniqueid: pbx-1795413000.7;2"), 1.0), recv(NEWCHANNEL, 5.0)],
            1_795_413_713.0,
            id="Newchannel before others",
        ),
        pytest.param([recv(block("Event: Cdr", "UniqueID: 1795413714.0"), 1.0)], 1_795_413_713.0, id="any Uniqueid"),
        pytest.param(
            [recv(block("Event: CoreShowChannel", "UniqueID: 1795413700.0", "Duration: 00:00:15"), 2.0)],
            1_795_413_713.0,
            id="a listed channel's age",
        ),
        pytest.param([recv(block("Event: Newchannel", "Uniqueid: crm-0001"), 1.0)], None, id="a ChannelId"),
        pytest.param([epoch_note(EPOCH), recv(STAMPED, 50.0)], EPOCH, id="the recorder's note"),
        pytest.param(
            [Chunk(t=0.0, direction="note", data=b"epoch of steam"), recv(STAMPED, 6.0)], EPOCH, id="another note"
        ),
        pytest.param([Chunk(t=0.0, direction="send", data=STAMPED.encode())], None, id="what we said"),
        pytest.param([recv(STAMPED[:30], 1.0), recv(STAMPED[30:], 6.0)], EPOCH, id="cut by a read"),
        pytest.param([recv(STAMPED[:-1], 6.0)], None, id="not ended"),
    ],
)
def test_epoch(chunks: list[Chunk], epoch: float | None) -> None:
    """The best clock in a transcript gives the time when it began."""
    found = infer_epoch(chunks)

    assert found == (None if epoch is None else pytest.approx(epoch, abs=1e-5))


@pytest.mark.parametrize("server", ["asterisk16", "asterisk22"])
@pytest.mark.parametrize("scenario", ["inbound_answered", "click2call_answered"])
def test_epoch_of_real_transcripts(server: str, scenario: str) -> None:
    """What is inferred is what the recorder's clock showed, and the raw form gives the same to a second."""
    path = FIXTURES / server / scenario
    began = json.loads(path.with_suffix(".expect.json").read_bytes())["started_at"]
    timed = read_transcript("x.jsonl", path.with_suffix(".jsonl").read_bytes())
    raw = read_transcript("x.ami", received(timed.chunks))

    assert timed.epoch == pytest.approx(began, abs=0.05)
    assert received(raw.chunks) == received(timed.chunks)
    assert raw.epoch == pytest.approx(began, abs=1)
    assert raw.at(list(raw.chunks)[-1]) == pytest.approx(timed.at(list(timed.chunks)[-1]), abs=2)


# ---- raw files


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


def test_chunks_are_values() -> None:
    """A chunk cannot be changed once it is read."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        recv("x").t = 1.0  # type: ignore[misc]
