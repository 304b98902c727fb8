"""Transcripts: files with the traffic of one AMI connection.

``NAME.jsonl``
    Timed. One JSON object per line, in order of time: ``{"t": 0.000619, "dir": "recv", "data": "Asterisk Call..."}``.
    ``t`` is seconds since the connection; ``dir`` is ``recv`` (one read of the socket, so its end is not the end of a
    message), ``send`` (from the client), ``note`` (for people) or ``eof``. Bytes that are not valid UTF-8 by themselves
    (a read may end within a character) are in ``b64`` instead of ``data``.
``NAME.ami``
    Every byte that the server sent, nothing else. Times are inferred from the content.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal, get_args

import attrs

Direction = Literal["recv", "send", "note", "eof"]
_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
_EPOCH_NOTE = "epoch "


class TranscriptError(Exception):
    """A transcript cannot be read. The text names the file, the line and what was expected there."""


@attrs.frozen(kw_only=True)
class Chunk:
    """Bytes in one direction at one time. ``t``: seconds since the connection began."""

    t: float
    direction: Direction
    data: bytes


@attrs.frozen(kw_only=True)
class Transcript:
    """One connection. ``epoch``: the time of ``t`` = 0 in seconds since 1970, None if unknown."""

    name: str
    chunks: tuple[Chunk, ...]
    epoch: float | None

    def at(self, chunk: Chunk) -> float:
        """The time of a chunk in seconds since 1970 (since the connection if ``epoch`` is unknown)."""
        return (self.epoch or 0.0) + chunk.t


def read_transcript(name: str, data: bytes) -> Transcript:
    """Read the bytes of a file. The format follows from the suffix of ``name``, otherwise from the first byte.

    Raises TranscriptError.
    """
    if not data.strip():
        raise TranscriptError(f"{name}: the file is empty; expected a transcript (.jsonl or .ami)")
    if name.endswith(".jsonl") or (not name.endswith(".ami") and data.startswith(b"{")):
        chunks = tuple(_read_lines(name, data))
        return Transcript(name=name, chunks=chunks, epoch=infer_epoch(chunks))
    return _read_raw(name, data)


# ---- timed


def format_chunk(chunk: Chunk) -> str:
    """One line of a ``.jsonl`` file, with its line end."""
    entry: dict[str, object] = {"t": round(chunk.t, 6), "dir": chunk.direction}
    try:
        entry["data"] = chunk.data.decode()
    except UnicodeDecodeError:
        entry["b64"] = base64.b64encode(chunk.data).decode("ascii")
    return json.dumps(entry, ensure_ascii=False) + "\n"


def epoch_note(at: float) -> Chunk:
    """The first note of a recording: the time of ``t`` = 0 by the recorder's clock."""
    return Chunk(t=0.0, direction="note", data=f"{_EPOCH_NOTE}{at:.6f}".encode())


def _read_lines(name: str, data: bytes) -> Iterator[Chunk]:
    lines = data.split(b"\n")
    before = 0.0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                raise TranscriptError(f"{where}: the last line is cut off after {len(line)} bytes") from error
            raise TranscriptError(f"{where}: not a JSON object: {_shown(error)}") from error
        chunk = _read_entry(where, entry)
        if chunk.t < before:
            raise TranscriptError(
                f"{where}: time goes back from {before} to {chunk.t}; one connection a file, in order"
            )
        before = chunk.t
        yield chunk


def _read_entry(where: str, entry: object) -> Chunk:
    if not isinstance(entry, dict):
        raise TranscriptError(f'{where}: expected an object {{"t", "dir", "data"}}, found {type(entry).__name__}')
    direction = entry.get("dir")
    if direction not in _DIRECTIONS:
        raise TranscriptError(f'{where}: "dir" must be one of {", ".join(_DIRECTIONS)}, found {_shown(direction)}')
    t = entry.get("t")
    if isinstance(t, bool) or not isinstance(t, int | float) or not 0 <= t < 1e9 or not math.isfinite(t):
        raise TranscriptError(f'{where}: "t" must be seconds since the connection, a number, found {_shown(t)}')
    return Chunk(t=float(t), direction=direction, data=_read_data(where, direction, entry))


