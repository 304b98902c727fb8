"""A recorded call as timed AMI events that can be replayed as a new call.

A replay has the structure of the recording. Only the parts that make a call unique are rewritten, consistently: epochs
and serial numbers of ``Uniqueid``, serials of channel names, ids of bridges, and all times.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

import attrs

from uac_trio.ami.message import Event, Message
from uac_trio.ami.parser import MessageParser
from uac_trio.transcript import TranscriptError, read_transcript

SESSION_EVENTS = frozenset({"FullyBooted", "SuccessfulAuth", "ChallengeSent", "ChallengeResponseFailed"})
"""Events of the recorded AMI session itself; a replay happens in another session."""

_SECONDS_A_DAY = 86_400
_UNIQUEID = re.compile(r"\b(\d{10})\.(\d+)\b")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b")
_FILE_TIME = re.compile(r"\b\d{8}-\d{6}\b")
_CHANNEL_SERIAL = re.compile(r"-([0-9a-f]{8})(?=$|[;<\s])")


@attrs.frozen(kw_only=True)
class TimedEvent:
    at: float
    """Seconds since the recording's connection."""
    event: Event


@attrs.frozen(kw_only=True)
class Recording:
    """``calls`` is the ground truth: the actions of the people at the phones, entries of an ``expect.json``."""

    name: str
    events: tuple[TimedEvent, ...]
    calls: tuple[Mapping[str, Any], ...] = ()

    @property
    def began(self) -> float:
        return self.events[0].at

    @property
    def seconds(self) -> float:
        return self.events[-1].at - self.events[0].at

    @property
    def epoch(self) -> int:
        """When the recorded PBX made its first channel, seconds since the epoch."""
        found = (_UNIQUEID.search(value) for timed in self.events for _, value in timed.event.headers)
        return min(int(match.group(1)) for match in found if match)


@attrs.frozen(kw_only=True)
class Rewriter:
    """Rewrites the ids and times of a recording for one replay. Replays that may overlap need different ``serial``."""

    epoch: int
    """The recording's."""
    shift: int
    """Seconds between the recording and now."""
    serial: int

    def event(self, event: Event) -> Event:
        return Event(tuple((name, self._value(name, value)) for name, value in event.headers))

    def text(self, value: str) -> str:
        """Rewrite unique ids and times within any text, such as the path of a recording."""
        value = _UNIQUEID.sub(self._uniqueid, value)
        value = _TIME.sub(lambda found: self._time(found.group(), "%Y-%m-%d %H:%M:%S"), value)
        return _FILE_TIME.sub(lambda found: self._time(found.group(), "%Y%m%d-%H%M%S"), value)

    def _value(self, name: str, value: str) -> str:
        key = name.lower()
        if key == "bridgeuniqueid":
            return f"{int(value[:8], 16) ^ self.serial:08x}{value[8:]}" if value else value
        if key == "timestamp":
            return f"{float(value) + self.shift:.6f}"
        if key.endswith("channel"):
            value = _CHANNEL_SERIAL.sub(lambda found: f"-{self._channel_serial(found.group(1))}", value)
        return self.text(value)

    def _uniqueid(self, found: re.Match[str]) -> str:
        epoch, number = int(found.group(1)), int(found.group(2))
        if abs(epoch - self.epoch) > _SECONDS_A_DAY:  # not a Uniqueid, for example a telephone number with a fraction
            return found.group()
        return f"{epoch + self.shift}.{number + self.serial * 1000}"

    def _channel_serial(self, digits: str) -> str:
        return f"{(int(digits, 16) + self.serial * 0x1000) & 0xFFFFFFFF:08x}"

    def _time(self, text: str, form: str) -> str:
        """A shifted wall clock. Both the recorded PBX and this one use UTC."""
        try:
            moment = dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
        except ValueError:
            return text
        if abs(moment.timestamp() - self.epoch) > _SECONDS_A_DAY:
            return text
        return (moment + dt.timedelta(seconds=self.shift)).strftime(form)


def read_recording(name: str, data: bytes, calls: Iterable[Mapping[str, Any]] = ()) -> Recording:
    """The events of a transcript without those of its own session. Raises TranscriptError."""
    events: list[TimedEvent] = []
    parser = MessageParser()
    for chunk in read_transcript(name, data).chunks:
        if chunk.direction != "recv":
            continue
        parser.receive_data(chunk.data)
        while (message := parser.next_message()) is not None:
            if isinstance(message, Event) and message.name not in SESSION_EVENTS and "ActionID" not in message:
                events.append(TimedEvent(at=chunk.t, event=message))
    if not events:
        raise TranscriptError(f"{name}: there is no event in this transcript")
    return Recording(name=name.rpartition(".")[0] or name, events=tuple(events), calls=tuple(calls))


def shipped_recordings() -> dict[str, Recording]:
    """The recordings that come with the package, by name."""
    folder = resources.files("uac_trio.demo") / "recordings"
    found: dict[str, Recording] = {}
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".jsonl"):
            name = entry.name.removesuffix(".jsonl")
            truth = json.loads((folder / f"{name}.expect.json").read_text(encoding="utf-8"))
            found[name] = read_recording(entry.name, entry.read_bytes(), truth["calls"])
    return found


def encoded(message: Message) -> bytes:
    """A message as a server sends it."""
    return ("".join(f"{name}: {value}\r\n" for name, value in message.headers) + "\r\n").encode()
