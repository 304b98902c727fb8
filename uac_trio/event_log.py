"""The event log: what a PBX sent about each call in progress, for the next run to go on where this one ended.

A list of channels, which is there after each start, shows who talks now; not who rang before, who transferred, which
file is recorded, since when. So each call has its events logged, in the transaction of the deliveries that followed
from them, and its log goes when the call does. Events that belong to no call are not kept.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from heapq import merge
from typing import Literal

import attrs

from uac_trio.ami.message import Event
from uac_trio.ami.parser import read_usual
from uac_trio.calls.call import Call, ClickOrder

Kind = Literal["event", "connected", "lost", "ordered"]

LIST_END = "CoreShowChannelsComplete"
"""The event that ends a list of channels; its items are CoreShowChannel (main/manager.c)."""

MOST_ENTRIES = 20_000
"""Of one call: some 10 MB. A longer call goes on after a restart from its deliveries and the list of channels."""
MOST_UNASSIGNED = 500
"""Entries that name channels of which no call is known yet."""


@attrs.frozen
class Entry:
    """One thing that the pipeline was given."""

    number: int
    """Order within a run; an event that concerns two calls has one number in both logs."""
    kind: Kind
    at: float
    """Seconds since the epoch, by our clock."""
    event: Event | None = None
    order: ClickOrder | None = None
    banner: str = ""
    """Of "connected": the server's first line."""


def write_entry(entry: Entry) -> str:
    """One line of ASCII: a list in JSON. An event of the usual form is its text there, any other a list of headers."""
    about: object = entry.banner
    if entry.event is not None:
        about = entry.event.text or entry.event.headers
    elif entry.order is not None:
        about = attrs.astuple(entry.order)
    return f'[{entry.number},"{entry.kind}",{entry.at!r},{json.dumps(about)}]'


def read_entry(line: str) -> Entry:
    """The reverse of ``write_entry``. Raises ValueError for anything else."""
    match json.loads(line):
        case [int(number), "event", float(at), str(text)] if isinstance(event := read_usual(text), Event):
            return Entry(number, "event", at, event)
        case [int(number), "event", float(at), [*headers]] if all(map(_is_header, headers)):
            return Entry(number, "event", at, Event(tuple((name, value) for name, value in headers)))
        case [int(number), "connected" | "lost" as kind, float(at), str(banner)]:
            return Entry(number, kind, at, banner=banner)
        case [int(number), "ordered", float(at), [str(channel_id), str(employee), str(dialled), str(channel)]]:
            return Entry(number, "ordered", at, order=ClickOrder(channel_id, employee, dialled, channel))
        case _:
            raise ValueError(f"no line of an event log: {line[:60]}")


def _is_header(header: object) -> bool:
    return isinstance(header, list) and len(header) == 2 and all(isinstance(part, str) for part in header)


@attrs.frozen(kw_only=True)
class LogPart:
    """Some entries of one call's log, in order."""

    pbx: str
    call_id: str
    run: str
    """One life of one connector's pipeline."""
    banner: str
    """Of a server that speaks AMI 1.x: its first line; "" = AMI 2 or later."""
    is_whole: bool
    """The call was seen from its beginning."""
    entries: Sequence[Entry]


@attrs.frozen(kw_only=True)
class LogChanges:
    """What is to be done to the stored logs, in this order."""

    run: str
    copied: Sequence[tuple[str, str]] = ()
    """Call ids: the log of the first is the beginning of that of the second as well."""
    moved: Sequence[tuple[str, str]] = ()
    """Call ids: the first call is part of the second now."""
    dropped: Sequence[str] = ()
    """These calls are over: their logs of all runs go."""
    left: Sequence[str] = ()
    """This run's logs of these calls go; it did not see all of them, so another run may still have more to deliver."""
    added: Sequence[LogPart] = ()

    def __bool__(self) -> bool:
        return bool(self.copied or self.moved or self.dropped or self.left or self.added)


