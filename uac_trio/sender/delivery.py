"""From the outbox to vTiger: one request of a call after another, a few calls at a time, each answer judged.

What an answer means is decided in vtiger/reply.py, what is sent next in the outbox, when and how much in gate.py.
"""

from __future__ import annotations

import os
import platform
import random
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import assert_never

import attrs
import structlog
import trio

from uac_trio.outbox import (
    PROBABLY_DELIVERED,
    Delivered,
    Outbox,
    OutboxError,
    OutboxRow,
    Outcome,
    Parked,
    Retry,
    Unknown,
)
from uac_trio.sender.client import CRMClient, open_client
from uac_trio.sender.gate import Gate, SenderSettings, backoff
from uac_trio.vtiger.account import VtigerAccount
from uac_trio.vtiger.reply import Reply, Ruling, Verdict, judge, repeatable
from uac_trio.vtiger.request import Step
from uac_trio.vtiger.server_errors import ServerErrors

log = structlog.get_logger()

_IDLE_POLL = 5.0  # seconds; another connector may have put or left something
_LEAST_PAUSE = 0.02
_MOST_BEGUN = 32  # popups of new calls go before them, so they may pile up

# No secret is this one, so vTiger answers Authentication Failure and does nothing.
_PROBE = {"vtigersignature": "uac-trio-is-anybody-there"}


@attrs.frozen(kw_only=True)
class SenderStatus:
    in_flight: int
    trouble: str
    """Why nothing is being delivered, in words; empty: all is well."""
    trouble_since: float | None
    at_once: float = 0.0
    """How many requests the CRM is asked at once at most, at its present pace."""
    usual_seconds: float = 0.0
    """What the CRM takes for an answer when nothing hinders it; 0: not known yet."""


Watch = Callable[[OutboxRow, Verdict, float], None]
"""Is shown each request that was sent, what its answer means, and the seconds it took."""


def _nobody(_row: OutboxRow, _verdict: Verdict, _took: float) -> None:
    """Nobody watches."""


