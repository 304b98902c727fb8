"""Chunks and messages of transcripts, for tests of how they are read."""

from __future__ import annotations

from collections.abc import Iterable

from uac_trio.transcript import Chunk, Direction, Transcript

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


NEWCHANNEL = block("Event: Newchannel", "Channel: PJSIP/101-00000001", "Uniqueid: 1795413718.0", "Linkedid: 1.1")
SECURITY = block("Event: SuccessfulAuth", "EventTV: 2026-11-23T06:01:53.250+0000", "SessionTV: x")
STAMPED = block("Event: Hangup", "Timestamp: 1795413719.250000", "Uniqueid: 1795413700.0")
