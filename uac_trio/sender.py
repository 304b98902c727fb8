"""From the outbox to vTiger: one request of a call after another, a few calls at a time, each answer judged.

What an answer means is decided in vtiger/reply.py, what is sent next in the outbox; here is when: ``Gate`` holds
everything back while the CRM is away or refuses us, ``backoff`` says for how long. Slowing down by the CRM's latency is
not done yet: ``in_flight`` bounds what it is asked at once.
"""

from __future__ import annotations

import os
import platform
import random
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import assert_never
from urllib.parse import urlencode

import attrs
import httpx
import structlog
import trio

from uac_trio import __version__
from uac_trio.outbox import Delivered, Outbox, OutboxError, OutboxRow, Outcome, Parked, Retry, Unknown
from uac_trio.vtiger.account import VtigerAccount
from uac_trio.vtiger.reply import Failure, NoReply, Reply, Ruling, Verdict, judge, repeatable
from uac_trio.vtiger.request import Step

log = structlog.get_logger()

MAX_BODY = 64 * 1024
"""Bytes of a reply that are read. vTiger's own are below 1 KiB; an error page is known by its beginning."""

_IDLE_POLL = 5.0  # seconds; another connector may have put or left something
_KEEP_ALIVE = 2.0  # seconds; below the 5 s after which Apache closes, or a request meets a closing connection
_LEAST_PAUSE = 0.02

# No secret is this one, so vTiger answers Authentication Failure and does nothing.
_PROBE = b"vtigersignature=uac-trio-is-anybody-there"

_POSITIVE = attrs.validators.gt(0.0)


@attrs.frozen(kw_only=True)
class SenderSettings:
    """All times in seconds."""

    in_flight: int = attrs.field(default=3, validator=[attrs.validators.ge(1), attrs.validators.le(16)])
    """Requests at once. vTiger serialises the creation of rows, so more than 4 only makes each slower."""
    connect_timeout: float = attrs.field(default=5.0, validator=_POSITIVE)
    reply_timeout: float = attrs.field(default=15.0, validator=_POSITIVE)
    retry_min: float = attrs.field(default=2.0, validator=_POSITIVE)
    retry_max: float = attrs.field(default=300.0, validator=_POSITIVE)
    away_max: float = attrs.field(default=30.0, validator=_POSITIVE)
    """Longest pause between two looks whether the CRM is back."""
    unknown_pause: float = attrs.field(default=60.0, validator=_POSITIVE)
    """How long a call rests after a request without an answer. MySQL waits 50 s for a row lock: a second DialBegin
    beside one that still waits makes a second row."""
    shutdown_grace: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))
    """What requests in flight are given to end when the sender is cancelled."""
    ca_file: str | None = None
    """PEM file of the authorities to trust for https, instead of the system's."""

    @property
    def lease_seconds(self) -> float:
        """Nobody else may touch the call while we wait for an answer, nor, if we die, while the CRM may still work."""
        longest = 2 * (self.connect_timeout + self.reply_timeout)
        return self.connect_timeout + max(longest, self.unknown_pause) + 5


@attrs.frozen(kw_only=True)
class SenderStatus:
    in_flight: int
    trouble: str
    """Why nothing is being delivered, in words; empty: all is well."""
    trouble_since: float | None


def backoff(failures: int, least: float, most: float, jitter: float) -> float:
    """Seconds to pause after the ``failures``-th failure in a row, from 1. ``jitter``, in [0, 1), spreads by 1/4."""
    return min(most, least * 2.0 ** min(failures - 1, 32) * (0.75 + jitter / 2))


@attrs.define
class Gate:
    """Whether anything may be sent at all. Pure: time and chance are arguments.

    Closed after a failure that the next request would meet as well; after the pause one request is let through, and its
    answer opens or closes it.
    """

    settings: SenderSettings
    trouble: Verdict | None = None
    since: float | None = None
    until: float = 0.0
    _failures: int = 0
    _unanswered: int = 0

    def slots(self, now: float) -> int:
        """How many requests may be in flight."""
        if self.trouble is None:
            return self.settings.in_flight
        return 1 if now >= self.until else 0

    def note(self, verdict: Verdict, now: float, jitter: float) -> bool:
        """Take an answer in. True: the trouble has begun, changed, ended, or is to be told again."""
        match verdict.ruling:
            case Ruling.AWAY | Ruling.AUTH_FAILED | Ruling.MISCONFIGURED:
                return self._close(verdict, now, jitter)
            case Ruling.UNKNOWN:
                # One slow request is its own affair; as many in a row as we send at once mean that the CRM hangs.
                self._unanswered += 1
                hangs = self.trouble is not None or self._unanswered >= self.settings.in_flight
                away = attrs.evolve(verdict, ruling=Ruling.AWAY)
                return self._close(away, now, jitter) if hangs else False
            case _:
                ended = self.trouble is not None
                self.trouble, self.since, self.until = None, None, 0.0
                self._failures = self._unanswered = 0
                return ended

    def _close(self, verdict: Verdict, now: float, jitter: float) -> bool:
        same = self.trouble is not None and self.trouble.ruling is verdict.ruling
        if same and now < self.until:
            return False  # it was in flight when the first of them failed
        self.trouble = verdict
        self.since = now if self.since is None else self.since
        self._failures += 1
        most = self.settings.away_max if verdict.ruling is Ruling.AWAY else self.settings.retry_max
        self.until = now + backoff(self._failures, self.settings.retry_min, most, jitter)
        return not same or verdict.ruling is not Ruling.AWAY