def _read_data(where: str, direction: Direction, entry: dict[str, object]) -> bytes:
    if "b64" in entry:
        try:
            return base64.b64decode(str(entry["b64"]), validate=True)
        except (binascii.Error, ValueError) as error:
            raise TranscriptError(f'{where}: "b64" is not base64: {_shown(error)}') from error
    data = entry.get("data", "" if direction == "eof" else None)
    if not isinstance(data, str):
        raise TranscriptError(f'{where}: "data" must be text (or bytes in "b64"), found {_shown(data)}')
    try:
        return data.encode()
    except UnicodeEncodeError as error:
        raise TranscriptError(f'{where}: "data" has half of a surrogate pair; give such bytes in "b64"') from error


def _shown(value: object) -> str:
    text = "nothing" if value is None else str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# ---- the clock

_END = b"\r\n\r\n"
_TIMESTAMP = re.compile(rb"\r\nTimestamp: (\d{9,10}\.\d{1,6})(?:\r\n|$)")
_EVENT_TV = re.compile(rb"\r\nEventTV: ([-0-9T:.]{19,29}[+-]\d{4})(?:\r\n|$)")
_SENT_NTP = re.compile(rb"\r\nSentNTP: (\d{9,10}\.\d{1,6})(?:\r\n|$)")
_UNIQUEID = re.compile(rb"\r\nUnique[iI][dD]: (?:[^\r\n]*-)?(\d{9,10})\.\d+(?:;2)?(?:\r\n|$)")
_LISTED_DURATION = re.compile(rb"\r\nDuration: (\d{2,6}):(\d\d):(\d\d)(?:\r\n|$)")
_CDR_START = re.compile(rb"\r\nStartTime: ([-0-9]{10} [0-9:]{8})(?:\r\n|$)")
_CDR_END = re.compile(rb"\r\nEndTime: ([-0-9]{10} [0-9:]{8})(?:\r\n|$)")


def infer_epoch(chunks: Iterable[Chunk]) -> float | None:
    """The time of ``t`` = 0 in seconds since 1970, from the best source in the chunks; None if there is none.

    Best first: the recorder's own note; a ``Timestamp`` (``timestampevents=yes`` in manager.conf, or a Ping's answer);
    ``EventTV`` of a security event; the creation times in Uniqueids, with the durations of a listing, exact to 1 s.
    """
    seen, data = [], []
    for chunk in chunks:
        if chunk.direction == "recv":
            seen.append(chunk)
            data.append(chunk.data)
        elif chunk.direction == "note" and (noted := _noted_epoch(chunk)) is not None:
            return noted
    ends = []
    end = 0
    for chunk in seen:
        end += len(chunk.data)
        ends.append(end)
    timestamp: float | None = None
    event_tv: float | None = None
    created: float | None = None
    adopted: float | None = None
    for block, offset in _blocks(b"".join(data)):
        t = seen[bisect_left(ends, offset)].t
        if timestamp is None and (found := _TIMESTAMP.search(block)):
            timestamp = float(found[1]) - t
        if event_tv is None and (given := _event_tv(block)) is not None:
            event_tv = given - t
        # A channel's first event comes after its creation, so the largest difference is the closest estimate.
        if found := _UNIQUEID.search(block):
            if block.startswith(b"Event: Newchannel\r\n"):
                created = max(created or 0.0, int(found[1]) - t)
            else:
                adopted = max(adopted or 0.0, int(found[1]) + _listed_duration(block) - t)
    return next((epoch for epoch in (timestamp, event_tv, created, adopted) if epoch is not None), None)


def _listed_duration(block: bytes) -> int:
    """Seconds since a listed channel was created; 0 for any other message."""
    found = _LISTED_DURATION.search(block) if block.startswith(b"Event: CoreShowChannel\r\n") else None
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) if found else 0


def _noted_epoch(note: Chunk) -> float | None:
    found = re.fullmatch(rb"epoch (\d{9,10}(?:\.\d{1,9})?)", note.data)
    return float(found[1]) - note.t if found else None


