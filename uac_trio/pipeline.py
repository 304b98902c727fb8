"""The whole path of a call without I/O: AMI messages and the time in, deliveries out.

The daemon and ``replay`` both run this, so they cannot differ. Several PBXes go side by side, with a tracker each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import attrs

from uac_trio.ami.message import Event, Message
from uac_trio.calls.adapters import AmiGeneration, generation_of
from uac_trio.calls.call import ClickOrder, Direction, Remembered
from uac_trio.calls.fact import Fact, OfParticipation, RecordingKnown
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker
from uac_trio.crm.delivery import Delivery, DeliveryMaker, closing
from uac_trio.crm.protocol import CRM
from uac_trio.event_log import LIST_END, EventLogs, LogChanges, LogPart, Replayed, to_replay

MAX_SKEW = 5.0
"""Seconds the PBX's clock may seem to differ from what we think of it before we think again: under load an event is
that late at most."""

LATEST = 4e9
"""A Timestamp beyond the year 2096 is none."""


def _ignore(_: Fact, __: Sequence[Delivery]) -> None:
    """Nothing observes."""


@attrs.frozen
class Begun:
    """A BEGIN of an earlier run that no END followed."""

    begin: Delivery
    answered_at: float | None


@attrs.frozen(kw_only=True)
class Restored:
    """What the event logs led to."""

    misfits: Sequence[str]
    """Calls whose logs do not fit what was begun, and were not used."""
    deliveries: Sequence[Delivery]
    """What followed; most of it is in the outbox, and is dropped there by its key."""


@attrs.define
class _Exchange:
    """One PBX: its calls, its clock, and what an earlier run left open there."""

    tracker: CallTracker
    maker: DeliveryMaker
    logs: EventLogs | None
    ahead: float = 0.0
    """Seconds by which its clock is ahead of ours; 0 while its events carry no Timestamp."""
    last_at: float = 0.0
    left_open: dict[tuple[str, str], Begun] = attrs.field(factory=dict)
    """By call id and subject."""
    not_seen: set[tuple[str, str]] = attrs.field(factory=set)
    """Of these: parts that another connector saw, in calls whose logs do not show them (yet)."""


@attrs.define
class Pipeline:
    """Times handed in are ours, in seconds since the epoch; times in deliveries are the PBX's own where its events
    carry a ``Timestamp`` (``timestampevents=yes`` in manager.conf)."""

    rules: TrackerRules
    crm: CRM
    token: Callable[[RecordingKnown], str]
    """What the link to a recording ends with; "" = there are no links."""
    observe: Callable[[Fact, Sequence[Delivery]], None] = _ignore
    """Is shown every fact with the deliveries that follow from it: for logs, timelines, metrics."""
    run: str = ""
    """Names the event logs; "" = none are kept."""
    _exchanges: dict[str, _Exchange] = attrs.field(factory=dict, init=False)
    _closed: set[tuple[str, str, str]] = attrs.field(factory=set, init=False)
    """Call id, extension and occurrence of what an earlier run left open and no snapshot showed."""

    def connected(self, pbx: str, at: float, banner: str = "") -> list[Delivery]:
        """Logged in. ``banner``: the server's first line, which shows what AMI it speaks; "" = as before. The snapshot
        that is asked for arrives through ``received`` like everything."""
        exchange = self._exchange(pbx)
        exchange.tracker.connected(max(at + exchange.ahead, exchange.last_at), banner)
        if exchange.logs is not None:
            if banner:
                exchange.logs.banner = banner if generation_of(banner) is AmiGeneration.AMI_1 else ""
            exchange.logs.note_connection("connected", at, banner, exchange.tracker.calls.values())
        return []

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> list[Delivery]:
        """What the PBX said, in the order of the wire."""
        exchange = self._exchange(pbx)
        deliveries: list[Delivery] = []
        for message in messages:
            if not isinstance(message, Event):
                continue
            event_at = self._time_of(exchange, message, at)
            deliveries += self._due(exchange, event_at)
            deliveries += self._conclude(exchange, exchange.tracker.process(message, event_at), event_at, message, at)
        return deliveries

    def ordered(self, pbx: str, order: ClickOrder, at: float) -> list[Delivery]:
        """We ask the PBX for a click. Nothing follows from that alone: what comes of it, its events show."""
        exchange = self._exchange(pbx)
        exchange.tracker.ordered(order, max(at + exchange.ahead, exchange.last_at))
        if exchange.logs is not None:
            exchange.logs.note_order(order, at)
        return []

    def order_refused(self, pbx: str, channel_id: str) -> None:
        """The PBX did not take it."""
        exchange = self._exchange(pbx)
        exchange.tracker.order_refused(channel_id)
        if exchange.logs is not None:
            exchange.logs.drop(f"{pbx}-{channel_id}")

    def lost(self, pbx: str, at: float) -> list[Delivery]:
        """The connection is gone; its calls go on until a snapshot shows their state."""
        exchange = self._exchange(pbx)
        exchange.tracker.lost(max(at + exchange.ahead, exchange.last_at))
        if exchange.logs is not None:
            exchange.logs.note_connection("lost", at, "", exchange.tracker.calls.values())
        return []

    def tick(self, at: float) -> list[Delivery]:
        """Do what is due by the clock."""
        deliveries: list[Delivery] = []
        for exchange in self._exchanges.values():
            deliveries += self._due(exchange, at + exchange.ahead)
        return deliveries

    def finish(self, at: float) -> list[Delivery]:
        """The end of a replay: nothing more will come."""
        deliveries: list[Delivery] = []
        for exchange in self._exchanges.values():
            end = max(at + exchange.ahead, exchange.last_at)
            deliveries += self._conclude(exchange, exchange.tracker.finish(end), end)
        return deliveries

    @property
    def next_deadline(self) -> float:
        """When ``tick`` has something to do, by our clock; infinity = never."""
        exchanges = self._exchanges.values()
        return min((exchange.tracker.next_deadline - exchange.ahead for exchange in exchanges), default=math.inf)

    def listings_wanted(self, at: float) -> list[str]:
        """The PBXes to ask for a list of their channels now: a call there may have ended unseen. Rarely any."""
        return [
            pbx
            for pbx, exchange in self._exchanges.items()
            if exchange.tracker.take_listing_request(at + exchange.ahead)
        ]

    @property
    def live_calls(self) -> int:
        return sum(len(exchange.tracker.live_calls()) for exchange in self._exchanges.values())

    def channels(self, pbx: str) -> frozenset[str] | None:
        """Uniqueids, Linkedids and names of the channels of ``pbx`` now; None: not known, until a list of them came."""
        exchange = self._exchanges.get(pbx)
        if exchange is None or not exchange.tracker.is_synced:
            return None
        live = exchange.tracker.graph.live_channels
        return frozenset(name for each in live for name in (each.uniqueid, each.view.linkedid, each.full_name) if name)

    @property
    def has_log_changes(self) -> bool:
        return any(exchange.logs is not None and exchange.logs.has_changes for exchange in self._exchanges.values())

    def take_log_changes(self, of: Collection[str] | None = None) -> list[LogChanges]:
        """What the stored event logs lack, to be written with the deliveries that followed from it: those ``of`` some
        calls, or of all."""
        logs = [exchange.logs for exchange in self._exchanges.values() if exchange.logs is not None]
        return [changes for each in logs if (changes := each.take(of))]

    # -- after a restart ----------------------------------------------------------------------------------------------

    def restore(
        self, pbx: str, left_open: Iterable[Begun], logs: Sequence[LogPart] = (), ended: Sequence[Delivery] = ()
    ) -> Restored:
        """Go on where earlier runs were.

        The logs are replayed and logged anew. Most of what follows was put then (``observe`` is shown it), but not what
        followed from the clock alone, such as the end of a call that is over: its log would be gone.
        ``left_open``: what was begun on this PBX and not ended. With the first snapshot those still in progress go on,
        the others end at its time. ``ended``: the ENDs in calls that have a log.
        """
        begun = {(one.begin.call_id, one.begin.subject): one for one in left_open}
        misfits: set[str] = set()
        while True:
            usable = [part for part in logs if part.call_id not in misfits]
            found, deliveries = self._replay(pbx, begun, usable, ended)
            if not found:
                break
            misfits |= found
            del self._exchanges[pbx]
        exchange = self._exchange(pbx)
        taking_part, calls = exchange.tracker.taking_part(), exchange.tracker.calls
        exchange.left_open = {who: one for who, one in begun.items() if who not in taking_part}
        exchange.not_seen = {
            who
            for who in exchange.left_open
            if (call := calls.get(who[0])) is not None and all(part.extension != who[1] for part in call.participations)
        }
        unknown = [one for (call_id, _), one in exchange.left_open.items() if call_id not in calls]
        exchange.tracker.remember(_remembered(one) for one in unknown)
        return Restored(misfits=tuple(sorted(misfits)), deliveries=tuple(deliveries))

    def _replay(
        self,
        pbx: str,
        begun: Mapping[tuple[str, str], Begun],
        logs: Sequence[LogPart],
        ended: Sequence[Delivery],
    ) -> tuple[set[str], list[Delivery]]:
        """The calls in which what was begun does not go on, or what was ended does, and what followed."""
        exchange = self._exchange(pbx)
        banner = next((part.banner for part in logs if part.banner), "")
        if banner:
            exchange.tracker.greeted(banner)
            if exchange.logs is not None:
                exchange.logs.banner = banner
        deliveries: list[Delivery] = []
        listed, last_at = 0, 0.0
        for replayed in to_replay(logs):
            last_at = replayed.entry.at
            listed = self._replay_entry(pbx, exchange, replayed, listed, deliveries)
        if not logs:
            return set(), []
        # The PBX's clock may have been set back since: no time is later than that of the last entry.
        exchange.last_at = min(exchange.last_at, last_at + exchange.ahead)
        self.lost(pbx, last_at)
        if exchange.logs is not None:
            exchange.logs.note_replayed()
        until: dict[str, float] = {}
        for part in logs:
            until[part.call_id] = max([until.get(part.call_id, 0.0), *(entry.at for entry in part.entries)])
        unfit = {who[0] for who, one in begun.items() if not self._is_taken_up(exchange, who, one)}
        unfit |= {end.call_id for end in ended if _goes_on_after(exchange, end, until.get(end.call_id, 0.0))}
        return unfit & until.keys(), deliveries

    def _replay_entry(
        self, pbx: str, exchange: _Exchange, replayed: Replayed, listed: int, deliveries: list[Delivery]
    ) -> int:
        """Add what follows to ``deliveries``. ``listed``: how many items of a list of channels were replayed; returns
        that for the next entry. The list is what the logs have of it, and about their channels alone."""
        entry = replayed.entry
        match entry.kind:
            case "connected":
                self.connected(pbx, entry.at, entry.banner)
                return 0
            case "lost":
                self.lost(pbx, entry.at)
            case "ordered" if entry.order is not None:
                self.ordered(pbx, entry.order, entry.at)
            case "event" if entry.event is not None:
                event = entry.event
                if event.name == "CoreShowChannel":
                    listed += 1
                elif event.name == LIST_END:
                    exchange.tracker.listed_channels = replayed.channels
                    # All but the count stays: items and end belong together by their ActionID.
                    rest = (header for header in event.headers if header[0] != "ListItems")
                    event = Event((*rest, ("ListItems", str(listed))))
                    listed = 0
                deliveries += self.received(pbx, [event], entry.at)
                exchange.tracker.listed_channels = None
            case _:
                pass
        return listed

    def _is_taken_up(self, exchange: _Exchange, who: tuple[str, str], begun: Begun) -> bool:
        """Either the call is not known, or the very part that was begun goes on in it, and its end will be delivered.

        It may be otherwise where the log ends before the outbox.
        """
        call = exchange.tracker.calls.get(who[0])
        if call is None or not begun.begin.subject:
            return True
        part = call.participations.current(who[1])
        if part is None:
            return True  # another connector saw more
        is_delivered = call.direction is not Direction.INTERNAL or self.rules.internal != "ignore"
        return is_delivered and part.is_announced and part.occurrence == begun.begin.occurrence

    # -- one PBX ------------------------------------------------------------------------------------------------------

    def _exchange(self, pbx: str) -> _Exchange:
        exchange = self._exchanges.get(pbx)
        if exchange is None:
            maker = DeliveryMaker(pbx, self.crm.scope, self.crm.wants, self.token)
            logs = EventLogs(pbx, self.run) if self.run else None
            exchange = self._exchanges[pbx] = _Exchange(CallTracker(pbx, self.rules), maker, logs)
        return exchange

    def _time_of(self, exchange: _Exchange, event: Event, at: float) -> float:
        """The event's own time, never before the one before it."""
        stamp = _seconds_of(event.get("Timestamp"))
        event_at = at + exchange.ahead if stamp is None else stamp
        if abs(event_at - at - exchange.ahead) > MAX_SKEW:
            exchange.ahead = event_at - at
            exchange.last_at = min(exchange.last_at, event_at)
        exchange.last_at = max(event_at, exchange.last_at)
        return exchange.last_at

    def _due(self, exchange: _Exchange, at: float) -> list[Delivery]:
        deliveries: list[Delivery] = []
        while (deadline := exchange.tracker.next_deadline) <= at:
            deliveries += self._conclude(exchange, exchange.tracker.tick(deadline), deadline)
        return deliveries

    def _conclude(
        self, exchange: _Exchange, facts: Iterable[Fact], at: float, event: Event | None = None, heard_at: float = 0.0
    ) -> list[Delivery]:
        """The deliveries that follow from what the tracker concluded, of ``event`` or of the clock."""
        following = self._deliveries(exchange, facts)
        if exchange.left_open and exchange.tracker.is_synced:
            known = {delivery.key for delivery in following}
            following += [one for one in self._close_left_open(exchange, at) if one.key not in known]
        tracker, logs = exchange.tracker, exchange.logs
        merged, dropped = tracker.take_changes()
        if logs is not None:
            for absorbed, survivor in merged:
                logs.move(absorbed, survivor)
            if event is not None:
                logs.note_event(event, heard_at, tracker.call_of, tracker.calls.values())
            for call_id in dropped:
                logs.drop(call_id)
        return following

    def _close_left_open(self, exchange: _Exchange, at: float) -> list[Delivery]:
        """What the snapshot does not show is over. Of the rest the tracker concludes the end, but for a whole call
        (stock) of which no employee's part is left, and for what is not seen yet: that ends with the call."""
        tracker = exchange.tracker
        taking_part, announced = tracker.taking_part(), tracker.taking_part(is_announced=True)
        going_on = {
            who
            for who, begun in exchange.left_open.items()
            if (not begun.begin.subject or who in exchange.not_seen)
            and begun.begin.call_id in tracker.calls
            and who not in announced
        }
        ends: list[Delivery] = []
        for who, begun in exchange.left_open.items():
            if who not in taking_part and who not in going_on:
                self._closed.add((*who, begun.begin.occurrence))
                ends.append(closing(begun.begin, begun.answered_at, at))
        exchange.left_open = {who: exchange.left_open[who] for who in going_on}
        return ends

    def _is_closed(self, fact: Fact) -> bool:
        """Its row was closed after a restart: a later merge of calls must not open it again."""
        return isinstance(fact, OfParticipation) and (fact.call_id, fact.extension, fact.occurrence) in self._closed

    def _deliveries(self, exchange: _Exchange, facts: Iterable[Fact]) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for fact in facts:
            if self._is_closed(fact):
                continue
            is_internal = isinstance(fact, OfParticipation) and fact.direction is Direction.INTERNAL
            is_wanted = not (is_internal and self.rules.internal == "ignore")
            following = exchange.maker.deliveries(fact) if is_wanted else []
            self.observe(fact, following)
            deliveries += following
        return deliveries