def names_channel(header: str) -> bool:
    """Is the value the Uniqueid of a channel? ``Uniqueid``, ``DestUniqueid``; AMI 1.x: ``UniqueID``, ``Uniqueid1``."""
    name = header.lower()
    return name.rstrip("12").endswith("uniqueid") and "bridge" not in name


@lru_cache(maxsize=1024)
def _naming_channels(headers: tuple[str, ...]) -> tuple[str, ...]:
    """Those of an event's headers that name channels; there are some hundred kinds of events."""
    return tuple(header for header in headers if names_channel(header))


@attrs.define(eq=False)
class EventLogs:
    """The logs of one PBX's calls: assigns entries to calls, and keeps what the store does not have yet."""

    pbx: str
    run: str
    banner: str = ""
    """As in ``LogPart``."""
    _last_number: int = attrs.field(default=0, init=False)
    _new: dict[str, list[Entry]] = attrs.field(factory=dict, init=False)
    _counts: dict[str, int] = attrs.field(factory=dict, init=False)
    """Entries of each call so far, stored or not."""
    _given_up: set[str] = attrs.field(factory=set, init=False)
    """Calls with more than ``MOST_ENTRIES``; they have no log."""
    _stored: set[str] = attrs.field(factory=set, init=False)
    """Calls of which the store has entries."""
    _adopted: set[str] = attrs.field(factory=set, init=False)
    _partly_seen: set[str] = attrs.field(factory=set, init=False)
    """Calls of which another run may know more: they are older than our connection, or it was lost meanwhile."""
    _call_of: dict[str, str] = attrs.field(factory=dict, init=False)
    """By Uniqueid: the call in whose log the channel was last."""
    _channels_of: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    """The reverse."""
    _unassigned: deque[Entry] = attrs.field(factory=lambda: deque(maxlen=MOST_UNASSIGNED), init=False)
    _listed: list[Entry] = attrs.field(factory=list, init=False)
    """Items of a list of channels that is under way: what they mean is known at its end."""
    _login: Entry | None = attrs.field(default=None, init=False)
    """Of the present connection. It begins the log of a call that is older: until the list of channels comes, its
    events mean less."""
    _copied: list[tuple[str, str]] = attrs.field(factory=list, init=False)
    _moved: list[tuple[str, str]] = attrs.field(factory=list, init=False)
    _dropped: list[str] = attrs.field(factory=list, init=False)
    _left: list[str] = attrs.field(factory=list, init=False)

    # -- in ---------------------------------------------------------------------------------------------------------

    def note_event(self, event: Event, at: float, call_of: Callable[[str], Call | None], live: Iterable[Call]) -> None:
        """The tracker has taken in ``event``. ``call_of``: the call of a Uniqueid; ``live``: all unfinished calls."""
        entry = Entry(self._next(), "event", at, event)
        if event.name == "CoreShowChannel":
            self._listed.append(entry)
        elif event.name == LIST_END:
            for item in self._listed:
                self._assign(item, call_of)
            self._listed.clear()
            self._add_to_all(entry, live)
        else:
            self._assign(entry, call_of)

    def note_connection(self, kind: Literal["connected", "lost"], at: float, banner: str, live: Iterable[Call]) -> None:
        """The connection to the PBX began, or was lost."""
        self._listed.clear()
        live = list(live)
        entry = Entry(self._next(), kind, at, banner=banner)
        if kind == "connected":
            self._login = entry
        else:
            self._partly_seen |= {call.id for call in live}
        self._add_to_all(entry, live)

    def note_replayed(self) -> None:
        """The logs of all runs were replayed: of those calls nothing more is known anywhere."""
        self._partly_seen.clear()

    def note_order(self, order: ClickOrder, at: float) -> None:
        """We ask the PBX for a click: the log of the call it becomes begins before any channel of it is there."""
        self._add(f"{self.pbx}-{order.channel_id}", Entry(self._next(), "ordered", at, order=order))

    def move(self, absorbed: str, survivor: str) -> None:
        """``absorbed`` is part of ``survivor`` now."""
        if absorbed not in self._counts:
            return
        if absorbed in self._stored:
            self._moved.append((absorbed, survivor))
            self._stored.discard(absorbed)
            self._stored.add(survivor)
        if absorbed in self._given_up:
            self._given_up.add(survivor)
        self._new.setdefault(survivor, []).extend(self._new.pop(absorbed, ()))
        self._count(survivor, self._counts.pop(absorbed))
        for uniqueid in self._channels_of.pop(absorbed, ()):
            if self._call_of[uniqueid] == absorbed:
                self._place(uniqueid, survivor)

    def drop(self, call_id: str) -> None:
        """The call is over."""
        self._new.pop(call_id, None)
        self._counts.pop(call_id, None)
        for uniqueid in self._channels_of.pop(call_id, ()):
            if self._call_of.get(uniqueid) == call_id:
                del self._call_of[uniqueid]
        if call_id in self._stored or call_id in self._given_up:
            (self._left if call_id in self._partly_seen else self._dropped).append(call_id)
        for each in (self._stored, self._given_up, self._adopted, self._partly_seen):
            each.discard(call_id)

    # -- out --------------------------------------------------------------------------------------------------------

    @property
    def has_changes(self) -> bool:
        return bool(self._new or self._copied or self._moved or self._dropped or self._left)

    def take(self, of: Collection[str] | None = None) -> LogChanges:
        """What the store does not have yet, and has once these changes are made; new entries ``of`` these calls alone,
        if some are named: those of the others wait for a later time."""
        taken, rest = self._new, {}
        if of is not None:
            taken = {call_id: entries for call_id, entries in self._new.items() if call_id in of}
            rest = {call_id: entries for call_id, entries in self._new.items() if call_id not in of}
        added = [
            LogPart(
                pbx=self.pbx,
                call_id=call_id,
                run=self.run,
                banner=self.banner,
                is_whole=call_id not in self._adopted,
                entries=entries,
            )
            for call_id, entries in taken.items()
            if entries
        ]
        changes = LogChanges(
            run=self.run,
            copied=tuple(self._copied),
            moved=tuple(self._moved),
            dropped=tuple(self._dropped),
            left=tuple(self._left),
            added=added,
        )
        self._stored.update(taken)
        self._new = rest
        self._copied, self._moved, self._dropped, self._left = [], [], [], []
        return changes

    # -- which call ---------------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._last_number += 1
        return self._last_number

    def _assign(self, entry: Entry, call_of: Callable[[str], Call | None]) -> None:
        named = _channels_named(entry)
        calls = {call.id: call for uniqueid in named if (call := call_of(uniqueid)) is not None}
        if not calls:
            if named:
                self._unassigned.append(entry)
            return
        for uniqueid in named:
            call = call_of(uniqueid)
            if call is not None and self._call_of.get(uniqueid) != call.id:
                self._join(uniqueid, call.id)
        for call_id, call in calls.items():
            self._note_adopted(call)
            self._add(call_id, entry)

    def _join(self, uniqueid: str, call_id: str) -> None:
        """A channel's first entry in this log: what was logged of it elsewhere, or of no call, is its beginning."""
        before = self._call_of.get(uniqueid)
        self._place(uniqueid, call_id)
        if before is not None and before in self._counts:
            if before in self._stored:
                self._copied.append((before, call_id))
                self._stored.add(call_id)
            if before in self._given_up:
                self._given_up.add(call_id)
            self._new.setdefault(call_id, []).extend(self._new.get(before, ()))
            self._count(call_id, self._counts[before])
            return
        for entry in [entry for entry in self._unassigned if uniqueid in _channels_named(entry)]:
            self._unassigned.remove(entry)
            self._add(call_id, entry)

    def _place(self, uniqueid: str, call_id: str) -> None:
        self._call_of[uniqueid] = call_id
        self._channels_of.setdefault(call_id, []).append(uniqueid)

    def _add_to_all(self, entry: Entry, live: Iterable[Call]) -> None:
        for call in live:
            self._note_adopted(call)
            self._add(call.id, entry)

    def _note_adopted(self, call: Call) -> None:
        if call.is_adopted and call.id not in self._adopted:
            self._adopted.add(call.id)
            self._partly_seen.add(call.id)
            if self._login is not None:
                self._add(call.id, self._login)

    def _add(self, call_id: str, entry: Entry) -> None:
        if call_id not in self._given_up:
            self._new.setdefault(call_id, []).append(entry)
            self._count(call_id, 1)

    def _count(self, call_id: str, more: int) -> None:
        self._counts[call_id] = self._counts.get(call_id, 0) + more
        if self._counts[call_id] > MOST_ENTRIES or call_id in self._given_up:
            self._given_up.add(call_id)
            self._new.pop(call_id, None)
            if call_id in self._stored:
                self._stored.discard(call_id)
                self._left.append(call_id)


