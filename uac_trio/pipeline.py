"""The whole path of a call without I/O: AMI messages and the time in, CRM requests out.

The daemon and ``replay`` both run this, so they cannot differ. Several PBXes go side by side, with a tracker each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from uac_trio.ami.message import Event, Message
from uac_trio.calls.call import ClickOrder, Direction, Remembered
from uac_trio.calls.fact import Fact, OfParticipation
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker
from uac_trio.journal import Heard
from uac_trio.vtiger.account import VtigerAccount
from uac_trio.vtiger.request import CallbackRequest, Step
from uac_trio.vtiger.translate import Link, Translator, occurrence_of

MAX_SKEW = 5.0
"""Seconds the PBX's clock may seem to differ from what we think of it before we think again: under load an event is
that late at most."""

LATEST = 4e9
"""A Timestamp beyond the year 2096 is none."""

_NAMES_CHANNEL = re.compile(r"(?!.*bridge).*uniqueid[12]?", re.IGNORECASE)
"""Headers with the Uniqueid of a channel: ``Uniqueid``, ``DestUniqueid``; in AMI 1.x ``UniqueID`` and ``Uniqueid1``."""


def _ignore(_: Fact, __: Sequence[CallbackRequest]) -> None:
    """Nobody observes."""


@attrs.frozen
class Begun:
    """A DialBegin or StartApp of an earlier run that no Hangup followed."""

    request: CallbackRequest
    answered_at: float | None


@attrs.define
class _Exchange:
    """One PBX: its calls, its clock, and what an earlier run left open there."""

    tracker: CallTracker
    ahead: float = 0.0
    """Seconds by which its clock is ahead of ours; 0 while its events carry no Timestamp."""
    last_at: float = 0.0
    left_open: dict[tuple[str, str], Begun] = attrs.field(factory=dict)
    """By call id and extension."""


@attrs.define
class Pipeline:
    """Times handed in are ours, in seconds since the epoch; times in requests are the PBX's own where its events carry
    a ``Timestamp`` (``timestampevents=yes`` in manager.conf)."""

    rules: TrackerRules
    account: VtigerAccount
    link: Link
    observe: Callable[[Fact, Sequence[CallbackRequest]], None] = _ignore
    """Is shown every fact with the requests that follow from it: for logs, timelines, metrics."""
    _exchanges: dict[str, _Exchange] = attrs.field(factory=dict, init=False)
    _elders: list[_Elder] = attrs.field(factory=list, init=False)
    _closed: set[tuple[str, str, str]] = attrs.field(factory=set, init=False)
    """Call id, extension and occurrence of what an earlier run left open and no snapshot showed."""
    _translator: Translator = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._translator = Translator(self.account, self.link, self.rules.is_extension)

    def connected(self, pbx: str, at: float, banner: str = "") -> list[CallbackRequest]:
        """Logged in. ``banner``: the server's first line, which shows what AMI it speaks; "" = as before. The snapshot
        that is asked for arrives through ``received`` like everything."""
        exchange = self._exchange(pbx)
        exchange.tracker.connected(max(at + exchange.ahead, exchange.last_at), banner)
        return self._of_elders(pbx, lambda elder: elder.connected(pbx, at, banner))

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> list[CallbackRequest]:
        """What the PBX said, in the order of the wire."""
        exchange = self._exchange(pbx)
        requests: list[CallbackRequest] = []
        for message in messages:
            if not isinstance(message, Event):
                continue
            event_at = self._time_of(exchange, message, at)
            requests += self._due(exchange, event_at)
            requests += self._tell(exchange, exchange.tracker.process(message, event_at), event_at)
        return requests + self._of_elders(pbx, lambda elder: elder.received(pbx, messages, at))

    def ordered(self, pbx: str, order: ClickOrder, at: float) -> list[CallbackRequest]:
        """We ask the PBX for a click. Nothing follows from that alone: what comes of it, its events show."""
        exchange = self._exchange(pbx)
        exchange.tracker.ordered(order, max(at + exchange.ahead, exchange.last_at))
        return []

    def order_refused(self, pbx: str, channel_id: str) -> None:
        """The PBX did not take it."""
        self._exchange(pbx).tracker.order_refused(channel_id)

    def lost(self, pbx: str, at: float) -> list[CallbackRequest]:
        """The connection is gone; its calls go on until a snapshot tells what became of them."""
        exchange = self._exchange(pbx)
        exchange.tracker.lost(max(at + exchange.ahead, exchange.last_at))
        return self._of_elders(pbx, lambda elder: elder.lost(pbx, at))

    def tick(self, at: float) -> list[CallbackRequest]:
        """Do what is due by the clock."""
        requests: list[CallbackRequest] = []
        for exchange in self._exchanges.values():
            requests += self._due(exchange, at + exchange.ahead)
        return requests + self._of_elders(None, lambda elder: elder.tick(at))

    def finish(self, at: float) -> list[CallbackRequest]:
        """The end of a replay: nothing more will come."""
        requests: list[CallbackRequest] = []
        for exchange in self._exchanges.values():
            end = max(at + exchange.ahead, exchange.last_at)
            requests += self._tell(exchange, exchange.tracker.finish(end), end)
        return requests

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
        begun = {(one.request.call_id, one.request.extension): one for one in left_open}
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
        exchange.tracker.remember(_remembered(one, self.rules) for one in unknown)

    def _hear_all_again(self, pbx: str, begun: Mapping[tuple[str, str], Begun], journal: Iterable[Heard]) -> bool:
        """False: it does not fit what was begun, and is forgotten."""
        exchange = self._exchange(pbx)
        known: set[str] = set()
        last: Heard | None = None
        for one in journal:
            if last is None:
                older = [each for each in begun.values() if each.request.at < one.at]
                exchange.tracker.remember(_remembered(each, self.rules) for each in older)
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
        elder = Pipeline(self.rules, self.account, self.link)
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
        elder.observe = lambda fact, requests: self.observe(fact, requests) if fact.call_id in owns else None
        self._elders.append(_Elder(pbx, elder, elder.known_calls(pbx), owns))

    @property
    def _owned_by_elders(self) -> set[str]:
        return set[str]().union(*(elder.owns for elder in self._elders))

    def _of_elders(self, pbx: str | None, told: Callable[[Pipeline], list[CallbackRequest]]) -> list[CallbackRequest]:
        """Tell them as well (None: all), and take what follows of their own calls."""
        requests: list[CallbackRequest] = []
        for elder in self._elders:
            if pbx in (None, elder.pbx):
                requests += [one for one in told(elder.pipeline) if elder.speaks_of(one)]
        self._elders = [elder for elder in self._elders if elder.calls & elder.pipeline.known_calls(elder.pbx)]
        return requests

    def _is_taken_up(self, exchange: _Exchange, who: tuple[str, str], begun: Begun) -> bool:
        """Either the call is not known, or the very part that was begun goes on in it, and will be told to its end.

        It may be otherwise where the journal does not reach back to the call's beginning, or ends before the outbox.
        """
        call = exchange.tracker.calls.get(who[0])
        if call is None or begun.request.step is Step.START_APP:
            return True
        part = call.participations.current(who[1])
        if part is None:
            return False
        is_told = call.direction is not Direction.INTERNAL or self.rules.internal != "ignore"
        return is_told and part.is_announced and part.occurrence == occurrence_of(begun.request)

    def _forget(self, pbx: str) -> None:
        del self._exchanges[pbx]
        self._translator.forget(f"{pbx}-")

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
            exchange = self._exchanges[pbx] = _Exchange(CallTracker(pbx, self.rules))
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

    def _due(self, exchange: _Exchange, at: float) -> list[CallbackRequest]:
        requests: list[CallbackRequest] = []
        while (deadline := exchange.tracker.next_deadline) is not None and deadline <= at:
            requests += self._tell(exchange, exchange.tracker.tick(deadline), deadline)
        return requests

    def _tell(self, exchange: _Exchange, facts: Iterable[Fact], at: float) -> list[CallbackRequest]:
        requests = self._translate(facts)
        if exchange.left_open and exchange.tracker.is_synced:
            told = {request.key for request in requests}
            requests += [request for request in self._close_left_open(exchange, at) if request.key not in told]
        return requests

    def _close_left_open(self, exchange: _Exchange, at: float) -> list[CallbackRequest]:
        """What the snapshot does not show is over. Of the rest the tracker tells the end, but for a whole call (stock)
        of which no employee's part is left: that ends with the call."""
        tracker = exchange.tracker
        taking_part = tracker.taking_part()
        going_on = {
            who
            for who, begun in exchange.left_open.items()
            if begun.request.step is Step.START_APP and begun.request.call_id in tracker.calls
        }
        requests: list[CallbackRequest] = []
        for who, begun in exchange.left_open.items():
            if who not in taking_part and who not in going_on:
                self._closed.add((*who, occurrence_of(begun.request)))
                requests += self._translator.close(begun.request, begun.answered_at, at)
        exchange.left_open = {who: exchange.left_open[who] for who in going_on}
        return requests

    def _is_closed(self, fact: Fact) -> bool:
        """Its row was closed after a restart: a later merge of calls must not open it again."""
        return isinstance(fact, OfParticipation) and (fact.call_id, fact.extension, fact.occurrence) in self._closed

    def _translate(self, facts: Iterable[Fact]) -> list[CallbackRequest]:
        requests: list[CallbackRequest] = []
        owned = self._owned_by_elders
        for fact in facts:
            if fact.call_id in owned or self._is_closed(fact):
                continue
            is_internal = isinstance(fact, OfParticipation) and fact.direction is Direction.INTERNAL
            is_told = not (is_internal and self.rules.internal == "ignore")
            following = self._translator.translate(fact) if is_told else []
            self.observe(fact, following)
            requests += following
        return requests


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

    def speaks_of(self, request: CallbackRequest) -> bool:
        return request.call_id in self.owns or (request.step is Step.RECORD and request.call_id in self.calls)


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


def _remembered(begun: Begun, rules: TrackerRules) -> Remembered:
    """What a DialBegin or StartApp said, as the tracker knows it."""
    request, form = begun.request, begun.request.form
    caller, dialled = form.get("callerIdNumber", ""), form.get("dialString", "")
    extension = request.extension
    if request.step is Step.START_APP and form.get("channel"):
        extension, dialled = caller, form.get("callerId", "")
    role = Role.CALLER if caller == extension else Role.CALLEE
    customer = dialled if role is Role.CALLER else caller
    if role is Role.CALLEE:
        direction = Direction.INBOUND
    else:
        direction = Direction.INTERNAL if rules.is_extension(customer) else Direction.OUTBOUND
    return Remembered(
        call_id=request.call_id,
        extension=extension,
        occurrence=occurrence_of(request),
        role=role,
        direction=direction,
        customer=customer,
        began_at=request.at,
        answered_at=begun.answered_at,
    )