def _blocks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Each complete message, without leading blank lines, and the offset of its end in ``data``."""
    offset = 0
    for block in data.split(_END)[:-1]:
        offset += len(block) + len(_END)
        yield block.lstrip(b"\r\n"), offset


def _event_tv(block: bytes) -> float | None:
    found = _EVENT_TV.search(block)
    try:
        return datetime.strptime(found[1].decode("ascii"), "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() if found else None
    except ValueError:
        return None


# ---- raw

_EVENT = re.compile(rb"Event: (\w+)(?:\r\n|$)")
_CHANNEL = re.compile(rb"\r\n(?:Dest)?Uniqueid: ([^\r\n]+)\r\n(?:Dest)?Linkedid: ([^\r\n]+)")
_VARIABLE = re.compile(rb"\r\nVariable: (\w+)\r\nValue: (\d*)(?:\r\n|$)")
_ANSWERED = re.compile(rb"\r\nDestChannel: ([^\r\n]+)\r\n(?:.*\r\n)?DialStatus: ANSWER(?:\r\n|$)", re.DOTALL)
_CDR_ANSWER = re.compile(rb"\r\nAnswerTime: ([-0-9]{10} [0-9:]{8})(?:\r\n|$)")
_CDR_DIALLED = re.compile(rb"\r\nDestinationChannel: ([^\r\n]+)")
_CDR_UNIQUEID = re.compile(rb"\r\nUniqueID: ([^\r\n]+)")
_GOING_ON = {b"Newchannel", b"DialBegin", b"BridgeEnter", b"Hold", b"Unhold"}
_ENDING = {b"HangupRequest", b"SoftHangupRequest", b"BridgeLeave", b"DialEnd", b"QueueCallerAbandon", b"Hangup"}


def _read_raw(name: str, data: bytes) -> Transcript:
    """One chunk per message. Its time is the latest that this or an earlier message has; ``epoch`` is the first."""
    blocks = data.split(_END)
    clock = _RawClock.of(blocks)
    times = clock.times(blocks)
    epoch = next((time for time in times if time is not None), None)
    chunks = []
    for block, time in zip(blocks, times, strict=True):
        t = 0.0 if time is None or epoch is None else time - epoch
        chunks.append(Chunk(t=t, direction="recv", data=block + _END))
    last = chunks.pop()
    if blocks[-1]:
        chunks.append(attrs.evolve(last, data=blocks[-1]))
    return Transcript(name=name, chunks=tuple(chunks), epoch=epoch)


@attrs.define
class _RawClock:
    """Times that a server sends only afterwards, collected in advance.

    Dial() and Queue() clear DIALEDTIME_MS when they begin. When they end, they set ANSWEREDTIME_MS, the milliseconds of
    talk, and then DIALEDTIME_MS, those of the whole (apps/app_dial.c). A Cdr has whole seconds in the server's own time
    zone. Both belong to the first message in a run of messages about the end of a call.
    """

    since: dict[int, tuple[int, float]] = attrs.field(factory=dict)
    """Message -> an earlier message and the seconds since that one."""
    answered: dict[bytes, float] = attrs.field(factory=dict)
    """Dialled channel -> seconds since 1970."""
    ended: dict[int, float] = attrs.field(factory=dict)
    """Message -> seconds since 1970."""
    _begun: dict[bytes, int] = attrs.field(factory=dict)
    _answers: dict[bytes, int] = attrs.field(factory=dict)
    _talks: dict[bytes, float] = attrs.field(factory=dict)
    _linked: dict[bytes, bytes] = attrs.field(factory=dict)
    _endings: dict[bytes, int] = attrs.field(factory=dict)

    @classmethod
    def of(cls, blocks: list[bytes]) -> _RawClock:
        clock = cls()
        zone = next((offset for offset in map(_zone_offset, blocks) if offset is not None), None)
        for index, block in enumerate(blocks):
            event = _name(block)
            if event == b"Cdr" and zone is not None:
                clock._cdr(block, zone)
            elif event and (found := _CHANNEL.search(block)):
                clock._event(index, event, block, found[1], found[2])
        return clock

    def _event(self, index: int, event: bytes, block: bytes, uniqueid: bytes, linkedid: bytes) -> None:
        self._linked[uniqueid] = linkedid
        if event == b"VarSet" and (given := _VARIABLE.search(block)):
            self._variable(index, uniqueid, given[1], given[2])
        elif event == b"DialEnd" and _ANSWERED.search(block):
            self._answers[uniqueid] = index
            self._endings.pop(linkedid, None)
        elif event in _GOING_ON:
            self._endings.pop(linkedid, None)
        elif event in _ENDING:
            self._endings.setdefault(linkedid, index)

    def _variable(self, index: int, uniqueid: bytes, name: bytes, milliseconds: bytes) -> None:
        if name == b"ANSWEREDTIME_MS":
            self._talks[uniqueid] = int(milliseconds or b"0") / 1000
        elif name == b"DIALEDTIME_MS" and not milliseconds:
            self._begun[uniqueid] = index
            self._answers.pop(uniqueid, None)
        elif name == b"DIALEDTIME_MS" and uniqueid in self._begun:
            begun, seconds = self._begun[uniqueid], int(milliseconds) / 1000
            self.since[self._endings.get(self._linked[uniqueid], index)] = begun, seconds
            if uniqueid in self._answers:
                self.since[self._answers[uniqueid]] = begun, seconds - self._talks.get(uniqueid, 0.0)

    def _cdr(self, block: bytes, zone: float) -> None:
        answer, end = _local(_CDR_ANSWER, block), _local(_CDR_END, block)
        if answer is not None and (dialled := _CDR_DIALLED.search(block)):
            self.answered.setdefault(dialled[1], answer + zone)
        uniqueid = _CDR_UNIQUEID.search(block)
        ending = self._endings.get(self._linked.get(uniqueid[1], b"")) if uniqueid else None
        if end is not None and ending is not None:
            self.ended[ending] = max(end + zone, self.ended.get(ending, 0.0))

    def times(self, blocks: list[bytes]) -> list[float | None]:
        """The time of each message, as far as known; never decreasing."""
        times: list[float | None] = []
        now: float | None = None
        for index, block in enumerate(blocks):
            given = self._given_time(index, block, times)
            if given is not None and (now is None or given > now):
                now = given
            times.append(now)
        return times

    def _given_time(self, index: int, block: bytes, times: list[float | None]) -> float | None:
        if found := _TIMESTAMP.search(block) or _SENT_NTP.search(block):
            return float(found[1])
        if (given := _event_tv(block)) is not None:
            return given
        if index in self.since:
            start, seconds = self.since[index]
            began = times[start]
            return None if began is None else began + seconds
        if index in self.ended:
            return self.ended[index]
        if found := _ANSWERED.search(block):
            return self.answered.get(found[1])
        if _name(block) == b"Newchannel" and (found := _UNIQUEID.search(block)):
            return float(found[1])
        return None


def _name(block: bytes) -> bytes:
    found = _EVENT.match(block.lstrip(b"\r\n"))
    return found[1] if found else b""


def _local(pattern: re.Pattern[bytes], block: bytes) -> float | None:
    """A Cdr's time as if its zone were UTC."""
    found = pattern.search(block)
    try:
        stamp = datetime.strptime(found[1].decode("ascii"), "%Y-%m-%d %H:%M:%S") if found else None  # noqa: DTZ007
    except ValueError:
        return None
    return None if stamp is None else stamp.replace(tzinfo=UTC).timestamp()


def _zone_offset(block: bytes) -> float | None:
    """Seconds from a Cdr's local times to those since 1970: a Cdr starts when its channel is created."""
    if _name(block) != b"Cdr":
        return None
    start, made = _local(_CDR_START, block), _UNIQUEID.search(block)
    if start is None or made is None:
        return None
    return round((int(made[1]) - start) / 900) * 900.0  # offsets from UTC are multiples of 15 minutes
