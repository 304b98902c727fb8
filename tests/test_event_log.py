"""The event log: which call an event belongs to, what is stored of it, and what is replayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls.crm_office import crm_of, token
from tests.calls.simulator import Asterisk, Line
from tests.calls.stored_logs import StoredLogs
from uac_trio.ami.message import Event
from uac_trio.ami.parser import MessageParser
from uac_trio.calls.call import Call, ClickOrder, Unseen
from uac_trio.calls.rules import TrackerRules
from uac_trio.event_log import (
    LIST_END,
    MOST_ENTRIES,
    Entry,
    EventLogs,
    LogChanges,
    LogPart,
    names_channel,
    read_entry,
    to_replay,
    write_entry,
)
from uac_trio.pipeline import Pipeline

TEXT = st.text(st.characters(), max_size=20)  # halves of surrogates too: bytes that are no UTF-8
LISTED = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5).map(lambda headers: Event(tuple(headers)))


def _parsed(data: bytes) -> Event | None:
    parser = MessageParser()
    parser.receive_data(b"Event: X\r\n" + data + b"\r\n\r\n")
    message = parser.next_message()
    return message if isinstance(message, Event) else None


LINES = st.lists(st.tuples(TEXT, TEXT).map(": ".join) | TEXT, max_size=4)
PARSED = LINES.map(lambda lines: _parsed("\r\n".join(lines).encode("utf-8", "replace")))
EVENTS = LISTED | PARSED.filter(lambda event: event is not None)
TIMES = st.floats(0, 4e9)
NUMBERS = st.integers(1, 10**9)

ENTRIES = st.one_of(
    st.builds(Entry, NUMBERS, st.just("event"), TIMES, EVENTS),
    st.builds(Entry, NUMBERS, st.sampled_from(["connected", "lost"]), TIMES, banner=TEXT),
    st.builds(Entry, NUMBERS, st.just("ordered"), TIMES, order=st.builds(ClickOrder, TEXT, TEXT, TEXT, TEXT)),
)


@given(ENTRIES)
def test_a_line_is_read_as_it_was_written(entry: Entry) -> None:
    """A line of ASCII with everything in it, repeated headers and their order included."""
    line = write_entry(entry)
    assert line.isascii()
    assert "\n" not in line
    assert read_entry(line) == entry


@pytest.mark.parametrize(
    "line",
    ['[1,"ordered",1.0,[]]', '[1,"lost",1.0,[],7]', '[1,"lost",1.0,7]', '["1","lost",1.0,""]', '[1,"said",1.0,""]',
     '[1,"lost","1",""]', '[1,"event",1.0,[["x"]]]', '[1,"event",1.0,"x"]', '[1,"event",1.0,"Response: Success"]',
     '[1,"event",1.0,[5]]', '[1,"event",1.0,[["x",5]]]',
     "", "x", "[]", "{}", "7"],
)  # fmt: skip
def test_a_damaged_line_is_an_error(line: str) -> None:
    """It is not guessed at."""
    with pytest.raises(ValueError, match=r"."):
        read_entry(line)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Uniqueid", True), ("UniqueID", True), ("DestUniqueid", True), ("TransfererUniqueid", True),
        ("Uniqueid1", True), ("Uniqueid2", True), ("BridgeUniqueid", False), ("DestBridgeUniqueid", False),
        ("Linkedid", False), ("Channel", False),
    ],
)  # fmt: skip
def test_headers_that_name_a_channel(header: str, expected: bool) -> None:
    assert names_channel(header) is expected


@attrs.define
class Connector:
    """A pipeline whose event logs are stored after each event."""

    run: str = "one"
    logs: StoredLogs = attrs.field(factory=StoredLogs)
    pipeline: Pipeline = attrs.field(
        default=attrs.Factory(lambda self: Pipeline(TrackerRules(), crm_of(), token, run=self.run), takes_self=True)
    )

    def hear(self, pbx: Asterisk, since: int = 0) -> None:
        for at, event in pbx.events[since:]:
            self.pipeline.tick(at)
            self.pipeline.received("main", [event], at)
            self.store()

    def take_list(self, pbx: Asterisk) -> None:
        self.pipeline.connected("main", pbx.now)
        self.pipeline.received("main", pbx.listing(), pbx.now)
        self.store()

    def store(self) -> None:
        self.logs.write(self.pipeline.take_log_changes())

    @property
    def calls(self) -> set[str]:
        return {part.call_id for part in self.logs.parts}


def ringing(pbx: Asterisk, customer: str = "+79161234567", extension: str = "101") -> Line:
    (leg,) = pbx.dial(pbx.calls_in(customer, "4951000101"), [extension]).legs
    pbx.now += 1.0
    pbx.rings(leg)
    return leg


def test_a_log_goes_with_its_call() -> None:
    """Two calls have two logs; the one whose call is over, and had the time of its Cdr, is gone."""
    pbx, connector = Asterisk(lambda _: 0), Connector()
    first, second = ringing(pbx), ringing(pbx, "+79260000002", "102")
    pbx.answers(first)
    connector.hear(pbx)
    assert len(connector.calls) == 2
    seen = len(pbx.events)
    pbx.now += 5.0
    pbx.hangs_up_talk(first)
    connector.hear(pbx, seen)
    connector.pipeline.tick(pbx.now + 60.0)
    connector.store()
    assert connector.calls == {f"main-{second.linkedid}"}


def test_events_of_no_call_are_not_kept() -> None:
    """Neither what names no channel nor what names one that is not known."""
    connector = Connector()
    for event in (("FullyBooted",), ("Newstate", "9.9")):
        headers = [("Event", event[0]), *(("Uniqueid", uniqueid) for uniqueid in event[1:])]
        connector.pipeline.received("main", [Event(tuple(headers))], 5.0)
    connector.store()
    assert connector.logs.parts == []


def test_an_order_is_in_the_log_before_its_channel_is() -> None:
    """A process that is killed between the order and the first event still knows who clicked."""
    connector = Connector()
    order = ClickOrder("uac-1", "101", "+79161234567", "PJSIP/101")
    connector.pipeline.ordered("main", order, 5.0)
    connector.store()
    assert [entry.order for part in connector.logs.parts for entry in part.entries] == [order]
    connector.pipeline.order_refused("main", "uac-1")
    connector.store()
    assert connector.logs.parts == []


def test_a_log_of_too_many_events_is_given_up() -> None:
    """A call of days goes on from the outbox and the list of channels; the others keep their logs."""
    logs = EventLogs("main", "one")
    for _ in range(MOST_ENTRIES + 5):
        logs.note_order(ClickOrder("uac-1", "101", "102", "x"), 1.0)
    logs.note_order(ClickOrder("uac-2", "101", "102", "x"), 1.0)
    assert [part.call_id for part in logs.take().added] == ["main-uac-2"]


def test_the_logs_of_some_calls() -> None:
    """Of the others what is new waits, and is there the next time; what is over goes at once."""
    logs = EventLogs("main", "one")
    orders = {name: ClickOrder(name, "101", "102", "x") for name in ("uac-1", "uac-2", "uac-3")}
    for order in orders.values():
        logs.note_order(order, 1.0)
    assert [part.call_id for part in logs.take({"main-uac-2"}).added] == ["main-uac-2"]
    logs.drop("main-uac-2")
    logs.drop("main-uac-3")
    assert logs.has_changes
    assert logs.take({"main-uac-9"}).dropped == ("main-uac-2",)
    assert [part.call_id for part in logs.take().added] == ["main-uac-1"]
    assert not logs.has_changes


def test_the_logs_of_a_restored_call_go_with_it() -> None:
    """Of all runs: they were replayed, so that none of them knows more, and a shared store would gather them for a day.
    If the connection is lost again, another run may know more."""
    for is_lost_again in (False, True):
        pbx, dead = Asterisk(lambda _: 0), Connector()
        line = ringing(pbx)
        dead.hear(pbx)
        heir = Connector(logs=dead.logs, run="heir")
        heir.pipeline.restore("main", (), heir.logs.read())
        heir.take_list(pbx)
        if is_lost_again:
            heir.pipeline.lost("main", pbx.now)
            heir.take_list(pbx)
        seen = len(pbx.events)
        pbx.answers(line)
        pbx.now += 5.0
        pbx.hangs_up_talk(line)
        heir.hear(pbx, seen)
        heir.pipeline.tick(pbx.now + 60.0)
        heir.store()
        assert {part.run for part in heir.logs.parts} == ({"one"} if is_lost_again else set())


@pytest.mark.parametrize("into", ["main-uac-1", "main-uac-2"])
def test_two_calls_that_are_too_long_together(into: str) -> None:
    """Given up as one call is that grows too long, however they became one; its log of other runs goes with it."""
    logs = EventLogs("main", "run")
    names = ("uac-1", "uac-2")
    for name in names:
        for _ in range(MOST_ENTRIES // 2 + 10):
            logs.note_order(ClickOrder(name, "101", "102", "x"), 1.0)
    logs.take()
    (other,) = {f"main-{name}" for name in names} - {into}
    logs.move(other, into)
    logs.note_order(ClickOrder(into.removeprefix("main-"), "101", "102", "x"), 1.0)
    changes = logs.take()
    assert (changes.moved, changes.left, changes.added) == (((other, into),), (into,), [])
    logs.drop(into)
    assert logs.take().dropped == (into,)


@pytest.mark.parametrize("is_lost", [False, True])
def test_what_goes_when_a_call_is_over(is_lost: bool) -> None:
    """The logs of all runs; after a lost connection this run's alone, since another may have more to deliver."""
    logs = EventLogs("main", "run")
    logs.note_order(ClickOrder("uac-1", "101", "102", "x"), 1.0)
    if is_lost:
        logs.note_connection("lost", 2.0, "", [Call("main-uac-1", "uac-1", 1.0, 1.0)])
    logs.take()
    logs.drop("main-uac-1")
    changes = logs.take()
    assert (changes.dropped, changes.left) == (((), ("main-uac-1",)) if is_lost else (("main-uac-1",), ()))


