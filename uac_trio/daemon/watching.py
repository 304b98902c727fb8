"""What goes on, for people and for metrics: calls in progress, calls that ended, how each delivery stands.

Facts come from the pipeline (``observe``), answers of the CRM from the sender (``sent``), clicks from the web
(``around``). Everything is bounded and in memory: the outbox, not this, is the truth. ``daemon/live_page.py`` makes the
page's contents of it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import attrs
import structlog

from uac_trio.calls.call import Direction
from uac_trio.calls.fact import (
    CallBegan,
    CallEnded,
    CallerQueued,
    CallMerged,
    CallTransferred,
    Fact,
    NotAnEmployee,
    NotShown,
    Oddity,
    OfParticipation,
    ParticipationAnswered,
    ParticipationBegan,
    ParticipationEnded,
)
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role
from uac_trio.crm.click import Dial, Originated
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.crm.protocol import CRMRequest
from uac_trio.crm.reply import Ruling, Verdict
from uac_trio.daemon.detectors import Detectors
from uac_trio.daemon.metrics import Metrics
from uac_trio.store.rows import LeasedRow

log = structlog.get_logger()

MAX_LIVE = 1000
MAX_ENDED = 100
MAX_PARTS = 60
"""Of one call: an hour in a queue rings the same phones over and over. The last ones are kept."""
MAX_DELIVERIES = 120
MAX_CLICKS = 50
MAX_ODD = 50
FORGOTTEN_AFTER = 600.0
"""Seconds without a fact after which a call without a ringing or talking phone is not shown any more: of calls that
turn out to be part of another one (a pickup, a parked call that is taken back) no end is followed."""


@attrs.define(eq=False)
class Followed:
    """One delivery. Times are ours, in seconds since the epoch."""

    key: str
    kind: Kind
    extension: str
    made_at: float
    superseded_by: str | None
    awaits_file: bool
    """A recording's: it goes out when the file is complete."""
    ruling: Ruling | None = None
    """What the CRM's last answer meant; None: not sent yet, as far as this process knows."""
    words: str = ""
    sent_at: float | None = None
    sendings: Counter[str] = attrs.field(factory=Counter)
    """Of each of its requests, by name."""

    @property
    def tries(self) -> int:
        """How often the request was sent that was sent most."""
        return max(self.sendings.values(), default=0)

    @property
    def is_settled(self) -> bool:
        return self.ruling in (Ruling.DELIVERED, Ruling.PROBABLY, Ruling.PARKED)


@attrs.define(eq=False)
class Share:
    """One employee's part in a call. Times are the PBX's."""

    extension: str
    role: Role
    began_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None
    talk_secs: float = 0.0
    inferred: bool = False

    @property
    def state(self) -> str:
        if self.ended_at is not None:
            return "ended"
        return "talking" if self.answered_at is not None else "ringing"


@attrs.define(eq=False)
class WatchedCall:
    id: str
    began_at: float
    """By the PBX's clock, like all times of the call itself."""
    seen_at: float
    """When a fact last spoke of it, by ours."""
    direction: Direction | None = None
    customer: str = ""
    did: str = ""
    queue: str = ""
    """The last one that the caller came into."""
    queue_position: str = ""
    """In it, when they came: "3"."""
    queued_at: float | None = None
    shares: deque[Share] = attrs.field(factory=lambda: deque(maxlen=MAX_PARTS))
    deliveries: OrderedDict[str, Followed] = attrs.field(factory=OrderedDict)
    """By key, in the order in which they were made."""
    transfers: deque[CallTransferred] = attrs.field(factory=lambda: deque(maxlen=10))
    not_employees: deque[str] = attrs.field(factory=lambda: deque(maxlen=10))
    """Which phones rang that are no employee's, and why."""
    merged_into: str = ""
    status: str = ""
    ended_at: float | None = None
    click: str = ""
    """The outcome of the click that began it, in words."""

    @property
    def is_busy(self) -> bool:
        return any(share.ended_at is None for share in self.shares)

    @property
    def is_waiting(self) -> bool:
        """The caller is in a queue, and no employee has answered since they came into it."""
        if self.queued_at is None or self.ended_at is not None or self.merged_into:
            return False
        queued_at = self.queued_at
        return not any(share.answered_at is not None and share.answered_at >= queued_at for share in self.shares)

    def share_of(self, fact: OfParticipation) -> Share:
        for share in reversed(self.shares):
            if share.extension == fact.extension and share.began_at == fact.began_at:
                return share
        share = Share(extension=fact.extension, role=fact.role, began_at=fact.began_at)
        self.shares.append(share)
        return share


