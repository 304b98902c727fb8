"""From the outbox to the CRM: one delivery of a call after another, a few calls at a time, each answer judged.

What is sent and what an answer means is the CRM's own; what is sent next is decided in the store, when and how much in
breaker.py. Leases and what they led to go through the store's writer, many in one transaction.
"""

from __future__ import annotations

import os
import platform
import random
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import assert_never

import attrs
import structlog
import trio

from uac_trio.crm.protocol import CRM, CRMRequest, Judge, Sent
from uac_trio.crm.reply import Ruling, Verdict
from uac_trio.logs import LogRate
from uac_trio.sender.breaker import BreakerState, CircuitBreaker, ConcurrencyLimit, SenderSettings, backoff
from uac_trio.sender.client import Poster, open_client
from uac_trio.sender.dry_run import TakesAll, open_nothing
from uac_trio.store.rows import (
    Delivered,
    Exchanged,
    LeasedRow,
    LeaseRequest,
    Parked,
    Released,
    Retry,
    Settlement,
    Unknown,
)
from uac_trio.store.settings import OutboxError
from uac_trio.store.writer import GATHER, StoreWriter

log = structlog.get_logger()

_IDLE_POLL = 5.0  # seconds; another connector may have put or left something
_LEAST_PAUSE = 0.02
_MOST_BEGUN = 32  # popups of new calls go before them, so they may pile up

MOST_AHEAD = 24
"""Calls leased beyond those that are on the wire."""
AHEAD_SECONDS = 0.05
"""For how long the CRM may be busy with them: what is leased ahead does not know of what is put meanwhile."""


@attrs.frozen(kw_only=True)
class SenderStatus:
    in_flight: int
    trouble: str
    """Why nothing is being delivered, in words; empty: all is well."""
    trouble_since: float | None
    at_once: float = 0.0
    """How many requests the CRM is sent at once at most, as quick as it is now."""
    usual_seconds: float = 0.0
    """What the CRM takes for an answer when nothing hinders it; 0: not known yet."""


Watch = Callable[[LeasedRow, CRMRequest, Verdict, float], None]
"""Is shown each request that was sent, what its answer means, and the seconds it took."""

MayBeLost = Callable[[LeasedRow, str], None]
"""Is shown each delivery that is given up though it may not have been carried out, and why."""

OnDelivered = Callable[[LeasedRow], None]
"""Is shown each delivery that the CRM has carried out, as far as can be known, at once."""


def _no_watch(_row: LeasedRow, _request: CRMRequest, _verdict: Verdict, _took: float) -> None:
    """Nothing watches."""


def _no_loss(_row: LeasedRow, _why: str) -> None:
    """Nothing counts."""


def _not_followed(_row: LeasedRow) -> None:
    """Nothing follows."""


