"""The whole path of a call without I/O: AMI messages and the time in, deliveries out.

The daemon and ``replay`` both run this, so they cannot differ. Several PBXes go side by side, with a tracker each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from uac_trio.ami.message import Event, Message
from uac_trio.calls.call import ClickOrder, Direction, Remembered
from uac_trio.calls.fact import Fact, OfParticipation, RecordingKnown
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker
from uac_trio.crm.delivery import Delivery, DeliveryMaker, Kind, closing
from uac_trio.crm.protocol import CRM
from uac_trio.journal import Heard

MAX_SKEW = 5.0
"""Seconds the PBX's clock may seem to differ from what we think of it before we think again: under load an event is
that late at most."""

LATEST = 4e9
"""A Timestamp beyond the year 2096 is none."""

_NAMES_CHANNEL = re.compile(r"(?!.*bridge).*uniqueid[12]?", re.IGNORECASE)
"""Headers with the Uniqueid of a channel: ``Uniqueid``, ``DestUniqueid``; in AMI 1.x ``UniqueID`` and ``Uniqueid1``."""


def _ignore(_: Fact, __: Sequence[Delivery]) -> None:
    """Nobody observes."""


@attrs.frozen
class Begun:
    """A BEGIN of an earlier run that no END followed."""

    begin: Delivery
    answered_at: float | None


@attrs.define
class _Exchange:
    """One PBX: its calls, its clock, and what an earlier run left open there."""

    tracker: CallTracker
    maker: DeliveryMaker
    ahead: float = 0.0
    """Seconds by which its clock is ahead of ours; 0 while its events carry no Timestamp."""
    last_at: float = 0.0
    left_open: dict[tuple[str, str], Begun] = attrs.field(factory=dict)
    """By call id and subject."""


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
    _exchanges: dict[str, _Exchange] = attrs.field(factory=dict, init=False)
    _elders: list[_Elder] = attrs.field(factory=list, init=False)
    _closed: set[tuple[str, str, str]] = attrs.field(factory=set, init=False)
    """Call id, extension and occurrence of what an earlier run left open and no snapshot showed."""

    def connected(self, pbx: str, at: float, banner: str = "") -> list[Delivery]:
        """Logged in. ``banner``: the server's first line, which shows what AMI it speaks; "" = as before. The snapshot
        that is asked for arrives through ``received`` like everything."""
        exchange = self._exchange(pbx)
        exchange.tracker.connected(max(at + exchange.ahead, exchange.last_at), banner)
        return self._of_elders(pbx, lambda elder: elder.connected(pbx, at, banner))

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> list[Delivery]:
        """What the PBX said, in the order of the wire."""
        exchange = self._exchange(pbx)
        deliveries: list[Delivery] = []
        for message in messages:
            if not isinstance(message, Event):
                continue
            event_at = self._time_of(exchange, message, at)
            deliveries += self._due(exchange, event_at)
            deliveries += self._tell(exchange, exchange.tracker.process(message, event_at), event_at)
        return deliveries + self._of_elders(pbx, lambda elder: elder.received(pbx, messages, at))

    def ordered(self, pbx: str, order: ClickOrder, at: float) -> list[Delivery]:
        """We ask the PBX for a click. Nothing follows from that alone: what comes of it, its events show."""
        exchange = self._exchange(pbx)
        exchange.tracker.ordered(order, max(at + exchange.ahead, exchange.last_at))
        return []

    def order_refused(self, pbx: str, channel_id: str) -> None:
        """The PBX did not take it."""
        self._exchange(pbx).tracker.order_refused(channel_id)

    def lost(self, pbx: str, at: float) -> list[Delivery]:
        """The connection is gone; its calls go on until a snapshot tells what became of them."""
        exchange = self._exchange(pbx)
        exchange.tracker.lost(max(at + exchange.ahead, exchange.last_at))
        return self._of_elders(pbx, lambda elder: elder.lost(pbx, at))

    def tick(self, at: float) -> list[Delivery]:
        """Do what is due by the clock."""
        deliveries: list[Delivery] = []
        for exchange in self._exchanges.values():
            deliveries += self._due(exchange, at + exchange.ahead)
        return deliveries + self._of_elders(None, lambda elder: elder.tick(at))

    def finish(self, at: float) -> list[Delivery]:
        """The end of a replay: nothing more will come."""
        deliveries: list[Delivery] = []
        for exchange in self._exchanges.values():
            end = max(at + exchange.ahead, exchange.last_at)
            deliveries += self._tell(exchange, exchange.tracker.finish(end), end)
        return deliveries

    @property
    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, by our clock."""
        deadlines = ((exchange.tracker.next_deadline, exchange.ahead) for exchange in self._exchanges.values())
        due = [deadline - ahead for deadline, ahead in deadlines if deadline is not None]
        due += [deadline for elder in self._elders if (deadline := elder.pipeline.next_deadline) is not None]
        return min(due, default=None)

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

    def known_calls(self, pbx: str) -> set[str]:
        """The ids of its calls that are not told to their ends."""
        return set(self._exchange(pbx).tracker.calls)

    def unfinished_since(self, pbx: str) -> float | None:
        """When its oldest call that is not over began, by our clock; None if all are over."""
        exchange = self._exchange(pbx)
        since = exchange.tracker.unfinished_since
        return None if since is None else since - exchange.ahead

    def restore(self, pbx: str, left_open: Iterable[Begun], journals: Sequence[Iterable[Heard]] = ()) -> bool:
        """Go on where an earlier run was. False: the first of ``journals`` and ``left_open`` do not fit.

        A journal is what a run was told of the calls in progress, in order. The first that fits is told again; the
        requests that follow from it are in the outbox (``observe`` is shown them). The others are of connectors that
        may be dead and saw what that one did not: they are carried on beside it, each to the ends of its calls.
        ``left_open`` is what was begun on this PBX and not ended, of calls too that are older than the journal: with
        the first snapshot those still in progress are carried on, the others ended at its time.
        """
        begun = {(one.begin.call_id, one.begin.subject): one for one in left_open}
        used = next((number for number, heard in enumerate(journals) if self._hear_all_again(pbx, begun, heard)), None)
        for number, heard in enumerate(journals):
            if number != used:
                self._add_elder(pbx, begun, heard)
        self._leave_open(pbx, {who: one for who, one in begun.items() if who[0] not in self._owned_by_elders})
        return not journals or used == 0

    def _leave_open(self, pbx: str, begun: Mapping[tuple[str, str], Begun]) -> None:
        exchange = self._exchange(pbx)
        taking_part, calls = exchange.tracker.taking_part(), exchange.tracker.calls
        exchange.left_open = {who: one for who, one in begun.items() if who not in taking_part}
        unknown = [one for (call_id, _), one in exchange.left_open.items() if call_id not in calls]
        exchange.tracker.remember(_remembered(one) for one in unknown)

    def _hear_all_again(self, pbx: str, begun: Mapping[tuple[str, str], Begun], journal: Iterable[Heard]) -> bool:
        """False: it does not fit what was begun, and is forgotten."""
        exchange = self._exchange(pbx)
        known: set[str] = set()
        last: Heard | None = None
        for one in journal:
            if last is None:
                older = [each for each in begun.values() if each.begin.at < one.at]
                exchange.tracker.remember(_remembered(each) for each in older)
            last = one
            self._hear_again(pbx, one, known)
        if last is None:
            return True
        # The PBX's clock may have been set back since: no time is later than what was heard last.
        exchange.last_at = min(exchange.last_at, last.at + exchange.ahead)
        exchange.tracker.lost(exchange.last_at)
        if all(self._is_taken_up(exchange, who, one) for who, one in begun.items()):
            return True
        self._forget(pbx)
        return False

    def _add_elder(self, pbx: str, begun: Mapping[tuple[str, str], Begun], journal: Iterable[Heard]) -> None:
        elder = Pipeline(self.rules, self.crm, self.token)
        elder.restore(pbx, [], [journal])
        exchange, known = elder._exchange(pbx), self._exchange(pbx).tracker.calls
        owns = {
            call.id
            for call in exchange.tracker.live_calls()
            if not call.is_adopted and (call.id not in known or known[call.id].is_adopted)
        }
        owns -= {who[0] for who, one in begun.items() if not self._is_taken_up(exchange, who, one)}
        owns -= self._owned_by_elders
        elder._leave_open(pbx, {who: one for who, one in begun.items() if who[0] in owns})
        elder.observe = lambda fact, following: self.observe(fact, following) if fact.call_id in owns else None
        self._elders.append(_Elder(pbx, elder, elder.known_calls(pbx), owns))

    @property
    def _owned_by_elders(self) -> set[str]:
        return set[str]().union(*(elder.owns for elder in self._elders))

    def _of_elders(self, pbx: str | None, told: Callable[[Pipeline], list[Delivery]]) -> list[Delivery]:
        """Tell them as well (None: all), and take what follows of their own calls."""
        deliveries: list[Delivery] = []
        for elder in self._elders:
            if pbx in (None, elder.pbx):
                deliveries += [one for one in told(elder.pipeline) if elder.speaks_of(one)]
        self._elders = [elder for elder in self._elders if elder.calls & elder.pipeline.known_calls(elder.pbx)]
        return deliveries

    def _is_taken_up(self, exchange: _Exchange, who: tuple[str, str], begun: Begun) -> bool:
        """Either the call is not known, or the very part that was begun goes on in it, and will be told to its end.

        It may be otherwise where the journal does not reach back to the call's beginning, or ends before the outbox.
        """
        call = exchange.tracker.calls.get(who[0])
        if call is None or not begun.begin.subject:
            return True
        part = call.participations.current(who[1])
        if part is None:
            return False
        is_told = call.direction is not Direction.INTERNAL or self.rules.internal != "ignore"
        return is_told and part.is_announced and part.occurrence == begun.begin.occurrence

    def _forget(self, pbx: str) -> None:
        del self._exchanges[pbx]

    def _hear_again(self, pbx: str, heard: Heard, known: set[str]) -> None:
        if heard.banner:
            self._exchange(pbx).tracker.greeted(heard.banner)
        match heard.kind:
            case "connected":
                self.connected(pbx, heard.at)
            case "received":
                self.received(pbx, [event for event in heard.events if _is_of_known(event, known)], heard.at)
            case "lost":
                self.lost(pbx, heard.at)
            case "ordered":
                if heard.order is not None:
                    self.ordered(pbx, heard.order, heard.at)

    def _exchange(self, pbx: str) -> _Exchange:
        exchange = self._exchanges.get(pbx)
        if exchange is None:
            maker = DeliveryMaker(pbx, self.crm.scope, self.crm.wants, self.token)
            exchange = self._exchanges[pbx] = _Exchange(CallTracker(pbx, self.rules), maker)
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
        while (deadline := exchange.tracker.next_deadline) is not None and deadline <= at:
            deliveries += self._tell(exchange, exchange.tracker.tick(deadline), deadline)
        return deliveries

    def _tell(self, exchange: _Exchange, facts: Iterable[Fact], at: float) -> list[Delivery]:
        following = self._deliveries(exchange, facts)
        if exchange.left_open and exchange.tracker.is_synced:
            known = {delivery.key for delivery in following}
            following += [one for one in self._close_left_open(exchange, at) if one.key not in known]
        return following

    def _close_left_open(self, exchange: _Exchange, at: float) -> list[Delivery]:
        """What the snapshot does not show is over. Of the rest the tracker tells the end, but for a whole call (stock)
        of which no employee's part is left: that ends with the call."""
        tracker = exchange.tracker
        taking_part = tracker.taking_part()
        going_on = {
            who
            for who, begun in exchange.left_open.items()
            if not begun.begin.subject and begun.begin.call_id in tracker.calls
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
        owned = self._owned_by_elders
        for fact in facts:
            if fact.call_id in owned or self._is_closed(fact):
                continue
            is_internal = isinstance(fact, OfParticipation) and fact.direction is Direction.INTERNAL
            is_wanted = not (is_internal and self.rules.internal == "ignore")
            following = exchange.maker.deliveries(fact) if is_wanted else []
            self.observe(fact, following)
            deliveries += following
        return deliveries


@attrs.frozen
class _Elder:
    """A connector that may be dead, carried on to the ends of the calls it knew, since the journal that was told again
    may lack their beginnings."""

    pbx: str
    pipeline: Pipeline
    calls: set[str]
    """In progress when its journal ended, by id: where their recordings are is believed."""
    owns: set[str]
    """Of these it alone saw the beginning: all it says of them is believed, and nothing that others say."""

    def speaks_of(self, delivery: Delivery) -> bool:
        is_recording = delivery.kind is Kind.RECORDING
        return delivery.call_id in self.owns or (is_recording and delivery.call_id in self.calls)


def _is_of_known(event: Event, known: set[str]) -> bool:
    """Does the journal know the call from its beginning, or from a list of channels? ``known``: Uniqueids.

    Half a call would be taken for another.
    """
    uniqueid, linkedid = event.get("Uniqueid"), event.get("Linkedid")
    if event.name == "CoreShowChannel" or (
        event.name == "Newchannel" and (linkedid in ("", uniqueid) or linkedid in known)
    ):
        known.add(uniqueid)
        return True
    named = [value for name, value in event.headers if _NAMES_CHANNEL.fullmatch(name)]
    return all(value in known for value in named if value)


def _seconds_of(stamp: str) -> float | None:
    """Seconds since the epoch; None for some event's own header of that name, and for what is no time."""
    try:
        seconds = float(stamp)
    except ValueError:
        return None
    return seconds if 0.0 < seconds < LATEST else None


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
