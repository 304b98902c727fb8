"""Raw transcripts, ``.ami``: what a server sent. Their times are inferred from the content."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from heapq import merge
from operator import itemgetter
from typing import ClassVar

import attrs

from uac_trio.transcript.chunk import Chunk, Source, Transcript, split
from uac_trio.transcript.epoch import END, TIMESTAMP, UNIQUEID, time_in_event_tv, without_blank_lines

_CHANNEL = re.compile(rb"\r\n(?:Dest)?Uniqueid: ([^\r\n]+)\r\n(?:Dest)?Linkedid: ([^\r\n]+)")
_VARIABLE = re.compile(rb"\r\nVariable: (\w+)\r\nValue: (\d*)(?:\r\n|$)")
_SENT_NTP = re.compile(rb"\r\nSentNTP: (\d{9,10}\.\d{1,6})(?:\r\n|$)")
_ANSWERED = re.compile(rb"\r\nDestChannel: ([^\r\n]+)\r\n(?:.*\r\n)?DialStatus: ANSWER(?:\r\n|$)", re.DOTALL)
_CDR_START = re.compile(rb"\r\nStartTime: ([-0-9]{10} [0-9:]{8})(?:\r\n|$)")
_CDR_ANSWER = re.compile(rb"\r\nAnswerTime: ([-0-9]{10} [0-9:]{8})(?:\r\n|$)")
_CDR_END = re.compile(rb"\r\nEndTime: ([-0-9]{10} [0-9:]{8})(?:\r\n|$)")
_CDR_DIALLED = re.compile(rb"\r\nDestinationChannel: ([^\r\n]+)")
_CDR_UNIQUEID = re.compile(rb"\r\nUniqueID: ([^\r\n]+)")

_STAMPS_WITHIN = 256
"""Bytes from the begin of a message within which its Timestamp is: it follows Event and Privilege (main/manager.c,
``__manager_event``), or Response, ActionID and Ping."""


def read_raw(name: str, source: Source) -> Transcript:
    """Chunks are of one time each. ``epoch`` is the time of the first message that has one."""
    clock = _RawClock()
    clock.read(source)
    times = clock.times()
    return Transcript(name=name, chunks=_RawChunks(source, times), epoch=times.at[0] if times.at else None)


@attrs.frozen
class _Times:
    """Where in a file it becomes later. Arrays: a server with timestampevents writes a time into each message."""

    offsets: array[int] = attrs.field(factory=lambda: array("q"))
    """Of the first byte,"""
    at: array[float] = attrs.field(factory=lambda: array("d"))
    """and from there on it is so late: seconds since 1970."""

    def add(self, offset: int, at: float) -> None:
        self.offsets.append(offset)
        self.at.append(at)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.offsets, self.at, strict=True)


@attrs.frozen
class _RawChunks:
    source: Source
    times: _Times

    def __iter__(self) -> Iterator[Chunk]:
        times = iter(self.times)
        epoch = self.times.at[0] if self.times.at else 0.0
        begin, t, coming = 0, 0.0, next(times, None)
        for piece in self.source():
            end = begin + len(piece)
            at = begin
            while coming is not None and coming[0] < end:
                offset, later = coming
                if offset > at:
                    yield Chunk(t=t, direction="recv", data=piece[at - begin : offset - begin])
                at, t, coming = offset, later - epoch, next(times, None)
            if end > at:
                yield Chunk(t=t, direction="recv", data=piece[at - begin :])
            begin = end


@attrs.define
class _RawClock:
    """The times of messages. Some of them a server sends only afterwards.

    Dial() and Queue() clear DIALEDTIME_MS when they begin. When they end, they set ANSWEREDTIME_MS, the milliseconds of
    talk, and then DIALEDTIME_MS, those of the whole (apps/app_dial.c). A Cdr has whole seconds in the server's own time
    zone. Both belong to the first message in a run of messages about the end of a call.

    A message is known by the offset of its first byte. All times are seconds since 1970.
    """

    _stamps: _Times = attrs.field(factory=_Times, init=False)
    """Of messages that have their own time."""
    _since: dict[int, tuple[int, float]] = attrs.field(factory=dict, init=False)
    """Message -> an earlier message and the seconds since that one."""
    _ended: dict[int, float] = attrs.field(factory=dict, init=False)
    _answered: dict[int, bytes] = attrs.field(factory=dict, init=False)
    """Message -> the dialled channel that it shows answered."""
    _answered_at: dict[bytes, float] = attrs.field(factory=dict, init=False)
    """By dialled channel."""
    _created: dict[int, float] = attrs.field(factory=dict, init=False)

    _zone: float | None = attrs.field(default=None, init=False)
    """Seconds from a Cdr's times to those since 1970."""
    _begun: dict[bytes, int] = attrs.field(factory=dict, init=False)
    """By Uniqueid: where its dial began."""
    _answers: dict[bytes, int] = attrs.field(factory=dict, init=False)
    _talks: dict[bytes, float] = attrs.field(factory=dict, init=False)
    _linked: dict[bytes, bytes] = attrs.field(factory=dict, init=False)
    """By Uniqueid: its Linkedid."""
    _endings: dict[bytes, int] = attrs.field(factory=dict, init=False)
    """By Linkedid: the first message about the end."""

    # -- what messages show ------------------------------------------------------------------------------------------

    def read(self, source: Source) -> None:
        """Look at all messages."""
        offset, readers = 0, self._READERS
        for block in split(source(), END):
            if block.find(b"\r\nTimestamp: ", 0, _STAMPS_WITHIN) >= 0 and (found := TIMESTAMP.search(block)):
                self._stamp(offset, float(found[1]))
            event = block if block[:2] != b"\r\n" else without_blank_lines(block)
            reader = readers.get(event[: event.find(b"\r\n")])
            if reader is not None:
                reader(self, offset, block)
            elif b"\r\nEventTV: " in block and (given := time_in_event_tv(block)) is not None:
                self._stamp(offset, given)
            offset += len(block) + len(END)

    def _stamp(self, offset: int, at: float) -> None:
        if not self._stamps.offsets or self._stamps.offsets[-1] != offset:
            self._stamps.add(offset, at)

    def _rtcp(self, offset: int, block: bytes) -> None:
        if found := _SENT_NTP.search(block):
            self._stamp(offset, float(found[1]))

    def _newchannel(self, offset: int, block: bytes) -> None:
        if found := UNIQUEID.search(block):
            self._created[offset] = float(found[1])
        self._goes_on(offset, block)

    def _goes_on(self, offset: int, block: bytes) -> None:
        if found := _CHANNEL.search(block):
            self._linked[found[1]] = found[2]
            self._endings.pop(found[2], None)

    def _ends(self, offset: int, block: bytes) -> None:
        if found := _CHANNEL.search(block):
            self._linked[found[1]] = found[2]
            self._endings.setdefault(found[2], offset)

    def _dial_end(self, offset: int, block: bytes) -> None:
        answered = _ANSWERED.search(block)
        if answered is None:
            self._ends(offset, block)
            return
        self._answered[offset] = answered[1]
        self._goes_on(offset, block)
        if found := _CHANNEL.search(block):
            self._answers[found[1]] = offset

    def _var_set(self, offset: int, block: bytes) -> None:
        if b"EDTIME_MS\r\n" not in block:
            return
        found, given = _CHANNEL.search(block), _VARIABLE.search(block)
        if found is None or given is None:
            return
        uniqueid, name, milliseconds = found[1], given[1], given[2]
        self._linked[uniqueid] = found[2]
        if name == b"ANSWEREDTIME_MS":
            self._talks[uniqueid] = int(milliseconds or b"0") / 1000
        elif name == b"DIALEDTIME_MS" and not milliseconds:
            self._begun[uniqueid] = offset
            self._answers.pop(uniqueid, None)
        elif name == b"DIALEDTIME_MS" and uniqueid in self._begun:
            begun, seconds = self._begun[uniqueid], int(milliseconds) / 1000
            self._since[self._endings.get(found[2], offset)] = begun, seconds
            if uniqueid in self._answers:
                self._since[self._answers[uniqueid]] = begun, seconds - self._talks.get(uniqueid, 0.0)

    def _cdr(self, _: int, block: bytes) -> None:
        if self._zone is None:
            self._zone = _zone_offset(block)
        if self._zone is None:
            return
        answer, end = _local(_CDR_ANSWER, block), _local(_CDR_END, block)
        if answer is not None and (dialled := _CDR_DIALLED.search(block)):
            self._answered_at.setdefault(dialled[1], answer + self._zone)
        uniqueid = _CDR_UNIQUEID.search(block)
        ending = self._endings.get(self._linked.get(uniqueid[1], b"")) if uniqueid else None
        if end is not None and ending is not None:
            self._ended[ending] = max(end + self._zone, self._ended.get(ending, 0.0))

    _READERS: ClassVar[Mapping[bytes, Callable[..., None]]] = {
        b"Event: VarSet": _var_set,
        b"Event: Cdr": _cdr,
        b"Event: DialEnd": _dial_end,
        b"Event: RTCPSent": _rtcp,
        b"Event: RTCPReceived": _rtcp,
        **dict.fromkeys((b"Event: DialBegin", b"Event: BridgeEnter", b"Event: Hold", b"Event: Unhold"), _goes_on),
        **dict.fromkeys((b"Event: HangupRequest", b"Event: SoftHangupRequest", b"Event: BridgeLeave"), _ends),
        **dict.fromkeys((b"Event: QueueCallerAbandon", b"Event: Hangup"), _ends),
        b"Event: Newchannel": _newchannel,
    }
    """By the first line of the message."""

    # -- times -------------------------------------------------------------------------------------------------------

    def times(self) -> _Times:
        """A message's time is the latest that it or an earlier one has."""
        begun = {start: None for start, _ in self._since.values()}
        shown = sorted({*self._since, *self._ended, *self._answered, *self._created, *begun})
        starts: dict[int, float | None] = {}
        times, now, done = _Times(), -math.inf, -1
        for offset, stamp in merge(self._stamps, ((offset, None) for offset in shown), key=itemgetter(0)):
            if offset != done:  # else its own stamp came first
                at = self._shown_time(offset, starts) if stamp is None else stamp
                if at is not None and at > now:
                    times.add(offset, at)
                    now = at
                done = offset
            if offset in begun:
                starts[offset] = now if times.at else None
        return times

    def _shown_time(self, offset: int, starts: Mapping[int, float | None]) -> float | None:
        """Of a message that does not have its own."""
        if offset in self._since:
            start, seconds = self._since[offset]
            began = starts[start]
            return None if began is None else began + seconds
        if offset in self._ended:
            return self._ended[offset]
        if offset in self._answered:
            return self._answered_at.get(self._answered[offset])
        return self._created.get(offset)


def _local(pattern: re.Pattern[bytes], block: bytes) -> float | None:
    """A Cdr's time as if its zone were UTC."""
    found = pattern.search(block)
    try:
        stamp = datetime.fromisoformat(found[1].decode("ascii")) if found else None
    except ValueError:
        return None
    return None if stamp is None else stamp.replace(tzinfo=UTC).timestamp()


def _zone_offset(block: bytes) -> float | None:
    """Seconds from a Cdr's local times to those since 1970: a Cdr starts when its channel is created."""
    start, made = _local(_CDR_START, block), UNIQUEID.search(block)
    if start is None or made is None:
        return None
    return round((int(made[1]) - start) / 900) * 900.0  # offsets from UTC are multiples of 15 minutes
