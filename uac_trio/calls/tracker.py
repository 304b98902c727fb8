"""AMI events to facts about calls: one tracker to a PBX.

``process`` takes one event and the time and returns what follows. What an event means is in ``events.py``, what the
calls are in ``book.py``, what they mean for people in ``progress.py``; here are the clock and the snapshots.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from uac_trio.ami.message import Event
from uac_trio.calls.book import CallBook
from uac_trio.calls.call import Call, Remembered
from uac_trio.calls.channel import Channel, ChannelState
from uac_trio.calls.events import HANDLERS
from uac_trio.calls.fact import Fact, Oddity
from uac_trio.calls.rules import TrackerRules, creation_order, whole
from uac_trio.calls.switchboard import Switchboard

SUSPICION = 1.0
"""Seconds a channel that a listing lacks is given for its Hangup, which may be under way (the list is read from a cache
that can be ahead of the events)."""

BOOT_SLACK = 2.0
"""Seconds by which FullyBooted's Uptime (whole seconds) and a channel's first event may be off."""

LISTED_WITHIN = 10.0
"""Seconds after a login in which the list of channels is expected. It may be refused."""

DURATION_SLACK = 1.5
"""Seconds by which a listed Duration (whole seconds) and a channel's first event may be off."""

WANTED_EVENTS = frozenset(HANDLERS) | {"CoreShowChannel", "CoreShowChannelsComplete", "FullyBooted"}
"""Names of the events the tracker looks at; the rest may be dropped unread."""


