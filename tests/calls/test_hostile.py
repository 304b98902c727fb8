"""Recorded events mutilated: dropped, doubled, out of order, with headers of others. Nothing may break or stay."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls.invariants import broken, left_over
from tests.calls.panel import Panel
from tests.calls.streams import Timed, due, names, recorded
from uac_trio.ami.message import Event
from uac_trio.calls.adapters import WANTED_EVENTS
from uac_trio.calls.fact import Fact
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker

RULES = TrackerRules(internal="report", unreached="101")
SCENARIOS = names(
    "asterisk22", "inbound_ringgroup", "queue_", "attended_", "blind_", "click2call_", "pickup_", "park_", "same_",
    "concurrent", "conference",
)  # fmt: skip
ODD_VALUES = (
    "", "<unknown>", "s", "9" * 5000, "-1", "²", "٣", "/", "Local/1@x;1", "Local/1@x;2", "PJSIP/", ";", "1.1", "\x00",
)  # fmt: skip
NAMES = sorted(WANTED_EVENTS)
SEEDS = st.integers(0, 2**32)


@st.composite
def mutilated(draw: st.DrawFn) -> list[Timed]:
    random = Random(draw(SEEDS))
    events = [timed for timed in recorded(draw(st.sampled_from(SCENARIOS))) if timed[1].name in WANTED_EVENTS]
    if draw(st.booleans()):
        events = sorted([*events, *recorded(draw(st.sampled_from(SCENARIOS)))], key=lambda timed: timed[0])
    drops, doubles, changes, swaps = (draw(st.sampled_from((0.0, 0.05, 0.3))) for _ in range(4))
    kept: list[Event] = []
    for _, event in events:
        if random.random() < drops:
            continue
        if random.random() < changes:
            event = changed(event, random.choice(events)[1], random)
        kept += [event] * (2 if random.random() < doubles else 1)
    for _ in range(int(len(kept) * swaps)):
        here = random.randrange(len(kept))
        there = min(len(kept) - 1, here + random.randrange(9))
        kept[here], kept[there] = kept[there], kept[here]
    return [(at, event) for (at, _), event in zip(events * 2, kept, strict=False)]


def changed(event: Event, other: Event, random: Random) -> Event:
    """One header holds what another event says there, or what no server says."""
    headers = list(event.headers)
    place = random.randrange(len(headers))
    name = headers[place][0]
    if name == "Event":
        headers[place] = (name, random.choice(NAMES))
    else:
        value = random.choice((*ODD_VALUES, other.get(name), other.get("Uniqueid"), other.get("DestUniqueid")))
        headers[place] = (name, value)
    return Event(tuple(headers))


def story(events: list[Timed], random: Random) -> tuple[CallTracker, list[Fact]]:
    tracker, panel, facts, at = CallTracker("main", RULES), Panel(), [], 0.0
    for moment, event in events:
        at = max(at, moment)
        facts += due(tracker, at)
        facts += tracker.process(event, at)
        panel.see(event, at)
        if random.random() < 0.01:
            if random.random() < 0.5:
                tracker.lost(at)
                tracker.connected(at)
            for item in panel.listing(at):
                facts += tracker.process(item, at)
    facts += due(tracker, at + 10.0)
    facts += tracker.finish(at + 10.0)
    return tracker, facts


@settings(max_examples=60)
@given(mutilated(), SEEDS)
def test_mutilated_events(events: list[Timed], seed: int) -> None:
    """Whatever events come: no exception, every part that began ends, time does not go back, nothing is kept."""
    tracker, facts = story(events, Random(seed))
    assert broken(facts) == []
    assert left_over(tracker) == {}


_HEADERS = st.sampled_from(
    ("Channel", "DestChannel", "Uniqueid", "DestUniqueid", "Linkedid", "DestLinkedid", "ChannelState", "BridgeUniqueid",
     "BridgeType", "DialStatus", "CallerIDNum", "Exten", "Context", "Cause", "TransfererUniqueid", "TransfereeUniqueid",
     "OrigTransfererUniqueid", "SecondTransfererUniqueid", "TransferTargetUniqueid", "Result", "TargetUniqueid",
     "ParkeeUniqueid", "ParkeeChannel", "RetrieverUniqueid", "RetrieverChannel", "ListItems", "Uptime", "Duration",
     "BridgeId", "Application", "SwapUniqueid", "Newname", "UniqueID", "Disposition", "Queue", "Variable", "Value",
     "ActionID")
)  # fmt: skip
_VALUES = st.sampled_from(
    ("1.1", "1.2", "1.3", "PJSIP/101-1", "PJSIP/trunk-2", "Local/1@x;1", "Local/1@x;2", "0", "4", "5", "6", "basic",
     "parking", "ANSWER", "CANCEL", "Success", "101", "+7916", "from-trunk", "AppDial", "AppDial2", "00:01:00",
     "MIXMONITOR_FILENAME", "", "<unknown>")
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.dictionaries(_HEADERS, _VALUES, max_size=12)), max_size=40))
def test_nonsense(said: list[tuple[str, dict[str, str]]]) -> None:
    """Events that no Asterisk would send, of few channels so that they meet: no exception, and nothing is kept."""
    tracker = CallTracker("main", RULES)
    facts: list[Fact] = []
    for second, (name, headers) in enumerate(said):
        facts += tracker.process(Event((("Event", name), *headers.items())), float(second))
        facts += due(tracker, float(second))
    facts += tracker.finish(1000.0)
    assert broken(facts) == []
    assert left_over(tracker) == {}


@pytest.mark.parametrize("name", names("asterisk22", "inbound_ringgroup", "attended_", "click2call_", "concurrent"))
def test_a_recording_that_stops_anywhere(name: str) -> None:
    """At the end of a recording every part that began is ended, wherever that end is."""
    events = recorded(name)
    for end in range(1, len(events), 5):
        tracker = CallTracker("main", RULES)
        facts = [fact for at, event in events[:end] for fact in (*due(tracker, at), *tracker.process(event, at))]
        facts += tracker.finish(events[end - 1][0] + 1.0)
        assert broken(facts) == [], f"after event {end}"
        assert left_over(tracker) == {}, f"after event {end}"
