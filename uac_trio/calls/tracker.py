"""AMI events to facts about calls: one tracker to a PBX.

The way of an event: adapter (``adapters.py`` chooses it) -> call graph -> direction -> participations -> facts. Here
are the order of these steps, the clock, and the reconciliation with listings of channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from uac_trio.ami.message import Event
from uac_trio.calls import direction, handover, recording
from uac_trio.calls.adapters import Adapter, AmiGeneration, adapter_for, generation_of
from uac_trio.calls.call import (
    Call,
    CallEnd,
    ClickOrder,
    Direction,
    Orientation,
    Remembered,
    Unseen,
)
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.call_outcome import call_status, far_legs
from uac_trio.calls.change import Change, Merge
from uac_trio.calls.channel import Channel, HangUp
from uac_trio.calls.channel_events import (
    AttendedTransferred,
    BlindTransferred,
    CdrWritten,
    ChannelEvent,
    ChannelsListed,
    ListedChannel,
    ListingUnusable,
    OriginateEnded,
    Parked,
    QueueJoined,
    RecordingStarted,
    ServerBooted,
    ServerLacks,
    SnapshotEvent,
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.click import CHANNEL_ID_PREFIX, is_click, order_of
from uac_trio.calls.company import is_anothers, is_ours
from uac_trio.calls.conversation import Answer
from uac_trio.calls.deadlines import Deadlines
from uac_trio.calls.endpoint import Evidence, Identity
from uac_trio.calls.fact import (
    CallBegan,
    CallEnded,
    CallerQueued,
    CallMerged,
    CallTransferred,
    Fact,
    NotAnEmployee,
    Oddity,
)
from uac_trio.calls.names import creation_order
from uac_trio.calls.participations import Moment, advance, end_participation, own_unreached, recordings, stop_clocks
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.stuck import StuckCalls
from uac_trio.calls.summary import summarise

SUSPICION = 1.0
"""Seconds a channel that a listing lacks is given for its Hangup, which may be under way (the list is read from a cache
that can be ahead of the events)."""

ORDER_LASTS = 600.0
"""Seconds after which an Originate of ours is forgotten of which no channel was seen: its channel is made at once, but
a connection that broke in that moment may take its time to come back."""

BOOT_SLACK = 2.0
"""Seconds by which FullyBooted's Uptime (whole seconds) and a channel's first event may be off."""

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
    _ending: Deadlines[Call] = attrs.field(factory=Deadlines, init=False)
    """By call id: calls that are over; finished when they are due, the end plus the time a Cdr may take."""
    _stuck: StuckCalls = attrs.field(factory=StuckCalls, init=False)
    _connected_at: float = attrs.field(default=0.0, init=False)
    _lost_at: float | None = attrs.field(default=None, init=False)
    """When the last connection was lost."""
    listed_channels: frozenset[str] | None = attrs.field(default=None, init=False)
    """Uniqueids that the next list of channels is about, where event logs are replayed; None: all there are."""
    _merged: list[tuple[str, str]] = attrs.field(factory=list, init=False)
    _dropped: list[str] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.graph = CallGraph(self.pbx, self.rules)
        self._adapter = adapter_for("", self.rules)

    # -- in ---------------------------------------------------------------------------------------------------------

    def process(self, event: Event, at: float) -> list[Fact]:
        """Take in one AMI event; the facts that follow from it, in order of cause."""
        facts: list[Fact] = []
        for channel_event in self._adapter.translate(event):
            if self.graph.is_bridge_overdue(channel_event):
                facts += self._miss_bridges(at)
            if isinstance(channel_event, SnapshotEvent):
                facts += self._compare(channel_event, at)
            else:
                facts += self._conclude(channel_event, self.graph.apply(channel_event, at), at)
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
        graph = self.graph
        return min(
            self._stuck.next_deadline, graph.bridge_due, self._ending.first, graph.missing.first, graph.orders.first
        )

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
            facts += self._advance(channel.call, [channel], Moment(at, f"{channel.full_name} ended unseen", self.graph))
        for _, call, _ in self._ending.due(at):
            facts += self._finish(call, at)
        for call in self._stuck.due(at):
            facts += self._end_stuck(call, at)
        return facts

    def take_listing_request(self, at: float) -> bool:
        """Whether to ask the PBX for a list of its channels now: a call may have ended unseen. True is rare."""
        return self._stuck.take_listing_request(at)

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
        merged, dropped = self._merged, self._dropped
        self._merged, self._dropped = [], []
        return merged, dropped

    def live_calls(self) -> list[Call]:
        return [call for call in self.graph.calls.values() if call.end is None and not call.channels.are_idle]

    @property
    def unfinished_since(self) -> float | None:
        """When the oldest channel was made of all unfinished calls; None if there is none."""
        calls = self.graph.calls.values()
        return min((channel.created_at for call in calls for channel in call.channels), default=None)

    def taking_part(self, *, is_announced: bool = False) -> set[tuple[str, str]]:
        """(call id, extension) of all who ring or talk; of whom ParticipationBegan was emitted if ``is_announced``."""
        return {
            (call.id, part.extension)
            for call in self.live_calls()
            for part in call.participations.unfinished
            if part.is_announced or not is_announced
        }

    # -- conclusions -------------------------------------------------------------------------------------------------

    def _conclude(self, event: ChannelEvent, change: Change, at: float) -> Iterator[Fact]:
        """What follows from an event that the graph has taken in."""
        self._keep_open(change.reopened)
        for merge in change.merges:
            yield from self._close_absorbed(merge, Moment(at, merge.because, self.graph))
        now = Moment(at, event, self.graph)
        yield from self._take_notes(event, now)
        for leg in change.legs:
            yield from handover.notice_leg(leg.channel.call, leg, now)
        yield from self._follow(change.channels, now)
        for leg in change.rang:
            if leg.channel.is_line:
                yield from _not_an_employee(leg.channel.call, leg.channel, now)

    def _follow(self, channels: Iterable[Channel], now: Moment) -> Iterator[Fact]:
        """Direction, then participations of each call that has a touched channel."""
        for call, touched in self._by_call(channels):
            before = call.orientation
            for channel in touched:
                yield from self._orient_by(call, channel, now)
            yield from self._advance(call, touched if call.orientation is before else _all_of(call, touched), now)
            visit = call.queue.visit
            if visit is not None and visit.waiting is not None and call.conversation.answer is not None:
                yield from handover.notice_sent_on(call, "redirect", visit.queue, now, because=handover.REDIRECT)

    def _by_call(self, channels: Iterable[Channel]) -> Iterable[tuple[Call, list[Channel]]]:
        """The channels of each call; one whose call was merged belongs to its home too, where that still goes on."""
        by_call: dict[str, tuple[Call, list[Channel]]] = {}
        for channel in channels:
            by_call.setdefault(channel.call.id, (channel.call, []))[1].append(channel)
            home = channel.home
            if home is not None and home.id in self.graph.calls and not home.merged_into:
                by_call.setdefault(home.id, (home, []))[1].append(channel)
        return by_call.values()

    def _orient_by(self, call: Call, channel: Channel, now: Moment) -> Iterator[Fact]:
        leg = channel.leg
        if leg is not None and channel.is_person:
            for end, identity in direction.shown_by(call, leg, self.rules):
                self.graph.identify(end, identity)
        yield from self._orient(call, direction.orient(call, channel, self.rules), now)

    def _orient(self, call: Call, orientation: Orientation, now: Moment) -> Iterator[Fact]:
        before = call.orientation
        if orientation is before or orientation == before:
            return
        if orientation.direction is Direction.INTERNAL and _is_customers(call):
            return  # the customer's channel may be the first to leave; what is announced of them ends as theirs
        call.orientation = orientation
        if orientation.direction is Direction.INBOUND and not call.has_met_line:
            call.has_met_line = True
        if orientation.direction is before.direction or orientation.direction is None:
            return
        if before.direction is Direction.INTERNAL:
            for participation in call.participations:  # between colleagues until now, a customer's call from now on
                participation.is_announced = participation.ended_at is not None
        yield from self._announce(call, now)

    def _announce(self, call: Call, now: Moment) -> Iterator[Fact]:
        """CallBegan, once the direction is known, and again if it turns out to be another."""
        parties = call.orientation
        if parties.direction is None or parties.direction is call.announced_as or not is_ours(call, self.rules):
            return
        call.announced_as = parties.direction
        yield CallBegan(
            call_id=call.id, at=now.at, because=now.because, direction=parties.direction, customer=parties.customer,
            did=parties.did,
        )  # fmt: skip

    def _advance(self, call: Call, touched: Iterable[Channel], now: Moment) -> Iterator[Fact]:
        if call.merged_into:
            return  # concluded as it was; its channels are the survivor's
        yield from self._announce(call, now)
        yield from advance(call, touched, now)
        call.seen_at = max(call.seen_at, now.at)
        if call.end is None and not call.channels.live:
            self._end(call, now.at)
        else:
            self._stuck.look(call, now.at)

    def _end(self, call: Call, at: float) -> None:
        """It has no channel any more; what may still come of it is waited for."""
        call.end = CallEnd(call.channels.last_end(at))
        self._ending.add(call.id, call, at + self.rules.linger)

    def _keep_open(self, reopened: Iterable[Call]) -> None:
        """They have a live channel again."""
        for call in reopened:
            self._ending.pop(call.id)

    def _close_absorbed(self, merge: Merge, now: Moment) -> Iterator[Fact]:
        """The absorbed call ends, and is reported as it was if it was one that people made."""
        absorbed = merge.absorbed
        for participation in absorbed.participations.unfinished:
            yield from end_participation(absorbed, participation, now)
        absorbed.conversation.end(now.at)
        absorbed.participations.undecided.clear()
        absorbed.end = CallEnd(now.at, merged_into=merge.survivor.id)
        self._merged.append((absorbed.id, merge.survivor.id))
        if absorbed.legs:
            yield CallMerged(call_id=absorbed.id, at=now.at, because=now.because, into=merge.survivor.id)
        self._ending.add(absorbed.id, absorbed, now.at + self.rules.linger)

    def _take_notes(self, event: ChannelEvent, now: Moment) -> Iterator[Fact]:
        """What some events mean beyond the graph."""
        match event:
            case BlindTransferred():
                yield from handover.blind(self.graph, event, now)
            case AttendedTransferred():
                yield from handover.attended(self.graph, event, now)
            case Parked():
                handover.parked(self.graph, event, now)
            case Unparked():
                yield from handover.unparked(self.graph, event, now)
            case QueueJoined():
                yield from self._queued(event, now)
            case OriginateEnded() if not event.is_success:
                yield from self._originate_failed(event, now)
            case ServerLacks():
                yield Oddity(call_id="", at=now.at, because=event.what)
            case CdrWritten() | VoicemailStarted() | RecordingStarted():
                recording.take(self.graph, event)
            case _:
                pass

    def _queued(self, event: QueueJoined, now: Moment) -> Iterator[Fact]:
        channel = self.graph.find(event.channel)
        if channel is None:
            return
        call = channel.call
        yield from handover.notice_sent_on(call, "redirect", event.queue, now, because=handover.REDIRECT)
        because = f"QueueCallerJoin {channel.full_name}"
        yield CallerQueued(call_id=call.id, at=now.at, because=because, queue=event.queue, position=event.position)

    def _originate_failed(self, event: OriginateEnded, now: Moment) -> Iterator[Fact]:
        """It names what would have been dialled: the customer of a click whose CallerID was not the customer's."""
        call = self._originated(event, now.at)
        if call is None:
            return
        asked = order_of(event, call.click.order, self.rules)
        call.click.failure = asked
        is_internal = self.rules.is_extension(asked.number)
        if call.source is not None and asked.number and not is_internal and not call.orientation.customer:
            call.orientation = attrs.evolve(call.orientation, customer=asked.number)
            because = Moment(now.at, "OriginateResponse Failure", self.graph)
            yield from self._advance(call, call.channels, because)

    def _originated(self, event: OriginateEnded, at: float) -> Call | None:
        """The call of a failed Originate. Without a ChannelId of the client's the response has no Uniqueid, only the
        channel that was asked for (main/pbx.c); its call is just ending."""
        graph = self.graph
        source = graph.channels.get(event.uniqueid)
        if source is not None:
            return source.call
        if not event.uniqueid.startswith(CHANNEL_ID_PREFIX):
            asked = event.asked.removesuffix("/n") + "-"
            named = (channel for channel in reversed(graph.channels.values()) if channel.full_name.startswith(asked))
            source = next((channel for channel in named if channel.is_originated), None)
            return source.call if source is not None else None
        if graph.is_gone(event.uniqueid):
            return None
        # No channel could be made, or its Newchannel is still on its way.
        call = graph.call_of_click(event.uniqueid, at)
        self._end(call, at)
        return call

    # -- ends --------------------------------------------------------------------------------------------------------

    def _finish(self, call: Call, at: float) -> Iterator[Fact]:
        """Emit the call's last facts and drop it."""
        self._ending.pop(call.id)
        now = Moment(at, "the call is over", self.graph)
        if call.end is None:
            now = Moment(at, "the recording of events ends here", self.graph)
            call.unseen |= Unseen.END
            for participation in call.participations.unfinished:
                yield from end_participation(call, participation, now)
        if self._is_reported(call):
            ended_at = call.end.at if call.end is not None else at
            call.orientation = direction.at_the_end(call, self.rules)
            yield from self._own_unreached(call, Moment(ended_at, "no employee's phone rang", self.graph))
            yield from recordings(call, now)
            summary = summarise(call, at, self.graph.shows_hangup_requests)
            yield CallEnded(call_id=call.id, at=at, because=now.because, ended_at=ended_at, summary=summary)
        self._stuck.forget(call)
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
        yield from self._advance(call, call.channels, Moment(at, because, self.graph))

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
                facts += self._advance(call, call.channels.live, now)
        self.is_synced = True
        facts.sort(key=lambda fact: fact.at)
        yield from facts

    def _miss_bridges(self, at: float) -> Iterator[Fact]:
        self.graph.miss_bridges()
        yield from self._advance_all(Moment(at, "answered, and no BridgeEnter followed", self.graph))

    def _advance_all(self, now: Moment) -> Iterator[Fact]:
        """Several channels changed at once, some of them (those that vanished) some time ago."""
        for call in [call for call in self.graph.calls.values() if call.end is None]:
            yield from self._advance(call, call.channels, now)

    def _restore(self, item: ListedChannel, is_new: bool, at: float) -> Iterator[Fact]:
        """The channel, its call and its bridge."""
        channel, change = self.graph.restore(item, at)
        self._keep_open(change.reopened)
        if channel is None or not channel.is_live:
            return
        now = Moment(at, "list of channels", self.graph)
        if is_new and channel.call.participations.remembered and channel.call.direction is None:
            yield from self._recall(channel.call, now)
        if is_new:
            self._recognise_caller(channel)
        for merge in change.merges:
            yield from self._close_absorbed(merge, now)

    def _restore_leg(self, item: ListedChannel, is_new: bool, at: float) -> Iterator[Fact]:
        """Who dialled it, now that all channels and bridges are there."""
        channel = self.graph.find(item.view)
        if channel is None or not channel.is_live:
            return
        call, now = channel.call, Moment(at, "list of channels", self.graph)
        if channel.leg is None or (is_new and channel.leg.caller is None):  # that it rings has made a leg already
            if self.graph.restore_leg(channel, item.application, at):
                yield from self._orient_by(call, channel, now)
            else:
                yield from self._orient(call, direction.by_listing(call, channel), now)
        elif channel is call.source:
            yield from self._orient_by(call, channel, now)

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
        yield from self._orient(call, orientation, Moment(now.at, "reported before the restart", self.graph))

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


def _is_customers(call: Call) -> bool:
    """Whether an employee's part in it was announced as one with a customer."""
    return call.direction not in (None, Direction.INTERNAL) and call.participations.is_announced


def _all_of(call: Call, touched: Iterable[Channel]) -> Iterable[Channel]:
    """Another direction concerns all who are in the call."""
    return {**dict.fromkeys(touched), **call.channels.live}


def _not_an_employee(call: Call, channel: Channel, now: Moment) -> Iterator[Fact]:
    """A phone rings that is no employee's by the rules. A line that was dialled with an outside number is expected."""
    evidence = channel.identity.evidence
    if evidence in (Evidence.DIALLED, Evidence.TRUNKS):
        return
    because = f"{channel.full_name} rang: no employee, since {evidence.value}"
    yield NotAnEmployee(call_id=call.id, at=now.at, because=because, channel=channel.full_name)