@attrs.define(eq=False)
class Click:
    """One click on a number that became an order to a PBX."""

    at: float
    pbx: str
    extension: str
    number: str
    call_id: str
    words: str


@attrs.frozen
class Odd:
    at: float
    call_id: str
    because: str


CLICK_WORDS = {
    Originated.QUEUED: "the PBX has taken it; the phone should ring",
    Originated.REFUSED: "the PBX refused it or is not connected: nothing was dialled (the log says why)",
    Originated.UNKNOWN: "no answer from the PBX: it may have been dialled, and is not sent again",
}


@contextmanager
def harmless() -> Iterator[None]:
    """Who only watches must not stop the pipeline or the sender: a fault of ours in here costs a line on a page."""
    try:
        yield
    except Exception:
        log.exception("watching.failed")


@attrs.define(eq=False, kw_only=True)
class Watching:
    """Made once, for all pipelines that this process makes. Nothing in here waits."""

    now: Callable[[], float]
    metrics: Metrics
    detectors: Detectors = attrs.field(factory=Detectors)
    is_dry_run: bool = False
    is_awaited: Callable[[str], bool] = lambda _: False
    """Are the recordings of this PBX waited for?"""
    live: OrderedDict[str, WatchedCall] = attrs.field(factory=OrderedDict, init=False)
    ended: OrderedDict[str, WatchedCall] = attrs.field(factory=OrderedDict, init=False)
    """The latest last."""
    clicks: deque[Click] = attrs.field(factory=lambda: deque(maxlen=MAX_CLICKS), init=False)
    odd: deque[Odd] = attrs.field(factory=lambda: deque(maxlen=MAX_ODD), init=False)
    last_delivered_at: float | None = attrs.field(default=None, init=False)
    _by_key: dict[str, Followed] = attrs.field(factory=dict, init=False)

    # -- from the pipeline --------------------------------------------------------------------------------------------

    def observe(self, fact: Fact, deliveries: Sequence[Delivery]) -> None:
        """The pipeline's callback. Raises nothing."""
        with harmless():
            self.metrics.count_fact(fact)
            at = self.now()
            self.detectors.observe(fact, at)
            self._observe(fact, deliveries, at)

    def recall(self, fact: Fact, deliveries: Sequence[Delivery]) -> None:
        """The same for what an earlier run observed and counted."""
        with harmless():
            self._observe(fact, deliveries, fact.at)

    def _observe(self, fact: Fact, deliveries: Sequence[Delivery], at: float) -> None:
        if isinstance(fact, Oddity):
            self.odd.append(Odd(at, fact.call_id, fact.because))
        elif not isinstance(fact, NotShown):
            self._note(fact, self._call(fact, at))
        for delivery in deliveries:
            self._await(delivery, at)
        if isinstance(fact, CallEnded):
            self._end(fact, at)

    def start_over(self) -> None:
        """What the pipeline knew is dropped; a snapshot will show the calls that go on."""
        for call in self.live.values():
            self._forget(call)
        self.live.clear()

    def calls_in_progress(self) -> Iterator[WatchedCall]:
        """The oldest first."""
        at = self.now()
        for call in [*self.live.values()]:
            if call.is_busy or at - call.seen_at < FORGOTTEN_AFTER:
                yield call
            else:
                self._forget(self.live.pop(call.id))

    def _call(self, fact: Fact, at: float) -> WatchedCall:
        call = self.live.get(fact.call_id) or self.ended.get(fact.call_id)
        if call is None:
            call = self.live[fact.call_id] = WatchedCall(id=fact.call_id, began_at=fact.at, seen_at=at)
            if len(self.live) > MAX_LIVE:
                self._forget(self.live.popitem(last=False)[1])
        call.seen_at = at
        return call

    def _note(self, fact: Fact, call: WatchedCall) -> None:
        match fact:
            case CallBegan():
                call.direction, call.customer, call.did = fact.direction, fact.customer, fact.did
            case CallerQueued():
                call.queue, call.queue_position, call.queued_at = fact.queue, fact.position, fact.at
            case CallTransferred():
                call.transfers.append(fact)
            case NotAnEmployee():
                call.not_employees.append(fact.because)
            case CallMerged():
                call.merged_into = fact.into
            case OfParticipation():
                self._note_share(fact, call)
            case _:
                pass

    def _note_share(self, fact: OfParticipation, call: WatchedCall) -> None:
        call.direction, call.customer = fact.direction, fact.customer or call.customer
        match fact:
            case ParticipationBegan():
                call.share_of(fact)
            case ParticipationAnswered():
                call.share_of(fact).answered_at = fact.at
            case ParticipationEnded():
                share = call.share_of(fact)
                share.answered_at, share.ended_at = fact.answered_at, fact.ended_at
                share.outcome, share.talk_secs, share.inferred = fact.outcome, fact.talk_secs, fact.inferred
            case _:
                pass

    def _await(self, delivery: Delivery, at: float) -> None:
        call = self.live.get(delivery.call_id) or self.ended.get(delivery.call_id)
        if call is None or delivery.key in self._by_key:
            return
        followed = Followed(
            key=delivery.key,
            kind=delivery.kind,
            extension=delivery.extension,
            made_at=at,
            superseded_by=delivery.superseded_by,
            awaits_file=delivery.kind is Kind.RECORDING and self.is_awaited(delivery.pbx),
        )
        call.deliveries[delivery.key] = self._by_key[delivery.key] = followed
        if len(call.deliveries) > MAX_DELIVERIES:
            del self._by_key[call.deliveries.popitem(last=False)[0]]

    def _end(self, fact: CallEnded, at: float) -> None:
        call = self.live.pop(fact.call_id, None) or self.ended[fact.call_id]
        summary = fact.summary
        call.status = summary.status.value
        call.customer = call.customer or summary.customer
        call.did = call.did or summary.did
        call.ended_at = fact.ended_at
        if summary.click is not None:
            call.click = summary.click.words
            for click in self.clicks:
                if click.call_id == call.id:
                    click.words = call.click
        self.ended[call.id] = call
        self.ended.move_to_end(call.id)
        if len(self.ended) > MAX_ENDED:
            self._forget(self.ended.popitem(last=False)[1])

    def _forget(self, call: WatchedCall) -> None:
        for key in call.deliveries:
            del self._by_key[key]

    # -- from the sender ----------------------------------------------------------------------------------------------

    def sent(self, row: LeasedRow, request: CRMRequest, verdict: Verdict, took: float) -> None:
        """The sender's callback: a request was sent, and answered or not, after ``took`` seconds. Raises nothing."""
        with harmless():
            at = self.now()
            self.detectors.sent(verdict.ruling, verdict.words, at)
            self._sent(row, request, verdict, took, at)

    def _sent(self, row: LeasedRow, request: CRMRequest, verdict: Verdict, took: float, at: float) -> None:
        followed = self._by_key.get(row.delivery.key)
        is_delivered = verdict.ruling in (Ruling.DELIVERED, Ruling.PROBABLY) and not self.is_dry_run
        if not self.is_dry_run:
            self.metrics.count_sent(request.name, verdict.ruling, took)
        if is_delivered:
            self.last_delivered_at = at
        if followed is None:
            return  # of an earlier run, or of long ago
        if not followed.awaits_file:
            if followed.tries == 0:
                self.metrics.stored_after(max(0.0, row.created_at - followed.made_at))
            if is_delivered and not followed.is_settled:
                self.metrics.delivered_after(row.delivery.kind, max(0.0, at - followed.made_at))
        followed.ruling, followed.words, followed.sent_at = verdict.ruling, verdict.words, at
        followed.sendings[request.name] += 1

    def may_be_lost(self, row: LeasedRow, why: str) -> None:
        """The sender's callback: a delivery was given up after a sending without an answer. Raises nothing."""
        with harmless():
            self.metrics.count_may_be_lost()
            self.detectors.may_be_lost(self.now())
            if (followed := self._by_key.get(row.delivery.key)) is not None:
                followed.ruling, followed.words = Ruling.UNKNOWN, why

    # -- from the web -------------------------------------------------------------------------------------------------

    async def around(self, originate: Callable[[Dial], Awaitable[Originated]], dial: Dial) -> Originated:
        """``originate``, and a note of what the PBX said to it."""
        outcome = Originated.UNKNOWN
        try:
            outcome = await originate(dial)
        finally:
            with harmless():
                self._ordered(dial, outcome, self.now())
        return outcome

    def _ordered(self, dial: Dial, outcome: Originated, at: float) -> None:
        self.metrics.count_order(outcome)
        call_id = f"{dial.pbx}-{dial.channel_id}"  # the order names the channel's Uniqueid, which becomes its Linkedid
        known = self.ended.get(call_id)
        words = known.click if known is not None and known.click else CLICK_WORDS[outcome]
        if self.is_dry_run:
            words = "not dialled: this is a dry run"
        self.clicks.append(Click(at, dial.pbx, dial.extension, dial.number, call_id, words))