def _seconds_of(stamp: str) -> float | None:
    """Seconds since the epoch; None for some event's own header of that name, and for what is no time."""
    if not stamp:
        return None
    try:
        seconds = float(stamp)
    except ValueError:
        return None
    return seconds if 0.0 < seconds < LATEST else None


def _goes_on_after(exchange: _Exchange, end: Delivery, until: float) -> bool:
    """Does the part go on that was ended before the last entry of its log, ``until`` by our clock?

    Its next END would be dropped as a double. A list of channels is replayed with those of logged calls alone; without
    Linkedids it may show then whom a phone belongs to, when another call of the same number hid it before.
    """
    call = exchange.tracker.calls.get(end.call_id)
    part = call.participations.current(end.subject) if call is not None else None
    return part is not None and part.occurrence == end.occurrence and end.at - exchange.ahead <= until


def _remembered(begun: Begun) -> Remembered:
    """What a BEGIN said, as the tracker knows it."""
    begin = begun.begin
    is_known_who = begin.subject or begin.role is Role.CALLER
    return Remembered(
        call_id=begin.call_id,
        extension=begin.extension if is_known_who else "",
        occurrence=begin.occurrence,
        role=begin.role,
        direction=begin.direction,
        customer=begin.customer,
        began_at=begin.at,
        answered_at=begun.answered_at,
    )