def _channels_named(entry: Entry) -> list[str]:
    if entry.event is None:
        return []
    return [value for value in entry.event.pick(_naming_channels(entry.event.names)) if value]


# -- what to replay -------------------------------------------------------------------------------------------------


@attrs.frozen
class Replayed:
    """An entry, and what the logs that have it are about."""

    entry: Entry
    channels: frozenset[str]
    """Uniqueids; of the end of a list of channels alone."""


def to_replay(parts: Sequence[LogPart]) -> Iterator[Replayed]:
    """Of each call the log that has its beginning, and what another run saw later, merged by time."""
    by_call: dict[str, dict[str, list[LogPart]]] = {}
    for part in parts:
        by_call.setdefault(part.call_id, {}).setdefault(part.run, []).append(part)
    by_run: dict[str, dict[int, tuple[Entry, set[str]]]] = {}
    seen_whole = _channels_in(part for part in parts if part.is_whole)
    for runs in by_call.values():
        of_call = [part for of_run in runs.values() for part in of_run]
        channels = _channels_in(of_call)
        if not any(part.is_whole for part in of_call) and seen_whole & channels:
            continue  # another run, which came late, took a part of a call for one of its own
        for run, entry in _entries_of(runs):
            known = by_run.setdefault(run, {}).setdefault(entry.number, (entry, set()))[1]
            if entry.event is not None and entry.event.name == LIST_END:
                known |= channels
    for _, replayed in merge(*(_in_time(entries) for entries in by_run.values()), key=lambda each: each[0]):
        yield replayed


def _channels_in(parts: Iterable[LogPart]) -> set[str]:
    return {uniqueid for part in parts for entry in part.entries for uniqueid in _channels_named(entry)}


def _entries_of(runs: Mapping[str, Sequence[LogPart]]) -> Iterator[tuple[str, Entry]]:
    logs = {run: [entry for part in parts for entry in part.entries] for run, parts in runs.items()}
    whole = {run: all(part.is_whole for part in parts) for run, parts in runs.items()}
    in_order = sorted(logs, key=lambda run: (not whole[run], min(entry.at for entry in logs[run])))
    until = float("-inf")
    for run in in_order:
        later = [entry for entry in logs[run] if entry.at > until]
        yield from ((run, entry) for entry in later)
        until = max([until, *(entry.at for entry in later)])


def _in_time(entries: Mapping[int, tuple[Entry, set[str]]]) -> Iterator[tuple[float, Replayed]]:
    """In the order of one run; its time never goes back, whatever was done to the clock."""
    at = float("-inf")
    for _, (entry, channels) in sorted(entries.items()):
        at = max(at, entry.at)
        yield at, Replayed(entry, frozenset(channels))
