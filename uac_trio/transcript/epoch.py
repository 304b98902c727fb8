"""When a recorded connection began, from what it shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from uac_trio.transcript.chunk import Chunk

END = b"\r\n\r\n"
TIMESTAMP = re.compile(rb"\r\nTimestamp: (\d{9,10}\.\d{1,6})(?:\r\n|$)")
EVENT_TV = re.compile(rb"\r\nEventTV: ([-0-9T:.]{19,29}[+-]\d{4})(?:\r\n|$)")
UNIQUEID = re.compile(rb"\r\nUnique[iI][dD]: (?:[^\r\n]*-)?(\d{9,10})\.\d+(?:;2)?(?:\r\n|$)")
_LISTED_DURATION = re.compile(rb"\r\nDuration: (\d{2,6}):(\d\d):(\d\d)(?:\r\n|$)")
_EPOCH_NOTE = "epoch "
_CONTINUATION_NOTE = "continues "


def epoch_note(at: float) -> Chunk:
    """The first note of a recording: the time of ``t`` = 0 by the recorder's clock."""
    return Chunk(t=0.0, direction="note", data=f"{_EPOCH_NOTE}{at:.6f}".encode())


def continuation_note(file: str) -> Chunk:
    """The second note of a file that goes on with the connection in ``file``, without a byte between them."""
    return Chunk(t=0.0, direction="note", data=f"{_CONTINUATION_NOTE}{file}".encode())


def read_continuation(chunks: Iterable[Chunk]) -> str:
    """The file that these chunks go on with; "" = none."""
    for chunk in chunks:
        if chunk.direction != "note":
            return ""
        text = chunk.data.decode(errors="replace")
        if text.startswith(_CONTINUATION_NOTE):
            return text.removeprefix(_CONTINUATION_NOTE)
    return ""


def infer_epoch(chunks: Iterable[Chunk]) -> float | None:
    """The time of ``t`` = 0 in seconds since 1970, from the best source in the chunks; None if there is none.

    Best first: the recorder's own note; a ``Timestamp`` (``timestampevents=yes`` in manager.conf, or a Ping's answer);
    ``EventTV`` of a security event; the creation times in Uniqueids, with the durations of a listing, exact to 1 s.
    """
    noted: float | None = None
    timestamp: float | None = None
    event_tv: float | None = None
    created: float | None = None
    adopted: float | None = None
    rest = b""
    for chunk in chunks:
        if chunk.direction == "note" and noted is None:
            noted = _noted_epoch(chunk)
        if chunk.direction != "recv" or noted is not None or timestamp is not None:
            continue
        *blocks, rest = (rest + chunk.data).split(END)
        for block in map(without_blank_lines, blocks):
            if found := TIMESTAMP.search(block):
                timestamp = float(found[1]) - chunk.t
                break
            if event_tv is None and (given := time_in_event_tv(block)) is not None:
                event_tv = given - chunk.t
            # A channel's first event comes after its creation, so the largest difference is the closest estimate.
            if found := UNIQUEID.search(block):
                if block.startswith(b"Event: Newchannel\r\n"):
                    created = max(created or 0.0, int(found[1]) - chunk.t)
                else:
                    adopted = max(adopted or 0.0, int(found[1]) + _listed_duration(block) - chunk.t)
    return next((epoch for epoch in (noted, timestamp, event_tv, created, adopted) if epoch is not None), None)


def _listed_duration(block: bytes) -> int:
    """Seconds since a listed channel was created; 0 for any other message."""
    found = _LISTED_DURATION.search(block) if block.startswith(b"Event: CoreShowChannel\r\n") else None
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) if found else 0


def _noted_epoch(note: Chunk) -> float | None:
    found = re.fullmatch(rb"epoch (\d{9,10}(?:\.\d{1,9})?)", note.data)
    return float(found[1]) - note.t if found else None


def time_in_event_tv(block: bytes) -> float | None:
    found = EVENT_TV.search(block)
    try:
        return datetime.strptime(found[1].decode("ascii"), "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() if found else None
    except ValueError:
        return None


def without_blank_lines(block: bytes) -> bytes:
    """Blank lines between messages mean nothing."""
    return block.lstrip(b"\r\n")
