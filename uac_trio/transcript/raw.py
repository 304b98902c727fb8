"""Raw transcripts, ``.ami``: what a server sent. Their times are inferred from the content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import attrs

from uac_trio.transcript.chunk import Chunk, Source, Transcript, split
from uac_trio.transcript.epoch import END, TIMESTAMP, UNIQUEID, time_in_event_tv, without_blank_lines

MOST = 65536
"""Bytes of a chunk; messages of one time are one chunk up to there."""

_CHANNEL = re.compile(rb"\r\n(?:Dest)?Uniqueid: ([^\r\n]+)\r\n(?:Dest)?Linkedid: ([^\r\n]+)")
_VARIABLE = re.compile(rb"\r\nVariable: (\w+)\r\nValue: (\d*)(?:\r\n|$)")
_SENT_NTP = re.compile(rb"\r\nSentNTP: (\d{9,10}\.\d{1,6})(?:\r\n|$)")
_ANSWERED = re.compile(rb"\r\nDestChannel: ([^\r\n]+)\r\n(?:.*\r\n)?DialStatus: ANSWER(?:\r\n|$)", re.DOTALL)
_CDR_START = re.compile(rb"\r\nStartTime: ([-0-9]{10} [0-9:]{8})(?:\r\n|$)")
_CDR_ANSWER = re.compile(rb"\r\nAnswerTime: ([-0-9]{10} [0-9:]{8})(?:\r\n|$)")
_CDR_END = re.compile(rb"\r\nEndTime: ([-0-9]{10} [0-9:]{8})(?:\r\n|$)")
_CDR_DIALLED = re.compile(rb"\r\nDestinationChannel: ([^\r\n]+)")
_CDR_UNIQUEID = re.compile(rb"\r\nUniqueID: ([^\r\n]+)")

_GOING_ON = frozenset({b"Newchannel", b"DialBegin", b"BridgeEnter", b"Hold", b"Unhold"})
_ENDING = frozenset(
    {b"HangupRequest", b"SoftHangupRequest", b"BridgeLeave", b"DialEnd", b"QueueCallerAbandon", b"Hangup"}
)
_OF_CALLS = _GOING_ON | _ENDING

_STAMPS_WITHIN = 256
"""Bytes from the begin of a message within which its Timestamp or EventTV is: they follow Event and Privilege
(main/manager.c, ``__manager_event``; main/security_events.c), or Response, ActionID and Ping."""


def read_raw(name: str, source: Source) -> Transcript:
    """Chunks are messages of the same time. ``epoch`` is the time of the first message that has one."""
    clock = _RawClock()
    clock.read(source)
    epoch = next((time for _, time in clock.timed(source) if time is not None), None)
    return Transcript(name=name, chunks=_RawChunks(source, clock, epoch), epoch=epoch)


@attrs.frozen
class _RawChunks:
    source: Source
    clock: _RawClock
    epoch: float | None

    def __iter__(self) -> Iterator[Chunk]:
        t, blocks, length = 0.0, list[bytes](), 0
        for block, time in self.clock.timed(self.source):
            block_t = 0.0 if time is None or self.epoch is None else time - self.epoch
            if blocks and (block_t != t or length > MOST):
                yield Chunk(t=t, direction="recv", data=END.join([*blocks, b""]))
                blocks.clear()
                length = 0
            t = block_t
            blocks.append(block)
            length += len(block)
        if rest := END.join(blocks):  # the last message has no end
            yield Chunk(t=t, direction="recv", data=rest)


@attrs.define
class _RawClock:
    """Times that a server sends only afterwards, collected in advance.

    Dial() and Queue() clear DIALEDTIME_MS when they begin. When they end, they set ANSWEREDTIME_MS, the milliseconds of
    talk, and then DIALEDTIME_MS, those of the whole (apps/app_dial.c). A Cdr has whole seconds in the server's own time
    zone. Both belong to the first message in a run of messages about the end of a call.

    Messages are named by their index.
    """

    since: dict[int, tuple[int, float]] = attrs.field(factory=dict)
    """Message -> an earlier message and the seconds since that one."""
    answered: dict[bytes, float] = attrs.field(factory=dict)
    """Dialled channel -> seconds since 1970."""
    ended: dict[int, float] = attrs.field(factory=dict)
    """Message -> seconds since 1970."""
    _zone: float | None = None
    """Seconds from a Cdr's times to those since 1970."""
    _begun: dict[bytes, int] = attrs.field(factory=dict)
    _answers: dict[bytes, int] = attrs.field(factory=dict)
    _talks: dict[bytes, float] = attrs.field(factory=dict)
    _linked: dict[bytes, bytes] = attrs.field(factory=dict)
    _endings: dict[bytes, int] = attrs.field(factory=dict)

    # -- in advance --------------------------------------------------------------------------------------------------

    def read(self, source: Source) -> None:
        """Look at all messages."""
        for index, block in enumerate(split(source(), END)):
            event = _name(block)
            if event == b"Cdr":
                self._cdr(block)
                continue
            is_of_calls = event in _OF_CALLS or (event == b"VarSet" and b"EDTIME_MS\r\n" in block)
            if is_of_calls and (found := _CHANNEL.search(block)):
                self._event(index, event, block, found[1], found[2])

    def _event(self, index: int, event: bytes, block: bytes, uniqueid: bytes, linkedid: bytes) -> None:
        self._linked[uniqueid] = linkedid
        if event == b"VarSet":
            if given := _VARIABLE.search(block):
                self._variable(index, uniqueid, given[1], given[2])
        elif event == b"DialEnd" and _ANSWERED.search(block):
            self._answers[uniqueid] = index
            self._endings.pop(linkedid, None)
        elif event in _GOING_ON:
            self._endings.pop(linkedid, None)
        else:
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

    def _cdr(self, block: bytes) -> None:
        if self._zone is None:
            self._zone = _zone_offset(block)
        if self._zone is None:
            return
        answer, end = _local(_CDR_ANSWER, block), _local(_CDR_END, block)
        if answer is not None and (dialled := _CDR_DIALLED.search(block)):
            self.answered.setdefault(dialled[1], answer + self._zone)
        uniqueid = _CDR_UNIQUEID.search(block)
        ending = self._endings.get(self._linked.get(uniqueid[1], b"")) if uniqueid else None
        if end is not None and ending is not None:
            self.ended[ending] = max(end + self._zone, self.ended.get(ending, 0.0))

    # -- times -------------------------------------------------------------------------------------------------------

    def timed(self, source: Source) -> Iterator[tuple[bytes, float | None]]:
        """Each message and its time, the latest that this or an earlier one has; None before the first known time."""
        starts: dict[int, float | None] = dict.fromkeys(start for start, _ in self.since.values())
        now: float | None = None
        for index, block in enumerate(split(source(), END)):
            given = self._given_time(index, block, starts)
            if given is not None and (now is None or given > now):
                now = given
            if index in starts:
                starts[index] = now
            yield block, now

    def _given_time(self, index: int, block: bytes, starts: dict[int, float | None]) -> float | None:
        if block.find(b"\r\nTimestamp: ", 0, _STAMPS_WITHIN) >= 0 and (found := TIMESTAMP.search(block)):
            return float(found[1])
        event = _name(block)
        if event[:4] == b"RTCP" and (found := _SENT_NTP.search(block)):
            return float(found[1])
        if block.find(b"\r\nEventTV: ", 0, _STAMPS_WITHIN) >= 0 and (given := time_in_event_tv(block)) is not None:
            return given
        if index in self.since:
            start, seconds = self.since[index]
            began = starts[start]
            return None if began is None else began + seconds
        if index in self.ended:
            return self.ended[index]
        if event == b"DialEnd" and (found := _ANSWERED.search(block)):
            return self.answered.get(found[1])
        if event == b"Newchannel" and (found := UNIQUEID.search(block)):
            return float(found[1])
        return None


def _name(block: bytes) -> bytes:
    """Of an event."""
    if block[:2] == b"\r\n":
        block = without_blank_lines(block)
    if block[:7] != b"Event: ":
        return b""
    end = block.find(b"\r\n")
    return block[7:end] if end > 0 else block[7:]


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
    start, made = _local(_CDR_START, block), UNIQUEID.search(block)
    if start is None or made is None:
        return None
    return round((int(made[1]) - start) / 900) * 900.0  # offsets from UTC are multiples of 15 minutes