async def run_sender(
    writer: StoreWriter,
    crm: CRM,
    settings: SenderSettings,
    *,
    now: Callable[[], float],
    watch: Watch = _no_watch,
    may_be_lost: MayBeLost = _no_loss,
    on_delivered: OnDelivered = _not_followed,
    random: Callable[[], float] = random.random,
    is_dry_run: bool = False,
    task_status: trio.TaskStatus[Sender] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Deliver what is in the outbox, for ever. ``now``: seconds since the epoch; reports a ``Sender``.

    ``writer`` has to run until this has ended. Cancellation: nothing new is begun; what is in flight has
    ``shutdown_grace`` seconds to be answered. What has not been by then keeps its lease and is taken up when that runs
    out.

    With ``is_dry_run`` nothing is sent: everything is rendered, watched and settled as delivered.

    Errors: whatever the CRM or the network do is waited out, and logged once per change.
    """
    opened: AbstractAsyncContextManager[Poster] = open_nothing() if is_dry_run else open_client(crm, settings, now=now)
    async with opened as client, trio.open_nursery() as nursery:
        sender = Sender(
            writer=writer,
            crm=crm,
            client=client,
            nursery=nursery,
            settings=settings,
            now=now,
            watch=watch,
            may_be_lost=may_be_lost,
            on_delivered=on_delivered,
            random=random,
            judge=TakesAll() if is_dry_run else crm.new_judge(),
            is_dry_run=is_dry_run,
        )
        await sender.recall()
        writer.lessee = sender
        sender.wake_nowait()
        task_status.started(sender)
        try:
            await trio.sleep_forever()
        finally:
            sender.stop_nowait()


@attrs.define(eq=False, kw_only=True)
class Sender:
    """Reported by ``run_sender``. The ``Lessee`` of the store's writer."""

    writer: StoreWriter
    crm: CRM
    client: Poster
    nursery: trio.Nursery
    settings: SenderSettings
    now: Callable[[], float]
    watch: Watch
    may_be_lost: MayBeLost
    on_delivered: OnDelivered
    random: Callable[[], float]
    judge: Judge
    is_dry_run: bool = False
    _owner: str = attrs.field(factory=lambda: f"{platform.node()}/{os.getpid()}/{secrets.token_hex(4)}", init=False)
    _breaker: CircuitBreaker = attrs.field(
        default=attrs.Factory(lambda self: CircuitBreaker(self.settings), takes_self=True), init=False
    )
    _limit: ConcurrencyLimit = attrs.field(
        default=attrs.Factory(lambda self: ConcurrencyLimit(self.settings.in_flight), takes_self=True), init=False
    )
    _ready: deque[LeasedRow] = attrs.field(factory=deque, init=False)
    """Leased, and not sent yet: one of a call, with what follows it."""
    _scopes: dict[str, trio.CancelScope] = attrs.field(factory=dict, init=False)  # by call id: one delivery each
    _begun: dict[str, None] = attrs.field(factory=dict, init=False)
    """Calls to which something was just delivered and that may have more, the latest last; they keep their turn."""
    _delivered_rate: LogRate = attrs.field(factory=LogRate, init=False)
    _is_stopping: bool = attrs.field(default=False, init=False)

    def wake_nowait(self) -> None:
        """Something new is in the outbox."""
        self.writer.wake_nowait()

    def stop_nowait(self) -> None:
        """Begin nothing new; what is in flight has ``shutdown_grace``."""
        self._is_stopping = True
        self._release()
        for scope in self._scopes.values():
            scope.deadline = trio.current_time() + self.settings.shutdown_grace

    def status(self) -> SenderStatus:
        trouble = self._breaker.trouble
        return SenderStatus(
            in_flight=len(self._scopes),
            trouble=trouble.words if trouble else "",
            trouble_since=self._breaker.since,
            at_once=self._limit.at_once,
            usual_seconds=self._limit.usual,
        )

    async def recall(self) -> None:
        """What the CRM answered to earlier runs, and to other connectors on this store: an outage may be under way."""
        while True:
            try:
                self.judge.recall(await self.writer.outbox.past_begins())
            except OutboxError as why:
                self.writer.health.fails(why)
                await trio.sleep(_IDLE_POLL)
            else:
                return

    # -- what is sent next --------------------------------------------------------------------------------------------

    def lease_request(self) -> LeaseRequest | None:
        if self._is_stopping:
            return None
        if self._breaker.state(self.now()) is BreakerState.OPEN:
            self.writer.wake_nowait(max(_LEAST_PAUSE, self._breaker.until - self.now()))
            return None
        limit = self._slots() + self._ahead() - len(self._scopes) - len(self._ready)
        if limit <= 0:
            return None
        return LeaseRequest(
            owner=self._owner,
            limit=limit,
            seconds=self.settings.lease_seconds,
            with_rest=self._breaker.trouble is None,
            begun=tuple(self._begun),
        )

    def exchanged(self, exchanged: Exchanged) -> None:
        for row in exchanged.lost:
            log.warning("sender.lease_lost", call=row.delivery.call_id, kind=row.delivery.kind.value)
        news = [row for row in exchanged.leased if row.is_news]
        self._ready.extendleft(reversed(news))
        self._ready.extend(row for row in exchanged.leased if not row.is_news)
        if self._is_stopping:
            self._release()
            return
        self._begin()
        if exchanged.next_wake is None:
            self.writer.wake_nowait(_IDLE_POLL)
        else:
            pause = exchanged.next_wake - self.now()
            self.writer.wake_nowait(max(_LEAST_PAUSE, min(pause, _IDLE_POLL)))

    def _slots(self) -> int:
        """How many requests may be in flight."""
        match self._breaker.state(self.now()):
            case BreakerState.CLOSED:
                return int(self._limit.at_once)
            case BreakerState.HALF_OPEN:
                return 1
            case BreakerState.OPEN:
                return 0

    def _ahead(self) -> int:
        """How many calls to lease beyond those. A kill leaves them in doubt, so none of what may not be repeated."""
        usual = self._limit.usual
        if self._breaker.trouble is not None or not usual or not self.crm.repeats_begins:
            return 0
        return min(MOST_AHEAD, int(self._limit.at_once * AHEAD_SECONDS / usual))

    def _begin(self) -> None:
        """Send what is ready, as far as there is room."""
        while self._ready and len(self._scopes) < self._slots():
            row = self._ready.popleft()
            call_id = row.delivery.call_id
            if call_id in self._scopes:
                # Our own lease seems to have run out: the clock was set forward. The new one will run out as well.
                log.warning("sender.clock_jumped", call=call_id)
                continue
            scope = self._scopes[call_id] = trio.CancelScope(shield=True)
            self.nursery.start_soon(self._deliver, row, scope)
        if self._breaker.trouble is not None:
            self._release()

    def _release(self) -> None:
        """Give back what is ready: nothing may be sent now."""
        while self._ready:
            row = self._ready.popleft()
            self._give_back((row, *row.then))

    def _give_back(self, rows: Iterable[LeasedRow]) -> None:
        for row in rows:
            self.writer.settle_nowait(row, Released())

    async def _deliver(self, row: LeasedRow, scope: trio.CancelScope) -> None:
        """A row and what was leased with it, each after the one before; what is not sent is given back."""
        call_id, kind = row.delivery.call_id, ""
        rest = deque((row, *row.then))
        try:
            with scope:
                while rest:
                    kind = rest[0].delivery.kind.value
                    settlement = await self._send(rest[0])
                    if isinstance(settlement, Delivered):
                        self.on_delivered(rest[0])
                    self.writer.settle_nowait(rest.popleft(), settlement, GATHER if self._ready or rest else 0.0)
                    if not isinstance(settlement, Delivered | Parked):
                        break
            if scope.cancelled_caught:
                log.warning("sender.cut_off", call=call_id, kind=kind)
                rest.popleft()  # on the wire: it keeps its lease
            self._give_back(rest)
        finally:
            del self._scopes[call_id]
            self._begun.pop(call_id, None)
            self._begun[call_id] = None
            if len(self._begun) > _MOST_BEGUN:
                del self._begun[next(iter(self._begun))]
            self._go_on()

    def _go_on(self) -> None:
        if self._is_stopping:
            return
        self._begin()
        if not self._ready:
            self.writer.wake_nowait()

    # -- one delivery -------------------------------------------------------------------------------------------------

    async def _send(self, row: LeasedRow) -> Settlement:
        """Its requests, each after the answer to the one before, less those that were accepted earlier."""
        requests = self.crm.requests(row.delivery)
        accepted, attempt, last = row.accepted, row.attempt, Delivered()
        for request in requests[row.accepted :]:
            if self.now() + self.settings.answer_within > row.leased_until:
                return self._too_late(row, accepted)
            if row.in_doubt and accepted == row.accepted and not request.is_repeatable:
                return self._given_up(row)
            sent = Sent(delivery=row.delivery, request=request, attempt=attempt)
            began = trio.current_time()
            verdict = await self._ask(sent)
            took = trio.current_time() - began
            self._note(verdict, took)
            self.watch(row, request, verdict, took)
            settlement = self._settlement(row, sent, verdict, accepted)
            self.judge.settled(sent, verdict)
            if not isinstance(settlement, Delivered):
                return settlement
            last = Delivered(
                reason=settlement.reason or last.reason, is_probable=settlement.is_probable or last.is_probable
            )
            accepted, attempt = accepted + 1, 1
        self._report_delivered(row, requests, last)
        return last

    def _report_delivered(self, row: LeasedRow, requests: Sequence[CRMRequest], settlement: Delivered) -> None:
        """One line for a delivery, with the CRM's own names of its requests."""
        left_out = self._delivered_rate.due(trio.current_time())
        if left_out is None:
            return
        more: dict[str, object] = {"reason": settlement.reason, "lines_left_out": left_out}
        about = {
            "call": row.delivery.call_id,
            "extension": row.delivery.extension,
            "kind": row.delivery.kind.value,
            "requests": " ".join(request.name for request in requests),
            **{name: value for name, value in more.items() if value},
        }
        if self.is_dry_run:
            log.info("sender.would_send", customer=row.delivery.customer, **about)
        else:
            log.info("sender.delivered", seconds=round(max(0.0, self.now() - row.created_at), 2), **about)

    def _too_late(self, row: LeasedRow, accepted: int) -> Settlement:
        """This process, or its host, slept since the lease: another connector may be about to take the call over.

        If it has done so by now, the store keeps what is there.
        """
        log.warning("sender.lease_too_old", call=row.delivery.call_id, kind=row.delivery.kind.value)
        if accepted == row.accepted:
            return Released()
        return Retry(at=self.now(), reason="the connector was asleep", accepted=accepted, attempt=0)

    def _given_up(self, row: LeasedRow) -> Settlement:
        why = "not repeated, since the CRM would add a second row: its last sending had no answer"
        log.warning("sender.may_be_lost", call=row.delivery.call_id, kind=row.delivery.kind.value, reason=why)
        self.may_be_lost(row, why)
        return Delivered(reason=why, is_probable=True)

    async def _ask(self, sent: Sent) -> Verdict:
        trouble = self._breaker.trouble
        if trouble is not None and trouble.ruling is Ruling.AWAY and not sent.request.is_repeatable:
            # This one has only one chance: see whether the CRM works by a request that changes nothing.
            there = self.crm.judge_probe(await self.client.post(self.crm.probe))
            if there.ruling is not Ruling.DELIVERED:
                return there
        verdict = self.judge.judge(sent, await self.client.post(sent.request))
        doubt = self.judge.doubt(sent, verdict)
        return verdict if doubt is None else doubt.decide(await self.client.post(doubt.request))

    def _note(self, verdict: Verdict, took: float) -> None:
        """What an answer, after ``took`` seconds, means for all others."""
        now = self.now()
        trouble, since = self._breaker.trouble, self._breaker.since
        self._limit.note(verdict.ruling, took, trio.current_time())
        if self._breaker.note(verdict, now, self.random()):
            current = self._breaker.trouble
            self._report(verdict if current is None else current, trouble, now - (since or now))

    def _settlement(self, row: LeasedRow, sent: Sent, verdict: Verdict, accepted: int) -> Settlement:
        """What the verdict means for the row."""
        now, words = self.now(), verdict.words
        about = {
            "call": row.delivery.call_id,
            "extension": row.delivery.extension,
            "request": sent.request.name,
            "attempt": sent.attempt,
        }
        pause = backoff(sent.attempt, self.settings.retry_min, self.settings.retry_max, self.random())
        match verdict.ruling:
            case Ruling.DELIVERED:
                log.debug("sender.accepted", **about)
                return Delivered(reason=words)
            case Ruling.PROBABLY:
                if not self.judge.is_usual:
                    log.warning("sender.probably_delivered", reason=words, **about)
                return Delivered(reason=words, is_probable=True)
            case Ruling.AGAIN:
                log.info("sender.retry", reason=words, seconds=round(pause, 1), **about)
                return Retry(at=now + pause, reason=words, accepted=accepted, attempt=sent.attempt)
            case Ruling.UNKNOWN:
                pause = max(pause, self.settings.unknown_pause)
                log.info("sender.retry", reason=words, seconds=round(pause, 1), **about)
                return Unknown(until=now + pause, reason=words, accepted=accepted)
            case Ruling.PARKED:
                log.warning("sender.parked", reason=words, row=row.id, **about)
                return Parked(reason=words, accepted=accepted)
            case Ruling.AWAY | Ruling.AUTH_FAILED | Ruling.MISCONFIGURED:
                log.debug("sender.held_back", reason=words, **about)
                at = max(now, self._breaker.until)
                if verdict.is_own:  # perhaps at this request alone: another goes first
                    at += self.settings.retry_min
                return Retry(at=at, reason=words, accepted=accepted, attempt=sent.attempt - 1)
            case _:
                assert_never(verdict.ruling)

    def _report(self, verdict: Verdict, before: Verdict | None, seconds: float) -> None:
        host = self.crm.host
        match verdict.ruling:
            case Ruling.AWAY:
                log.warning("sender.crm_away", host=host, reason=verdict.words)
            case Ruling.AUTH_FAILED:
                log.error("sender.auth_failed", host=host, reason=verdict.words)
            case Ruling.MISCONFIGURED:
                log.error("sender.crm_misconfigured", host=host, reason=verdict.words)
            case _:
                was = before.ruling.value if before else ""
                log.info("sender.crm_back", host=host, was=was, seconds=round(seconds))