@attrs.define
class CallTracker:
    """The calls of one PBX. All times are seconds since the epoch."""

    pbx: str
    rules: TrackerRules = attrs.field(factory=TrackerRules)
    _book: CallBook = attrs.field(init=False)
    _listings: dict[str, list[Event]] = attrs.field(factory=dict, init=False)
    _connected_at: float = attrs.field(default=0.0, init=False)
    is_synced: bool = attrs.field(default=False, init=False)
    """A snapshot of the present connection was reconciled: what is not known here is not there."""

    def __attrs_post_init__(self) -> None:
        self._book = CallBook(self.pbx, self.rules)

    @property
    def board(self) -> Switchboard:
        """What is alive: channels, bridges, calls."""
        return self._book.board

    # -- in -----------------------------------------------------------------------------------------------------

    def process(self, event: Event, at: float) -> list[Fact]:
        """Take in one event; what follows from it, in order of cause."""
        handler = HANDLERS.get(event.name)
        if handler is not None:
            handler(self._book, event, at)
        elif event.name == "CoreShowChannel":
            self._listings.setdefault(event.get("ActionID"), []).append(event)
        elif event.name == "CoreShowChannelsComplete":
            self._take_listing(event, at)
        elif event.name == "FullyBooted":
            self._booted(event, at)
        return self._take()

    def connected(self, at: float) -> None:
        self._connected_at = at
        self._book.listed_by = at + LISTED_WITHIN
        self.is_synced = False
        self._listings.clear()

    def lost(self, at: float) -> None:
        """The connection is gone. Calls go on until a snapshot of the next one tells."""
        self._book.lost_at = at
        self.is_synced = False

    @property
    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do."""
        # Both are in order of time, since what is added has the same delay.
        ending = next((call.finish_at for call in self._book.ending.values()), None)
        suspect = next(iter(self._book.suspects.values()), None)
        return ending if suspect is None else suspect if ending is None else min(ending, suspect)

    def tick(self, at: float) -> list[Fact]:
        """Do what is due."""
        for uniqueid in [uniqueid for uniqueid, due in self._book.suspects.items() if due <= at]:
            del self._book.suspects[uniqueid]
            channel = self.board.channels.get(uniqueid)
            if channel is not None and channel.is_live:
                self._book.vanish(channel, at, "not in the list of channels")
                self._book.advance(channel.call, at, f"{channel.full_name} ended unseen")
        for call in [
            call for call in self._book.ending.values() if call.finish_at is not None and call.finish_at <= at
        ]:
            self._book.finish(call, at)
        return self._take()

    def finish(self, at: float) -> list[Fact]:
        """There will be no more events (the end of a replay): tell every call, those still up as they stand."""
        for call in list(self.board.calls.values()):
            self._book.finish(call, at)
        return self._take()

    def live_calls(self) -> list[Call]:
        return [call for call in self.board.calls.values() if call.ended_at is None]

    @property
    def unfinished_since(self) -> float | None:
        """When the oldest channel was made of all calls that are not told yet; None if there is none."""
        calls = self.board.calls.values()
        return min((channel.created_at for call in calls for channel in call.channels.values()), default=None)

    def taking_part(self) -> set[tuple[str, str]]:
        """(call id, extension) of everybody who rings or talks."""
        return {
            (call.id, part.extension)
            for call in self.live_calls()
            for part in call.participations
            if part.ended_at is None
        }

    def remember(self, parts: Iterable[Remembered]) -> None:
        """What an earlier run began and did not end: what turns up in the snapshot goes on under the same name."""
        for part in parts:
            self.board.remembered.setdefault(part.call_id, {})[part.extension] = part

    def _take(self) -> list[Fact]:
        facts, self._book.facts = self._book.facts, []
        return facts

    # -- snapshots -----------------------------------------------------------------------------------------------

    def _take_listing(self, event: Event, at: float) -> None:
        items = self._listings.pop(event.get("ActionID"), [])
        count = event.get("ListItems")
        if whole(count, len(items)) != len(items):
            self._book.listed_by = at
            because = f"CoreShowChannels announced {count} channels and listed {len(items)}: not used"
            self._book.facts.append(Oddity(call_id="", at=at, because=because))
            return
        self.resync(items, at)

    def resync(self, listing: Iterable[Event], at: float) -> None:
        """Reconcile with CoreShowChannel items: end what is gone, adopt what is new, go on with the rest."""
        self._book.listed_by = at
        items = sorted(listing, key=lambda item: creation_order(item.get("Uniqueid")))
        for item in items:
            self.board.recognise(item.get("Uniqueid"), item.get("Linkedid"), at)
        listed = {item.get("Uniqueid") for item in items}
        for channel in self.board.live_channels:
            if channel.uniqueid not in listed:
                if channel.seen_at < self._connected_at:
                    self._book.vanish(channel, at, "gone when the connection was back")
                else:
                    self._book.suspects.setdefault(channel.uniqueid, at + SUSPICION)
        for item in items:
            self._restore(item, at)
        self._advance_all(at, "list of channels")
        self.board.forget_remembered()
        for call in self.live_calls():
            for participation in call.participations:
                if participation.ended_at is None and call.inferred:  # somebody sent the customer on unseen
                    self._book.notice_sent_on(call, "blind", participation.extension, at, "list of channels")
                    self._book.advance(call, at, "list of channels")
        self.is_synced = True

    def _advance_all(self, at: float, because: str) -> None:
        """Several channels changed at once, some of them (those that vanished) some time ago."""
        for call in self.live_calls():
            self._book.advance(call, at, because)
        self._book.facts.sort(key=lambda fact: fact.at)

    def _restore(self, item: Event, at: float) -> None:
        is_new = item.get("Uniqueid") not in self.board.channels
        channel = self._book.channel(item, at)
        if channel is None or not channel.is_live:
            return
        created_at = at - _seconds(item.get("Duration"))
        if is_new or created_at < channel.created_at - DURATION_SLACK:  # older than our connection
            channel.created_at = created_at
            channel.call.is_adopted = True
            channel.call.started_at = min(channel.call.started_at, created_at)
        bridge = item.get("BridgeId")
        if bridge and channel.bridge != bridge:
            self.board.enter_bridge(channel, bridge, "")
        elif not bridge and channel.bridge:
            self.board.leave_bridge(channel)
        if channel.leg is None or (is_new and channel.leg.caller is None):  # that it rings has made a leg already
            self._restore_leg(channel, item.get("Application"), at)

    def _restore_leg(self, channel: Channel, application: str, at: float) -> None:
        """A dialled channel runs AppDial or AppQueue (its caller is in Dial or Queue), or AppDial2 (it is an
        Originate's; main/dial.c)."""
        if application not in ("AppDial", "AppQueue", "AppDial2"):
            return
        source = channel.call.source
        channel.originated = application == "AppDial2" and channel is source
        caller = source.half or source if source is not None else None  # a Local;1's other half runs the dialplan
        if caller is channel or source is channel or (caller is not None and caller.bridge != channel.bridge):
            caller = None  # who dials is in no bridge while it rings, and in the same one later
        leg = self._book.begin_leg(channel, caller, "", at)
        if channel.state == ChannelState.UP:
            leg.rang_at = leg.began_at = channel.created_at
            leg.answered_at = leg.ended_at = at
            leg.status = "ANSWER"
        if (
            channel.state in (ChannelState.RINGING, ChannelState.UP) or channel.originated
        ):  # else its DialBegin may come
            self._book.direct(channel.call, leg, at, "list of channels")

    def _booted(self, event: Event, at: float) -> None:
        """A server that was up for less time than a channel has lived restarted in between: the channel is gone."""
        uptime = whole(event.get("Uptime"), -1)
        if uptime < 0:
            return
        booted_at = at - uptime - BOOT_SLACK
        for channel in self.board.live_channels:
            if channel.seen_at < booted_at or (self._book.lost_at is not None and channel.created_at < booted_at):
                self._book.vanish(channel, at, "Asterisk was restarted")
        self._advance_all(at, "FullyBooted")


def _seconds(duration: str) -> float:
    """``hh:mm:ss`` of a CoreShowChannel; hours may exceed 99."""
    parts = [whole(part, 0) for part in duration.split(":")[:3]]
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))