def part(run: str, entries: Sequence[tuple[int, float]], call: str = "c", *, is_whole: bool = True) -> LogPart:
    made = [Entry(number, "lost", at) for number, at in entries]
    return LogPart(pbx="main", call_id=call, run=run, banner="", is_whole=is_whole, entries=made)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # One run, two calls, one event in both logs: it is replayed once.
        ([part("a", [(1, 1.0), (3, 3.0)], "c"), part("a", [(2, 2.0), (3, 3.0)], "d")], [1, 2, 3]),
        # The clock was set back meanwhile: the order of the run counts.
        ([part("a", [(1, 9.0), (2, 1.0)])], [1, 2]),
        # Two runs: the one that saw the beginning, and what the other saw later.
        ([part("b", [(1, 2.5), (2, 4.0)], is_whole=False), part("a", [(7, 1.0), (8, 3.0)])], [7, 8, 2]),
        # Neither saw the beginning: the one that came first.
        ([part("b", [(1, 2.0)], is_whole=False), part("a", [(5, 1.0)], is_whole=False)], [5, 1]),
        ([], []),
    ],
)  # fmt: skip
def test_what_is_replayed(parts: Sequence[LogPart], expected: list[int]) -> None:
    assert [replayed.entry.number for replayed in to_replay(parts)] == expected


