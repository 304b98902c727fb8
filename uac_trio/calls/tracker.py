"""AMI events to facts about calls: one tracker to a PBX.

The way of an event: adapter (``adapters.py`` chooses it) -> call graph -> direction -> participations -> facts. The
last three are in ``conclusions.py``. Here are connection and clock, the end of calls, and the reconciliation with
listings of channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from uac_trio.ami.message import Event
from uac_trio.calls import direction, handover
from uac_trio.calls.adapters import Adapter, AmiGeneration, adapter_for, generation_of
from uac_trio.calls.call import (
    Call,
    ClickOrder,
    Direction,
    Remembered,
    Unseen,
)
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.call_outcome import call_status, far_legs
from uac_trio.calls.channel import Channel, HangUp
from uac_trio.calls.channel_events import (
    ChannelEvent,
    ChannelsListed,
    ListedChannel,
    ListingUnusable,
    ServerBooted,
    SnapshotEvent,
)
from uac_trio.calls.click import is_click
from uac_trio.calls.company import is_anothers
from uac_trio.calls.conclusions import Conclusions
from uac_trio.calls.conversation import Answer
from uac_trio.calls.endpoint import Evidence, Identity
from uac_trio.calls.fact import (
    CallEnded,
    CallerQueued,
    CallMerged,
    CallTransferred,
    Fact,
    LooksLikeBoth,
    Oddity,
)
from uac_trio.calls.names import creation_order
from uac_trio.calls.participations import Moment, end_participation, own_unreached, recordings, stop_clocks
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.summary import summarise

SUSPICION = 1.0
"""Seconds a channel that a listing lacks is given for its Hangup, which may be under way (the list is read from a cache
that can be ahead of the events)."""

ORDER_LASTS = 600.0
"""Seconds after which an Originate of ours is forgotten of which no channel was seen: its channel is made at once, but
a connection that broke in that moment may take its time to come back."""

BOOT_SLACK = 2.0
"""Seconds by which FullyBooted's Uptime (whole seconds) and a channel's first event may be off."""

EVENTS_END = "the recording of events ends here"
"""Why facts follow of calls that are open at the end of a replay."""

LISTED_WITHIN = 10.0
"""Seconds after a login in which the list of channels is expected. It may be refused."""


@attrs.define
class CallTracker:
    """The calls of one PBX. All times are seconds since the epoch."""

    pbx: str
    rules: TrackerRules = attrs.field(factory=TrackerRules)
    graph: CallGraph = attrs.field(init=False)
    is_synced: bool = attrs.field(default=False, init=False)
    """A snapshot of the present connection was reconciled: what is not known here does not exist."""
    _generation: AmiGeneration = attrs.field(default=AmiGeneration.AMI_2, init=False)
    _adapter: Adapter = attrs.field(init=False)
    _conclusions: Conclusions = attrs.field(init=False)
    _connected_at: float = attrs.field(default=0.0, init=False)
    _lost_at: float | None = attrs.field(default=None, init=False)
    """When the last connection was lost."""
    listed_channels: frozenset[str] | None = attrs.field(default=None, init=False)
    """Uniqueids that the next list of channels is about, where event logs are replayed; None: all there are."""
    _dropped: list[str] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.graph = CallGraph(self.pbx, self.rules)
        self._conclusions = Conclusions(self.graph, self.rules)
        self._adapter = adapter_for("", self.rules)

    # -- in ---------------------------------------------------------------------------------------------------------

    def process(self, event: Event, at: float) -> list[Fact]:
        """Take in one AMI event; the facts that follow from it, in order of cause."""
        return self.take(self._adapter.translate(event), at)

    def take(self, events: Iterable[ChannelEvent], at: float) -> list[Fact]:
        """Take in what happened at one time, whatever showed it."""
        facts: list[Fact] = []
        for event in events:
            if self.graph.is_bridge_overdue(event):
                facts += self._miss_bridges(at)
            if isinstance(event, SnapshotEvent):
                facts += self._compare(event, at)
            else:
                facts += self._conclusions.of_change(event, self.graph.apply(event, at), at)
        return [fact for fact in facts if self._is_shown(fact)] if self.rules.is_shared() else facts

    def _is_shown(self, fact: Fact) -> bool:
        """Of a call that may be another company's, only which phone is no employee's."""
        call = self.graph.calls.get(fact.call_id)
        is_about_call = isinstance(fact, CallerQueued | CallTransferred | CallMerged)
        return not is_about_call or call is None or call.announced_as is not None

    def greeted(self, banner: str) -> None:
        """The server's first line shows which AMI it speaks; until one comes it is taken for AMI 2 or later."""
        generation = generation_of(banner)
        if generation is not self._generation:
            self._generation, self._adapter = generation, adapter_for(banner, self.rules)
            # Bridge is of the same class as all that AMI 1.x shows of calls, so that no filter of classes hides it.
            self.graph.expect_bridges(generation is AmiGeneration.AMI_1)

    def connected(self, at: float, banner: str = "") -> None:
        """Logged in. ``banner``: the server's first line; "" = the same server as before."""
        if banner:
            self.greeted(banner)
        self._connected_at = at
        self.graph.expect_listing(at + LISTED_WITHIN)
        self.is_synced = False
        self._adapter.disconnected()

    def lost(self, at: float) -> None:
        """The connection is gone. Calls go on until a snapshot of the next one shows their state."""
        self._lost_at = at
        self.is_synced = False

    def ordered(self, order: ClickOrder, at: float) -> None:
        """We ask Asterisk for a click: whatever rings for its first channel rings for this employee. Until Asterisk
        shows that channel there is no call."""
        self.graph.orders.add(order.channel_id, order, at + ORDER_LASTS)
        self._adapter.ordered(order.channel, order.channel_id)

    def order_refused(self, channel_id: str) -> None:
        """Asterisk did not take the order."""
        order = self.graph.orders.pop(channel_id)
        if order is not None:
            self._adapter.withdrawn(order.channel, channel_id)

    @property
    def next_deadline(self) -> float:
        """When ``tick`` has something to do; infinity = never."""
        graph, conclusions = self.graph, self._conclusions
        firsts = (graph.bridge_due, graph.missing.first, graph.orders.first)
        return min(conclusions.stuck.next_deadline, conclusions.ending.first, *firsts)

    def tick(self, at: float) -> list[Fact]:
        """Do what is due."""
        facts: list[Fact] = []
        for channel_id, *_ in self.graph.orders.due(at):
            self.order_refused(channel_id)
            self._dropped.append(f"{self.pbx}-{channel_id}")  # the call that it did not become
        if self.graph.bridge_due <= at:
            facts += self._miss_bridges(at)
        missing = self.graph.missing.due(at)
        for uniqueid, *_ in missing:
            self.graph.missing.pop(uniqueid)
        known = self.graph.channels
        gone = [channel for uniqueid, channel, _ in missing if channel.is_live and known.get(uniqueid) is channel]
        facts += self._vanish(gone, at, "not in the list of channels")
        for channel in gone:
            facts += self._conclusions.advance(
                channel.call, [channel], Moment(at, f"{channel.full_name} ended unseen", self.graph)
            )
        for _, call, _ in self._conclusions.ending.due(at):
            facts += self._finish(call, at)
        for call in self._conclusions.stuck.due(at):
            facts += self._end_stuck(call, at)
        return facts

    def take_listing_request(self, at: float) -> bool:
        """Whether to ask the PBX for a list of its channels now: a call may have ended unseen. True is rare."""
        return self._conclusions.stuck.take_listing_request(at)

    def finish(self, at: float) -> list[Fact]:
        """There will be no more events (the end of a replay): conclude every call, those still up as they stand."""
        return [fact for call in list(self.graph.calls.values()) for fact in self._finish(call, at)]

    def remember(self, parts: Iterable[Remembered]) -> None:
        """What an earlier run began and did not end: what turns up in the snapshot goes on under the same name."""
        for part in parts:
            self.graph.remembered.setdefault(part.call_id, {})[part.extension] = part

    # -- out --------------------------------------------------------------------------------------------------------

    @property
    def calls(self) -> dict[str, Call]:
        """Unfinished calls by id."""
        return self.graph.calls

    def call_of(self, uniqueid: str) -> Call | None:
        """The call that a channel is in, also when it hung up; of an Originate without a channel that of its name."""
        channel = self.graph.channels.get(uniqueid)
        return channel.call if channel is not None else self.graph.calls.get(f"{self.pbx}-{uniqueid}")

    def take_changes(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Since the last time: (absorbed, survivor) of calls that were merged, and calls that were dropped."""
        merged, dropped = self._conclusions.merged, self._dropped
        self._conclusions.merged, self._dropped = [], []
        return merged, dropped

    def live_calls(self) -> list[Call]:
        return [call for call in self.graph.calls.values() if call.end is None and not call.channels.are_idle]

    def taking_part(self, *, is_announced: bool = False) -> set[tuple[str, str]]:
        """(call id, extension) of all who ring or talk; of whom ParticipationBegan was emitted if ``is_announced``."""
        return {
            (call.id, part.extension)
            for call in self.live_calls()
            for part in call.participations.unfinished
            if part.is_announced or not is_announced
        }

    # -- ends --------------------------------------------------------------------------------------------------------

    def _finish(self, call: Call, at: float) -> Iterator[Fact]:
        """Emit the call's last facts and drop it."""
        self._conclusions.ending.pop(call.id)
        now = Moment(at, "the call is over", self.graph)
        if call.end is None:
            now = Moment(at, EVENTS_END, self.graph)
            call.unseen |= Unseen.END
            for participation in call.participations.unfinished:
                yield from end_participation(call, participation, now)
        if self._is_reported(call):
            ended_at = call.end.at if call.end is not None else at
            call.orientation = direction.at_the_end(call, self.rules)
            yield from self._own_unreached(call, Moment(ended_at, "no employee's phone rang", self.graph))
            yield from recordings(call, now)
            yield from _looking_like_both(call, now, self.rules)
            summary = summarise(call, at, self.graph.shows_hangup_requests)
            yield CallEnded(call_id=call.id, at=at, because=now.because, ended_at=ended_at, summary=summary)
        self._conclusions.stuck.forget(call)
        self.graph.forget(call)
        self._dropped.append(call.id)

    def _is_reported(self, call: Call) -> bool:
        """Whether people made this call. What never was one of its own: a pickup, the retrieval of a parked call, the
        recall after a transfer, an agent who waits on the line, another company's call on a shared PBX."""
        is_announced = call.participations.is_announced
        if call.merged_into and not far_legs(call) and not is_announced:
            return False
        if is_click(call):
            return True
        return bool(call.channels.people) and not call.is_agents and (is_announced or not is_anothers(call, self.rules))

    def _own_unreached(self, call: Call, now: Moment) -> Iterator[Fact]:
        """An incoming call for which no employee's phone rang must not vanish: it gets an owner, if one is set."""
        parties = call.orientation
        owner = self.rules.owner_of_unreached(call.queue.entry, parties.did)
        is_unreached = parties.direction is Direction.INBOUND and not call.participations and not call.merged_into
        if owner and is_unreached:
            yield from own_unreached(call, owner, call_status(call, self.graph.shows_hangup_requests), now)

    def _end_stuck(self, call: Call, at: float) -> Iterator[Fact]:
        because = "silent since its other parties were gone, and no list of channels shows it"
        yield from self._vanish(list(call.channels.live), at, because)
        yield from self._conclusions.advance(call, call.channels, Moment(at, because, self.graph))

    def _vanish(self, channels: Iterable[Channel], at: float, because: str) -> Iterator[Fact]:
        """Channels ended unseen; when, is not known: as long ago as can be. What follows is left to ``_advance``."""
        lost_at = self._lost_at
        ends: dict[tuple[Call, float], None] = {}
        for channel in channels:
            call = channel.call
            ended_at = min(at, lost_at) if lost_at is not None and channel.seen_at <= lost_at else at
            ended_at = max(ended_at, call.seen_at)
            call.unseen |= Unseen.END
            self.graph.hang_up(channel, HangUp(ended_at))
            ends[call, ended_at] = None
            yield Oddity(call_id=call.id, at=ended_at, because=f"{channel.full_name} ended unseen: {because}")
        for call, ended_at in ends:
            stop_clocks(call, ended_at, self.graph)

    # -- snapshots ---------------------------------------------------------------------------------------------------

    def _compare(self, event: SnapshotEvent, at: float) -> Iterator[Fact]:
        match event:
            case ChannelsListed():
                yield from self._reconcile(event.channels, at)
            case ListingUnusable():
                self.graph.expect_listing(at)
                because = f"CoreShowChannels announced {event.announced} channels and listed {event.listed}: not used"
                yield Oddity(call_id="", at=at, because=because)
            case ServerBooted():
                yield from self._booted(event, at)
            case _:
                pass

    def _reconcile(self, listed: Sequence[ListedChannel], at: float) -> Iterator[Fact]:
        """Compare a listing with what is known: end what is gone, adopt what is new, go on with the rest."""
        facts: list[Fact] = []
        graph = self.graph
        graph.expect_listing(at)
        items = sorted(listed, key=lambda item: creation_order(item.view.uniqueid))
        for item in items:
            graph.recognise(item.view, at)
        known = {item.view.uniqueid for item in items}
        about, self.listed_channels = self.listed_channels, None
        unlisted = [
            channel
            for channel in graph.live_channels
            if channel.uniqueid not in known and (about is None or channel.uniqueid in about)
        ]
        gone = [channel for channel in unlisted if channel.seen_at < self._connected_at]
        facts += self._vanish(gone, at, "gone when the connection was back")
        for channel in unlisted:
            if channel.is_live and channel.uniqueid not in graph.missing:
                graph.missing.add(channel.uniqueid, channel, at + SUSPICION)
        new = known - graph.channels.keys()
        for item in items:
            facts += self._restore(item, item.view.uniqueid in new, at)
        for item in items:
            facts += self._restore_leg(item, item.view.uniqueid in new, at)
        now = Moment(at, "list of channels", graph)
        facts += self._advance_all(now)
        graph.forget_remembered()
        for call in [call for call in self.live_calls() if call.is_inferred]:
            for participation in call.participations.unfinished:
                # the customer was sent on unseen
                to = participation.extension
                facts += handover.notice_sent_on(call, "blind", to, now, because="list of channels")
                facts += self._conclusions.advance(call, call.channels.live, now)
        self.is_synced = True
        facts.sort(key=lambda fact: fact.at)
        yield from facts

    def _miss_bridges(self, at: float) -> Iterator[Fact]:
        self.graph.miss_bridges()
        yield from self._advance_all(Moment(at, "answered, and no BridgeEnter followed", self.graph))

    def _advance_all(self, now: Moment) -> Iterator[Fact]:
        """Several channels changed at once, some of them (those that vanished) some time ago."""
        for call in [call for call in self.graph.calls.values() if call.end is None]:
            yield from self._conclusions.advance(call, call.channels, now)

    def _restore(self, item: ListedChannel, is_new: bool, at: float) -> Iterator[Fact]:
        """The channel, its call and its bridge."""
        channel, change = self.graph.restore(item, at)
        self._conclusions.keep_open(change.reopened)
        if channel is None or not channel.is_live:
            return
        now = Moment(at, "list of channels", self.graph)
        if is_new and channel.call.participations.remembered and channel.call.direction is None:
            yield from self._recall(channel.call, now)
        if is_new:
            self._recognise_caller(channel)
        for merge in change.merges:
            yield from self._conclusions.close_absorbed(merge, now)

    def _restore_leg(self, item: ListedChannel, is_new: bool, at: float) -> Iterator[Fact]:
        """Who dialled it, now that all channels and bridges are there."""
        channel = self.graph.find(item.view)
        if channel is None or not channel.is_live:
            return
        call, now = channel.call, Moment(at, "list of channels", self.graph)
        if channel.leg is None or (is_new and channel.leg.caller is None):  # that it rings has made a leg already
            if self.graph.restore_leg(channel, item.application, at):
                yield from self._conclusions.orient_by(call, channel, now)
            else:
                yield from self._conclusions.orient(call, direction.by_listing(call, channel), now)
        elif channel is call.source:
            yield from self._conclusions.orient_by(call, channel, now)

    def _recognise_caller(self, channel: Channel) -> None:
        """The channel that began an outgoing call is its caller's, though it shows the company's number by now."""
        call = channel.call
        operator = call.orientation.operator
        is_first = channel.is_line and channel.uniqueid == call.linkedid
        if is_first and operator and call.direction is Direction.OUTBOUND:
            self.graph.identify(channel, Identity(operator, Evidence.REMEMBERED))

    def _recall(self, call: Call, now: Moment) -> Iterator[Fact]:
        """Go on with what an earlier run reported of the call."""
        parts = list(call.participations.remembered.values())
        orientation = direction.remembered(parts)
        call.has_met_line = call.has_met_line or orientation.direction is not Direction.INTERNAL
        answered = [(part.answered_at, part) for part in parts if part.answered_at is not None]
        if answered:
            at, first = min(answered, key=lambda each: each[0])
            by = first.customer if first.extension == orientation.operator else first.extension
            call.conversation.resume(Answer(at, by))
        yield from self._conclusions.orient(
            call, orientation, Moment(now.at, "reported before the restart", self.graph)
        )

    def _booted(self, event: ServerBooted, at: float) -> Iterator[Fact]:
        """A server that was up for less time than a channel has lived restarted in between: the channel is gone."""
        booted_at = at - event.uptime - BOOT_SLACK
        gone = [
            channel
            for channel in self.graph.live_channels
            if channel.seen_at < booted_at or (self._lost_at is not None and channel.created_at < booted_at)
        ]
        facts = list(self._vanish(gone, at, "Asterisk was restarted"))
        facts += self._advance_all(Moment(at, "FullyBooted", self.graph))
        facts.sort(key=lambda fact: fact.at)
        yield from facts


_TAKEN_FOR_LINE = (Evidence.DIALLED, Evidence.LINE_BEFORE, Evidence.CALLS_IN, Evidence.CONTEXT)


def _looking_like_both(call: Call, now: Moment, rules: TrackerRules) -> Iterator[Fact]:
    """Lines that are named like extensions, ``SIP/33915``: only what they showed so far makes them lines."""
    for channel in call.channels.people:
        evidence = channel.identity.evidence
        if channel.is_line and evidence in _TAKEN_FOR_LINE and rules.is_extension(channel.name.endpoint):
            because = f"{channel.device} is named like an extension; a line, since {evidence.value}"
            yield LooksLikeBoth(call_id=call.id, at=now.at, because=because, endpoint=channel.device, evidence=evidence)
