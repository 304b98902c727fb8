"""The recorded calls as timed events, and ways to run events through a tracker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.recorded import NAMES, transcripts_of
from uac_trio.ami.message import Event
from uac_trio.ami.parser import MessageParser
from uac_trio.calls.fact import CallEnded, Fact
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker
from uac_trio.transcript import read_transcript

Timed = tuple[float, Event]


def recorded(name: str) -> tuple[Timed, ...]:
    """The events of a scenario's first connection; ``name`` as in ``tests.recorded.NAMES``."""
    return _events_in(transcripts_of(name)[0])


def connections(name: str) -> list[tuple[Timed, ...]]:
    """The events of each connection of a scenario."""
    return [_events_in(file) for file in transcripts_of(name)]


@cache
def _events_in(file: Path) -> tuple[Timed, ...]:
    transcript = read_transcript(file.name, file.read_bytes())
    parser = MessageParser()
    events: list[Timed] = []
    for chunk in transcript.chunks:
        if chunk.direction != "recv":
            continue
        parser.receive_data(chunk.data)
        while (message := parser.next_message()) is not None:
            if isinstance(message, Event):
                events.append((transcript.at(chunk), message))
    return tuple(events)


def names(version: str, *kinds: str) -> list[str]:
    """Recordings made with ``version`` whose names begin with one of ``kinds``."""
    return [name for name in NAMES if name.startswith(tuple(f"{version}/{kind}" for kind in kinds))]


def run(events: Iterable[Timed], rules: TrackerRules | None = None) -> list[Fact]:
    """All facts, to the end of the last call."""
    tracker = CallTracker("main", rules or TrackerRules())
    facts: list[Fact] = []
    at = 0.0
    for at, event in events:
        facts += due(tracker, at)
        facts += tracker.process(event, at)
    facts += due(tracker, at + 3600.0)
    return facts + tracker.finish(at + 3600.0)


def due(tracker: CallTracker, at: float) -> list[Fact]:
    facts: list[Fact] = []
    while (deadline := tracker.next_deadline) <= at:
        facts += tracker.tick(deadline)
    return facts


def records_of(facts: Iterable[Fact]) -> dict[str, dict[str, Any]]:
    """Linkedid to record of every call that ended."""
    return {fact.summary.linkedid: dict(fact.summary.as_json()) for fact in facts if isinstance(fact, CallEnded)}


_SAME = (
    "direction",
    "customer",
    "status",
    "did",
    "caller",
    "called",
    "queue",
    "final_agent",
    "answered_by",
    "recording",
)


def disagreements(truth: Sequence[dict[str, Any]], facts: Iterable[Fact], unknowable: Sequence[str] = ()) -> list[str]:
    """How the reported calls differ from the truth; seconds may be off by one, ``unknowable`` keys by anything."""
    records = records_of(facts)
    found = [
        f"{linkedid}: this call was not made" for linkedid in records.keys() - {call["linkedid"] for call in truth}
    ]
    for call in truth:
        linkedid = call["linkedid"]
        record = records.get(linkedid)
        if record is None:
            found.append(f"{linkedid}: this call is not reported")
            continue
        pairs = [(key, call[key], record[key]) for key in _SAME if key in call]
        pairs.append(("rang", set(call["rang"]), set(record["rang"])))
        pairs.append(("transfers", call["transfers"], record["transfers"]))
        found += [
            f"{linkedid}: {key} is {is_!r}, expected {expected!r}"
            for key, expected, is_ in pairs
            if key not in unknowable and expected != is_
        ]
        found += [
            f"{linkedid}: {key} is {record[key]}, expected {call[key]}"
            for key in ("ring_secs", "talk_secs")
            if key not in unknowable and call.get(key) is not None and abs(call[key] - (record[key] or 0.0)) > 1.0
        ]
    return found