def test_a_list_of_channels_is_about_those_of_its_logs() -> None:
    """Others, which another run knew or which came later, are not missing in it."""

    def log(call: str, *uniqueids: str) -> LogPart:
        events = [Event((("Event", "Newchannel"), ("Uniqueid", uniqueid))) for uniqueid in uniqueids]
        entries = [Entry(int(event.get("Uniqueid")), "event", 1.0, event) for event in events]
        end = Entry(9, "event", 2.0, Event((("Event", LIST_END),)))
        return attrs.evolve(part("a", [], call), entries=[*entries, end])

    *_, end = to_replay([log("c", "1", "2"), log("d", "3")])
    assert end.channels == {"1", "2", "3"}


# -- what belongs to which call, without a tracker --------------------------------------------------------------------


@attrs.define
class Logged:
    """Event logs, and the calls that a tracker would know, by Uniqueid."""

    logs: EventLogs = attrs.field(factory=lambda: EventLogs("main", "one"))
    calls: dict[str, Call] = attrs.field(factory=dict)

    def call(self, *uniqueids: str, adopted: bool = False) -> Call:
        """A call with these channels."""
        made = Call(f"main-{uniqueids[0]}", uniqueids[0], 0.0)
        made.unseen = Unseen.BEGINNING if adopted else Unseen.NOTHING
        self.calls |= dict.fromkeys(uniqueids, made)
        return made

    def event(self, *uniqueids: str, name: str = "Newstate") -> None:
        headers = zip(("Uniqueid", "DestUniqueid"), uniqueids, strict=False)
        live = {call.id: call for call in self.calls.values()}
        self.logs.note_event(Event((("Event", name), *headers)), 1.0, self.calls.get, live.values())

    def connection(self, kind: Literal["connected", "lost"]) -> None:
        live = {call.id: call for call in self.calls.values()}
        self.logs.note_connection(kind, 1.0, "", live.values())

    def taken(self) -> dict[str, list[int]]:
        """By call id: the numbers of the new entries."""
        return {part.call_id: [entry.number for entry in part.entries] for part in self.logs.take().added}