async def run_sender(
    outbox: Outbox,
    account: VtigerAccount,
    settings: SenderSettings,
    *,
    now: Callable[[], float],
    random: Callable[[], float] = random.random,
    task_status: trio.TaskStatus[Sender] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Deliver what is in the outbox, for ever. ``now`` tells seconds since the epoch; reports a ``Sender``.

    Cancellation: nothing new is begun; what is in flight has ``shutdown_grace`` seconds to be answered and settled.
    What has not been by then keeps its lease and is taken up when that runs out.

    Errors: whatever the CRM, the network or the outbox do is waited out, and logged once per change.
    """
    await Sender(outbox=outbox, account=account, settings=settings, now=now, random=random).run(task_status=task_status)


@attrs.define(eq=False)
class Sender:
    """Reported by ``run_sender``."""

    outbox: Outbox
    account: VtigerAccount
    settings: SenderSettings
    now: Callable[[], float]
    random: Callable[[], float]
    _owner: str = attrs.field(factory=lambda: f"{platform.node()}/{os.getpid()}/{secrets.token_hex(4)}", init=False)
    _gate: Gate = attrs.field(default=attrs.Factory(lambda self: Gate(self.settings), takes_self=True), init=False)
    _scopes: dict[str, trio.CancelScope] = attrs.field(factory=dict, init=False)  # by call_id: one request each
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)
    _usual_500: bool = attrs.field(default=False, init=False)
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
        )

    async def run(self, *, task_status: trio.TaskStatus[Sender] = trio.TASK_STATUS_IGNORED) -> None:
        async with _open_client(self.settings) as client, trio.open_nursery() as deliveries:
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

    async def _begin_deliveries(self, client: httpx.AsyncClient, deliveries: trio.Nursery) -> float:
        """Lease what may be sent now and start sending it; seconds until it makes sense to look again."""
        now = self.now()
        free = self._gate.slots(now) - len(self._scopes)
        if free <= 0:
            closed = self._gate.trouble is not None and not self._scopes
            return self._gate.until - now if closed else _IDLE_POLL
        try:
            rows = await self.outbox.lease(now, free, self._owner, self.settings.lease_seconds)
            wake = await self.outbox.next_wake(now) if len(rows) < free else None
        except OutboxError as error:
            return self._outbox_failed(error)
        self._outbox_works()
        for row in rows:
            if row.call_id in self._scopes:
                # Our own lease seems to have run out: the clock was set forward. The new one will run out as well.
                log.warning("sender.clock_jumped", call=row.call_id)
                continue
            scope = self._scopes[row.call_id] = trio.CancelScope(shield=True)
            deliveries.start_soon(self._deliver, client, row, scope)
        return _IDLE_POLL if wake is None else min(wake - now, _IDLE_POLL)

    async def _deliver(self, client: httpx.AsyncClient, row: OutboxRow, scope: trio.CancelScope) -> None:
        try:
            with scope:
                verdict = await self._send(client, row)
                await self._settle(row, self._outcome(row, verdict))
            if scope.cancelled_caught:
                log.warning("sender.cut_off", call=row.call_id, step=row.step.value)
        finally:
            del self._scopes[row.call_id]
            self.wake_nowait()

    async def _send(self, client: httpx.AsyncClient, row: OutboxRow) -> Verdict:
        trouble = self._gate.trouble
        if trouble is not None and trouble.ruling is Ruling.AWAY and not repeatable(row.step):
            # This one has only one chance: see whether anybody is there by a request that changes nothing.
            there = judge(Step.HANGUP, await self._post(client, _PROBE), attempt=1)
            if there.ruling not in (Ruling.AUTH_FAILED, Ruling.DELIVERED):
                return attrs.evolve(there, ruling=Ruling.AWAY)
        form = {**row.form, "vtigersignature": self.account.secret}
        answer = await self._post(client, urlencode(form, encoding="utf-8", errors="replace").encode())
        return judge(row.step, answer, attempt=row.attempt, usual_500=self._usual_500)

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> Reply | NoReply:
        longest = self.settings.connect_timeout + self.settings.reply_timeout
        try:
            with trio.fail_after(longest):
                return await _posted(client, self.account, body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            detail = str(error) or "no connection in time"
            return NoReply(failure=Failure.NOT_SENT, detail=f"{self.account.host}: {detail}")
        except (httpx.TimeoutException, trio.TooSlowError):
            return NoReply(failure=Failure.UNKNOWN, detail=f"{self.account.host} gave no complete reply in time")
        except httpx.TransportError as error:
            detail = str(error) or type(error).__name__
            return NoReply(failure=Failure.UNKNOWN, detail=f"{self.account.host} broke the connection: {detail}")

    def _outcome(self, row: OutboxRow, verdict: Verdict) -> Outcome:
        """What the verdict means for the row; what it means for all is told to the gate and to the log."""
        now = self.now()
        trouble = self._gate.trouble
        troubled_for = now - (self._gate.since or now)
        if self._gate.note(verdict, now, self.random()):
            self._tell(verdict if self._gate.trouble is None else self._gate.trouble, trouble, troubled_for)
        about = {"call": row.call_id, "extension": row.extension, "step": row.step.value, "attempt": row.attempt}
        pause = backoff(row.attempt, self.settings.retry_min, self.settings.retry_max, self.random())
        words = verdict.words
        match verdict.ruling:
            case Ruling.DELIVERED:
                self._usual_500 = False
                log.debug("sender.delivered", **about)
                return Delivered(reason=words)
            case Ruling.PROBABLY:
                if not self._usual_500:
                    log.warning("sender.probably_delivered", reason=words, **about)
                self._usual_500 = repeatable(row.step)
                return Delivered(reason=f"probably delivered: {words}")
            case Ruling.AGAIN:
                log.info("sender.retry", reason=words, seconds=round(pause, 1), **about)
                return Retry(at=now + pause, reason=words)
            case Ruling.UNKNOWN:
                pause = max(pause, self.settings.unknown_pause)
                log.info("sender.retry", reason=words, seconds=round(pause, 1), **about)
                return Unknown(until=now + pause, reason=words)
            case Ruling.PARKED:
                log.warning("sender.parked", reason=words, row=row.id, **about)
                return Parked(reason=words)
            case Ruling.AWAY | Ruling.AUTH_FAILED | Ruling.MISCONFIGURED:
                log.debug("sender.held_back", reason=words, **about)
                return Retry(at=max(now, self._gate.until), reason=words, counted=False)
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


@asynccontextmanager
async def _open_client(settings: SenderSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Proxies named in the environment are not used; redirects are not followed, for a redirected POST loses its form;
    cookies are not kept, for PHP lets the requests of one session in one at a time."""
    async with httpx.AsyncClient(
        verify=ssl.create_default_context(cafile=settings.ca_file),
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(settings.reply_timeout, connect=settings.connect_timeout),
        limits=httpx.Limits(max_connections=settings.in_flight, keepalive_expiry=_KEEP_ALIVE),
        headers={"User-Agent": f"uac-trio/{__version__}", "Accept-Encoding": "identity"},
    ) as client:
        yield client


async def _posted(client: httpx.AsyncClient, account: VtigerAccount, body: bytes) -> Reply:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = client.build_request("POST", account.url, content=body, headers=headers)
    request.stream = _Body(body)
    reply = await client.send(request, stream=True)
    try:
        read = bytearray()
        # Cancelled and not left by ``break``: httpx's nested generators end only if something is raised innermost.
        with trio.CancelScope() as enough:
            async for chunk in reply.aiter_raw():
                read += chunk
                if len(read) >= MAX_BODY:
                    enough.cancel()
    finally:
        await reply.aclose()
    text = bytes(read[:MAX_BODY]).decode("utf-8", errors="replace")
    return Reply(
        status=reply.status_code,
        content_type=reply.headers.get("content-type", ""),
        text=text.replace(account.secret, "***"),  # an error page may quote what it was sent
        location=reply.headers.get("location", "").replace(account.secret, "***"),
    )


@attrs.define(eq=False)
class _Body(httpx.AsyncByteStream):
    """A body in one piece. httpx's own is a generator, which a cancelled write leaves behind unfinished."""

    _rest: bytes

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._rest:
            raise StopAsyncIteration
        piece, self._rest = self._rest, b""
        return piece