async def run_sender(
    outbox: Outbox,
    account: VtigerAccount,
    settings: SenderSettings,
    *,
    now: Callable[[], float],
    watch: Watch = _nobody,
    random: Callable[[], float] = random.random,
    task_status: trio.TaskStatus[Sender] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Deliver what is in the outbox, for ever. ``now`` tells seconds since the epoch; reports a ``Sender``.

    Cancellation: nothing new is begun; what is in flight has ``shutdown_grace`` seconds to be answered and settled.
    What has not been by then keeps its lease and is taken up when that runs out.

    Errors: whatever the CRM, the network or the outbox do is waited out, and logged once per change.
    """
    sender = Sender(outbox=outbox, account=account, settings=settings, now=now, watch=watch, random=random)
    await sender.run(task_status=task_status)


@attrs.define(eq=False)
class Sender:
    """Reported by ``run_sender``."""

    outbox: Outbox
    account: VtigerAccount
    settings: SenderSettings
    now: Callable[[], float]
    watch: Watch
    random: Callable[[], float]
    _owner: str = attrs.field(factory=lambda: f"{platform.node()}/{os.getpid()}/{secrets.token_hex(4)}", init=False)
    _gate: Gate = attrs.field(default=attrs.Factory(lambda self: Gate(self.settings), takes_self=True), init=False)
    _scopes: dict[str, trio.CancelScope] = attrs.field(factory=dict, init=False)  # by call_id: one request each
    _begun: dict[str, None] = attrs.field(factory=dict, init=False)
    """Calls that were just told something and may have more to tell, the latest last; they keep their turn."""
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)
    _errors: ServerErrors = attrs.field(
        default=attrs.Factory(lambda self: ServerErrors(self.account.flavour), takes_self=True), init=False
    )
    _has_history: bool = attrs.field(default=False, init=False)
    _outbox_fails: int = attrs.field(default=0, init=False)

    def wake_nowait(self) -> None:
        """Something was put into the outbox: look at once."""
        self._woken.set()

    def status(self) -> SenderStatus:
        trouble = self._gate.trouble
        return SenderStatus(
            in_flight=len(self._scopes),
            trouble=trouble.words if trouble else "",
            trouble_since=self._gate.since,
            at_once=self._gate.pace.at_once,
            usual_seconds=self._gate.pace.usual,
        )

    async def run(self, *, task_status: trio.TaskStatus[Sender] = trio.TASK_STATUS_IGNORED) -> None:
        async with open_client(self.account, self.settings, now=self.now) as client, trio.open_nursery() as deliveries:
            task_status.started(self)
            try:
                while True:
                    self._woken = trio.Event()  # before we look: what is put while we look wakes us again
                    pause = await self._begin_deliveries(client, deliveries)
                    with trio.move_on_after(max(pause, _LEAST_PAUSE)):
                        await self._woken.wait()
            finally:
                for scope in self._scopes.values():
                    scope.deadline = trio.current_time() + self.settings.shutdown_grace

    async def _begin_deliveries(self, client: CRMClient, deliveries: trio.Nursery) -> float:
        """Lease what may be sent now and start sending it; seconds until it makes sense to look again."""
        now = self.now()
        free = self._gate.slots(now) - len(self._scopes)
        if free <= 0:
            closed = self._gate.trouble is not None and not self._scopes
            return self._gate.until - now if closed else _IDLE_POLL
        try:
            await self._read_history()
            rows = await self.outbox.lease(now, free, self._owner, self.settings.lease_seconds, tuple(self._begun))
        except OutboxError as error:
            return self._outbox_failed(error)
        for row in rows:  # before the next checkpoint: a stop in between would leave them leased to nobody
            if row.call_id in self._scopes:
                # Our own lease seems to have run out: the clock was set forward. The new one will run out as well.
                log.warning("sender.clock_jumped", call=row.call_id)
                continue
            scope = self._scopes[row.call_id] = trio.CancelScope(shield=True)
            deliveries.start_soon(self._deliver, client, row, scope)
        try:
            wake = await self.outbox.next_wake(now) if len(rows) < free else None
        except OutboxError as error:
            return self._outbox_failed(error)
        self._outbox_works()
        return _IDLE_POLL if wake is None else min(wake - now, _IDLE_POLL)

    async def _read_history(self) -> None:
        """What the CRM answered to earlier runs, and to other connectors on this store: an outage may be under way."""
        if not self._has_history:
            for extension, believed in await self.outbox.begins_delivered():
                self._errors.settled("", Step.DIAL_BEGIN, extension, believed=believed)
            self._has_history = True

    async def _deliver(self, client: CRMClient, row: OutboxRow, scope: trio.CancelScope) -> None:
        try:
            with scope:
                if self.now() + self.settings.answer_within > row.leased_until:
                    # This process, or its host, slept since: another connector may be about to take the call over.
                    log.warning("sender.lease_too_old", call=row.call_id, step=row.step.value)
                    return
                began = trio.current_time()
                verdict = await self._send(client, row)
                took = trio.current_time() - began
                outcome = self._outcome(row, verdict, took)
                self.watch(row, verdict, took)
                await self._settle(row, outcome)
            if scope.cancelled_caught:
                log.warning("sender.cut_off", call=row.call_id, step=row.step.value)
        finally:
            del self._scopes[row.call_id]
            self._begun[row.call_id] = None
            if len(self._begun) > _MOST_BEGUN:
                del self._begun[next(iter(self._begun))]
            self.wake_nowait()

    async def _send(self, client: CRMClient, row: OutboxRow) -> Verdict:
        trouble = self._gate.trouble
        if trouble is not None and trouble.ruling is Ruling.AWAY and not repeatable(row.step):
            # This one has only one chance: see whether anybody is there by a request that changes nothing.
            there = await self._probe(client)
            if there.ruling is not Ruling.DELIVERED:
                return there
        answer = await client.post({**row.form, "vtigersignature": self.account.secret})
        evidence = self._errors.evidence(row.key, row.extension)
        verdict = judge(row.step, answer, attempt=row.attempt, evidence=evidence)
        if isinstance(answer, Reply) and answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._errors.failed(row.key)
            if verdict.ruling is Ruling.AWAY and not repeatable(row.step):
                # Its row may be there, unless the CRM fails at what touches no row as well.
                there = await self._probe(client)
                if there.ruling is Ruling.DELIVERED:
                    words = f"not repeated, since vTiger may add a second row: {verdict.words}"
                    return attrs.evolve(verdict, ruling=Ruling.PARKED, words=words)
        return verdict

    async def _probe(self, client: CRMClient) -> Verdict:
        """DELIVERED: the CRM answers a request that changes nothing. AWAY: it does not."""
        there = judge(Step.HANGUP, await client.post(_PROBE), attempt=1)
        answers = there.ruling in (Ruling.AUTH_FAILED, Ruling.DELIVERED)
        return attrs.evolve(there, ruling=Ruling.DELIVERED if answers else Ruling.AWAY)

    def _outcome(self, row: OutboxRow, verdict: Verdict, took: float) -> Outcome:
        """What the verdict, after ``took`` seconds, means for the row; what it means for all is told to the gate and
        to the log."""
        now = self.now()
        trouble = self._gate.trouble
        troubled_for = now - (self._gate.since or now)
        if self._gate.note(verdict, now, self.random(), began=now - took):
            self._tell(verdict if self._gate.trouble is None else self._gate.trouble, trouble, troubled_for)
        about = {"call": row.call_id, "extension": row.extension, "step": row.step.value, "attempt": row.attempt}
        pause = backoff(row.attempt, self.settings.retry_min, self.settings.retry_max, self.random())
        words = verdict.words
        match verdict.ruling:
            case Ruling.DELIVERED:
                self._errors.settled(row.key, row.step, row.extension, believed=False)
                log.debug("sender.delivered", **about)
                return Delivered(reason=words)
            case Ruling.PROBABLY:
                if not self._errors.are_usual:
                    log.warning("sender.probably_delivered", reason=words, **about)
                self._errors.settled(row.key, row.step, row.extension, believed=True)
                return Delivered(reason=f"{PROBABLY_DELIVERED}{words}")
            case Ruling.AGAIN:
                log.info("sender.retry", reason=words, seconds=round(pause, 1), **about)
                return Retry(at=now + pause, reason=words)
            case Ruling.UNKNOWN:
                pause = max(pause, self.settings.unknown_pause)
                log.info("sender.retry", reason=words, seconds=round(pause, 1), **about)
                return Unknown(until=now + pause, reason=words)
            case Ruling.PARKED:
                self._errors.given_up(row.key)
                log.warning("sender.parked", reason=words, row=row.id, **about)
                return Parked(reason=words)
            case Ruling.AWAY | Ruling.AUTH_FAILED | Ruling.MISCONFIGURED:
                log.debug("sender.held_back", reason=words, **about)
                at = max(now, self._gate.until)
                if self._errors.has_failed(row.key):  # perhaps at this request alone: another goes first
                    at += self.settings.retry_min
                return Retry(at=at, reason=words, counted=False)
            case _:
                assert_never(verdict.ruling)

    def _tell(self, verdict: Verdict, before: Verdict | None, seconds: float) -> None:
        host = self.account.host
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

    async def _settle(self, row: OutboxRow, outcome: Outcome) -> None:
        """Until it is written down: a delivered request that is not would be sent twice."""
        while True:
            try:
                if not await self.outbox.settle(row, outcome, self.now()):
                    log.warning("sender.lease_lost", call=row.call_id, step=row.step.value)
            except OutboxError as error:
                pause = self._outbox_failed(error)
                if self.now() + pause < row.leased_until:
                    await trio.sleep(pause)
                    continue
            else:
                self._outbox_works()
            return

    def _outbox_failed(self, error: OutboxError) -> float:
        """Seconds to wait before it is tried again."""
        if not self._outbox_fails:
            log.error("sender.outbox_failed", reason=str(error))
        self._outbox_fails += 1
        return backoff(self._outbox_fails, 0.5, _IDLE_POLL, self.random())

    def _outbox_works(self) -> None:
        if self._outbox_fails:
            log.info("sender.outbox_works_again")
        self._outbox_fails = 0