def test_an_event_of_two_calls() -> None:
    """It is in both logs; one that came before its channel had a call is the beginning of its log."""
    here = Logged()
    here.event("2.1")
    here.event("3.1")
    here.call("1.1")
    here.call("2.1")
    here.event("1.1", "2.1")
    assert here.taken() == {"main-1.1": [3], "main-2.1": [1, 3]}
    here.event("2.1")
    assert here.taken() == {"main-2.1": [4]}


def test_a_list_of_channels() -> None:
    """Its items are assigned at its end, which is in the logs of all calls; one that was cut is forgotten."""
    here = Logged()
    here.event("1.1", name="CoreShowChannel")
    here.connection("connected")
    here.event("2.1", name="CoreShowChannel")
    here.call("1.1")
    here.call("2.1")
    assert here.taken() == {}
    here.event(name=LIST_END)
    assert here.taken() == {"main-1.1": [4], "main-2.1": [3, 4]}
    here.event(name=LIST_END)
    assert here.taken() == {"main-1.1": [5], "main-2.1": [5]}


def test_a_call_that_is_older_than_the_connection() -> None:
    """Its log begins with the login, once, and is not whole; a call that was seen to begin needs none."""
    here = Logged()
    here.connection("connected")
    here.call("1.1", adopted=True)
    here.call("2.1")
    here.event("1.1")
    here.event("2.1")
    here.event("1.1")
    changes = here.logs.take()
    assert {part.call_id: [entry.number for entry in part.entries] for part in changes.added} == {
        "main-1.1": [1, 2, 4], "main-2.1": [3]
    }  # fmt: skip
    assert {part.call_id: part.is_whole for part in changes.added} == {"main-1.1": False, "main-2.1": True}


def test_a_connection_that_is_lost() -> None:
    """It is in the logs of the calls that go on; of these another run may know more."""
    here = Logged()
    here.call("1.1")
    here.event("1.1")
    here.connection("lost")
    assert here.logs.has_changes
    assert here.taken() == {"main-1.1": [1, 2]}
    here.logs.drop("main-1.1")
    assert here.logs.has_changes
    changes = here.logs.take()
    assert (list(changes.dropped), list(changes.left)) == ([], ["main-1.1"])
    assert bool(changes)
    assert not here.logs.has_changes


def test_a_call_that_is_over() -> None:
    """What the store has of it goes; what it never had is just forgotten, and its channels mean no call."""
    here = Logged()
    here.call("1.1")
    here.event("1.1")
    here.logs.drop("main-1.1")
    assert not here.logs.has_changes
    here.event("1.1")
    here.logs.take()
    here.logs.drop("main-1.1")
    assert here.logs.has_changes
    assert list(here.logs.take().dropped) == ["main-1.1"]
    del here.calls["1.1"]
    other = here.call("2.1", "1.1")
    here.event("1.1")
    assert here.taken() == {other.id: [3]}


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_call_that_became_part_of_another(is_stored: bool) -> None:
    """What the store has of it is moved there, what is new follows the survivor's; its channels are the survivor's."""
    here = Logged()
    survivor, absorbed = here.call("1.1"), here.call("2.1")
    here.event("1.1")
    here.event("2.1")
    if is_stored:
        here.logs.take()
    here.logs.move(absorbed.id, survivor.id)
    here.calls["2.1"] = survivor
    here.event("2.1")
    changes = here.logs.take()
    (part,) = changes.added
    assert part.call_id == survivor.id
    assert [entry.number for entry in part.entries] == ([3] if is_stored else [1, 2, 3])
    assert list(changes.moved) == ([(absorbed.id, survivor.id)] if is_stored else [])
    assert list(changes.copied) == []
    here.logs.drop(survivor.id)
    assert list(here.logs.take().dropped) == [survivor.id]


def test_a_call_without_a_log_that_is_absorbed() -> None:
    """There is nothing to move."""
    here = Logged()
    survivor = here.call("1.1")
    here.event("1.1")
    here.logs.take()
    here.logs.move("main-9.9", survivor.id)
    assert not here.logs.has_changes


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_channel_that_goes_over(is_stored: bool) -> None:
    """An agent's channel leaves its call: what was logged there is the beginning of the next call's log too."""
    here = Logged()
    before = here.call("1.1", "1.2")
    here.event("1.2")
    if is_stored:
        here.logs.take()
    after = here.call("1.2")
    here.event("1.2")
    changes = here.logs.take()
    added = {part.call_id: [entry.number for entry in part.entries] for part in changes.added}
    assert added == ({after.id: [2]} if is_stored else {before.id: [1], after.id: [1, 2]})
    assert list(changes.copied) == ([(before.id, after.id)] if is_stored else [])
    here.event("1.2")
    assert list(here.logs.take().copied) == []


@pytest.mark.parametrize("what", ["copied", "moved", "dropped", "left", "added"])
def test_changes_of_any_kind(what: str) -> None:
    """Each alone is worth a transaction; none is not."""
    assert not LogChanges(run="one")
    assert LogChanges(run="one", **{what: [("a", "b")]})  # type: ignore[arg-type]


def test_what_the_store_has_of_the_absorbed_is_the_survivor_s() -> None:
    """Though the store had nothing of the survivor, all that is there goes with it; the absorbed has nothing more."""
    here = Logged()
    survivor, absorbed = here.call("1.1"), here.call("2.1")
    here.event("1.1")
    here.event("2.1")
    here.logs.take([absorbed.id])
    here.logs.move(absorbed.id, survivor.id)
    here.logs.take([])
    here.logs.drop(absorbed.id)
    assert not here.logs.take([]).dropped
    here.logs.drop(survivor.id)
    assert list(here.logs.take([]).dropped) == [survivor.id]
