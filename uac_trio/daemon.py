"""The daemon: every task there is, in which order they start, and in which they end.

    PBX --AMI--> listener (digests at once, never waits) --> hand-over --> outbox --> sender --> CRM
    CRM --HTTP--> /makecall --> the PBX's client
    CRM --HTTP--> /recording --> the file; the CRM is told of a recording when its file is complete

The nurseries in ``_Daemon.run`` are nested in the order of a shutdown: the web stops accepting, the AMI intake stops,
what it has told is committed to the outbox, the sender ends its requests, open replies of the web get their grace. A
PBX, the CRM or the store being away stops none of the others.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import attrs
import structlog
import trio

from uac_trio import __version__
from uac_trio.ami import LocalProtocolError, Message, Originate
from uac_trio.ami_client import AMIClient, run_ami_client
from uac_trio.calls import WANTED_EVENTS
from uac_trio.calls.fact import CallEnded, Fact, Oddity, ParticipationBegan, ParticipationEnded
from uac_trio.config import Config
from uac_trio.outbox import Outbox, OutboxError, OutboxStatistics, open_outbox
from uac_trio.pipeline import Begun, Pipeline
from uac_trio.recordings import Archive, AwaitedRecordings, open_archive, split_told
from uac_trio.sender import Sender, run_sender
from uac_trio.vtiger.account import Flavour
from uac_trio.vtiger.click2call import Dial, Originated
from uac_trio.vtiger.recording import recording_link
from uac_trio.vtiger.request import CallbackRequest
from uac_trio.web import Click2Call, Health, Playback, create_app, serve_web

log = structlog.get_logger()

MAX_WAITING = 20_000
"""Requests held in memory while the store takes none: 30 MB, half an hour of a PBX with two calls a second."""
BATCH = 500
"""Requests put into the outbox in one transaction."""
STORE_PAUSE = 1.0
STATISTICS_EVERY = 10.0
PURGE_EVERY = 3600.0
START_OVER_PAUSE = 5.0
LONGEST_SLEEP = 10.0
"""Seconds between two looks at the clock, which may be set; also how often systemd's watchdog is fed at least."""
COMMIT_WITHIN = 5.0
"""What the outbox is given for the last requests at a shutdown."""
END_WITHIN = 20.0
"""After that a shutdown is cut short, whatever is still open. Below TimeoutStopSec of the systemd unit."""


def now() -> float:
    """Seconds since the epoch: the one clock that the program reads."""
    return time.time()  # noqa: TID251


async def run_daemon(
    config: Config,
    *,
    now: Callable[[], float] = now,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run everything until cancelled; then end in order, in ``END_WITHIN`` seconds at most.

    ``task_status`` gets the HTTP addresses (``list[str]``) once requests are accepted; PBXes may still be away.
    Raises, within an ExceptionGroup, OutboxError or CannotListenError when it cannot start.
    """
    stop = trio.Event()
    daemon = _Daemon(config=config, now=now, stop=stop)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(daemon.run_shielded, task_status)
        # The parts do not see the cancellation: they are told to stop, and end one after another.
        try:
            await trio.sleep_forever()
        finally:
            stop.set()
            daemon.hull.deadline = trio.current_time() + END_WITHIN


@attrs.define(eq=False)
class _Intake:
    """One pipeline and what it is told: the listener of the AMI clients. Nothing in here waits."""

    pipeline: Pipeline
    hand_over: trio.MemorySendChannel[CallbackRequest]
    now: Callable[[], float]
    useless: trio.Event = attrs.field(factory=trio.Event)
    """Set when what the pipeline believes and what the outbox has differ: start over."""
    dropped: int = 0
    sleeps_until: float = math.inf
    woken: trio.Event = attrs.field(factory=trio.Event)

    def connected(self, pbx: str, at: float) -> None:
        self._digest(partial(self.pipeline.connected, pbx, at), pbx)

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
        self._digest(partial(self.pipeline.received, pbx, messages, at), pbx)

    def lost(self, pbx: str, reason: str, at: float) -> None:
        self._digest(partial(self.pipeline.lost, pbx, at), pbx)

    def tick(self) -> None:
        self._digest(partial(self.pipeline.tick, self.now()), "")

    def _digest(self, step: Callable[[], list[CallbackRequest]], pbx: str) -> None:
        if self.useless.is_set():
            return
        try:
            requests = step()
        except Exception:
            # A fault of ours over one event must not end everybody's calls. What the pipeline knows is not to be
            # trusted any more; the outbox and a snapshot of the PBX are.
            log.exception("daemon.digest_failed", pbx=pbx)
            self.useless.set()
            return
        for number, request in enumerate(requests):
            try:
                self.hand_over.send_nowait(request)
            except trio.WouldBlock:
                self.dropped = len(requests) - number
                self.useless.set()
                return
        deadline = self.pipeline.next_deadline
        if deadline is not None and deadline < self.sleeps_until:
            self.woken.set()


@attrs.define(eq=False, kw_only=True)
class _Daemon:
    config: Config
    now: Callable[[], float]
    stop: trio.Event
    hull: trio.CancelScope = attrs.field(factory=lambda: trio.CancelScope(shield=True))
    outbox: Outbox = attrs.field(init=False)
    archive: Archive = attrs.field(init=False)
    awaited: AwaitedRecordings = attrs.field(init=False)
    sender: Sender = attrs.field(init=False)
    clients: dict[str, AMIClient] = attrs.field(factory=dict)
    statistics: OutboxStatistics | None = None
    store_trouble: str = ""
    """Why the store takes nothing now; "" = it works."""
    waiting: trio.MemoryReceiveChannel[CallbackRequest] = attrs.field(init=False)
    """Handed over, and not yet taken by ``_store``."""
    uncommitted: int = 0
    """Requests taken out of the channel and not yet in the outbox."""
    starts_over: int = 0
    pipeline: Pipeline | None = None

    async def run_shielded(self, task_status: trio.TaskStatus[Any]) -> None:
        with self.hull:
            await self.run(task_status)
        if self.hull.cancelled_caught:
            log.error("daemon.shutdown_cut_short", seconds=END_WITHIN)
        if self._in_memory():
            log.error("daemon.requests_lost", requests=self._in_memory(), reason=self.store_trouble)

    async def run(self, task_status: trio.TaskStatus[Any]) -> None:
        config = self.config
        log.info(
            "daemon.starting", version=__version__, config=str(config.path), store=config.store.url.partition(":")[0]
        )
        for warning in config.warnings:
            log.warning("daemon.config_warning", warning=warning)
        send, self.waiting = trio.open_memory_channel[CallbackRequest](MAX_WAITING)
        web_stop = trio.Event()
        async with (
            open_outbox(config.store) as self.outbox,
            open_recordings(config, self.outbox, self.now) as self.archive,
            trio.open_nursery() as web,
        ):
            self.statistics = await self.outbox.statistics()
            async with trio.open_nursery() as sending:
                self.sender = await sending.start(
                    partial(run_sender, self.outbox, config.vtiger, config.sender, now=self.now)
                )
                addresses = await web.start(partial(serve_web, self._app(), config.http, shutdown=web_stop))
                self.awaited = AwaitedRecordings(
                    self.archive, self.outbox.recordings, self.now, self.sender.wake_nowait
                )
                async with trio.open_nursery() as storing:
                    storing.start_soon(self._store)
                    async with send, trio.open_nursery() as intake:
                        intake.start_soon(self._listen, send)
                        intake.start_soon(self._look_after_store)
                        intake.start_soon(self.awaited.run)
                        log.info("daemon.ready", http=addresses, pbx=[server.name for server in config.pbx])
                        tell_systemd("READY=1")
                        task_status.started(addresses)
                        await self.stop.wait()
                        log.info("daemon.stopping")
                        tell_systemd("STOPPING=1")
                        web_stop.set()
                        intake.cancel_scope.cancel()
                    # Nobody can tell anything any more: the writer ends when the last request is committed.
                    storing.cancel_scope.deadline = trio.current_time() + COMMIT_WITHIN
                sending.cancel_scope.cancel()  # it gives what is on the wire its own shutdown_grace
        log.info("daemon.stopped")

    # -- from the PBXes to the outbox ---------------------------------------------------------------------------------

    async def _listen(self, send: trio.MemorySendChannel[CallbackRequest]) -> None:
        """Follow all PBXes; start over, as after a restart, when the pipeline can no longer be trusted."""
        while True:
            intake = _Intake(await self._restored_pipeline(), send, self.now)
            self.pipeline = intake.pipeline
            async with trio.open_nursery() as nursery:
                for server in self.config.pbx:
                    run = partial(run_ami_client, server, intake, now=self.now, wanted=WANTED_EVENTS.__contains__)
                    self.clients[server.name] = await nursery.start(run)
                nursery.start_soon(self._tick, intake)
                await intake.useless.wait()
                self.starts_over += 1
                log.error("daemon.starting_over", dropped=intake.dropped, times=self.starts_over)
                while self._in_memory():  # noqa: ASYNC110 - two numbers of different rooms, once a second
                    await trio.sleep(STORE_PAUSE)
                await trio.sleep(START_OVER_PAUSE)
                nursery.cancel_scope.cancel()

    async def _restored_pipeline(self) -> Pipeline:
        config = self.config
        link = recording_link(config.http.public_url, config.vtiger.secret)
        pipeline = Pipeline(rules=config.calls, account=config.vtiger, link=link, observe=log_fact)
        for server in config.pbx:
            left_open = await self._left_open(f"{server.name}-")
            if left_open:
                log.info("daemon.calls_restored", pbx=server.name, participations=len(left_open))
            pipeline.restore(server.name, left_open)
        return pipeline

    async def _left_open(self, prefix: str) -> list[Begun]:
        while True:
            try:
                found = await self.outbox.open_participations(prefix)
            except OutboxError as why:
                self._store_fails(why)
                await trio.sleep(STORE_PAUSE)
                continue
            return [
                Begun(
                    CallbackRequest(
                        key=one.key,
                        call_id=one.call_id,
                        extension=one.extension,
                        step=one.step,
                        form=one.form,
                        at=one.at,
                    ),
                    one.answered_at,
                )
                for one in found
            ]

    async def _tick(self, intake: _Intake) -> None:
        """Do what is due by the clock, and tell systemd that events are being digested."""
        feeding = watchdog_seconds(os.environ)
        longest = min(LONGEST_SLEEP, feeding / 3)
        while True:
            intake.woken = trio.Event()
            deadline = intake.pipeline.next_deadline
            intake.sleeps_until = math.inf if deadline is None else deadline
            with trio.move_on_after(min(longest, max(0.01, intake.sleeps_until - self.now()))):
                await intake.woken.wait()
            intake.tick()
            if feeding < math.inf:
                tell_systemd("WATCHDOG=1")

    async def _store(self) -> None:
        """Put into the outbox whatever is handed over; hold it while the store is away."""
        async for first in self.waiting:
            batch = [first]
            self.uncommitted = 1
            try:
                while len(batch) < BATCH:
                    batch.append(self.waiting.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                pass
            self.uncommitted = len(batch)
            while not await self._put(batch):  # noqa: ASYNC110 - this is the retry, not a poll
                await trio.sleep(STORE_PAUSE)
            self.uncommitted = 0

    async def _put(self, batch: Sequence[CallbackRequest]) -> bool:
        requests, recordings = split_told(batch, self.config.recordings)
        try:
            new = await self.outbox.put(requests, self.now(), recordings)
        except OutboxError as why:
            self._store_fails(why)
            return False
        self._store_works()
        log.debug("outbox.put", requests=len(batch), new=new)
        self.sender.wake_nowait()
        if recordings:
            self.awaited.wake_nowait()
        return True

    async def _look_after_store(self) -> None:
        """Keep the figures for /healthz fresh and throw old rows away."""
        purge_at = trio.current_time()
        while True:
            try:
                self.statistics = await self.outbox.statistics()
                if trio.current_time() >= purge_at:
                    purge_at = trio.current_time() + PURGE_EVERY
                    purged = await self.outbox.purge(self.now() - self.config.store.keep_delivered)
                    log.debug("outbox.purged", rows=purged)
                if not self.uncommitted:
                    self._store_works()
            except OutboxError as why:
                self._store_fails(why)
            await trio.sleep(STATISTICS_EVERY)

    def _store_fails(self, why: OutboxError) -> None:
        if str(why) != self.store_trouble:
            log.error("outbox.fails", reason=str(why), in_memory=self._in_memory())
        self.store_trouble = str(why)

    def _store_works(self) -> None:
        if self.store_trouble:
            log.info("outbox.works_again")
        self.store_trouble = ""

    def _in_memory(self) -> int:
        return self.uncommitted + self.waiting.statistics().current_buffer_used

    # -- from the CRM to the PBXes ------------------------------------------------------------------------------------

    async def _originate(self, dial: Dial) -> Originated:
        client = self.clients.get(dial.pbx)
        if client is None:
            return Originated.REFUSED  # not started yet
        try:
            action = Originate(
                channel=dial.channel,
                context=dial.context,
                exten=dial.exten,
                channel_id=dial.channel_id,
                timeout=dial.ring_seconds,
                caller_id=dial.caller_id,
            )
        except LocalProtocolError as why:
            log.error("click2call.impossible", pbx=dial.pbx, reason=str(why))
            return Originated.REFUSED
        told = await client.originate(action)
        if told.reason:
            log.warning("click2call.not_queued", pbx=dial.pbx, reason=told.reason)
        return Originated(told.outcome.value)

    def _app(self) -> Any:  # noqa: ANN401 - QuartTrio, which only the web room may name
        config = self.config
        click2call = Click2Call(
            originate=self._originate,
            secret=config.vtiger.secret,
            rules=config.click2call,
            routes=config.routes,
            is_extension=config.calls.is_extension,
            region=config.calls.region,
            now=self.now,
        )
        playback = Playback(
            archive=self.archive,
            secret=config.vtiger.secret,
            needs_secret=config.vtiger.flavour is Flavour.SALESPLATFORM,
        )
        return create_app(click2call=click2call, health=self._health, playback=playback)

    def _health(self) -> Health:
        states = {name: client.status for name, client in self.clients.items()}
        sender = self.sender.status()
        details: dict[str, object] = {
            "version": __version__,
            "pbx": {
                name: {"state": status.state, "since": status.connected_since, "last_error": status.last_error}
                for name, status in states.items()
            },
            "live_calls": self.pipeline.live_calls if self.pipeline else 0,
            "store": {"trouble": self.store_trouble, "in_memory": self._in_memory(), "starts_over": self.starts_over},
            "outbox": attrs.asdict(self.statistics) if self.statistics else None,
            "crm": {"in_flight": sender.in_flight, "trouble": sender.trouble, "since": sender.trouble_since},
        }
        connected = [name for name, status in states.items() if status.state == "connected"]
        return Health(works=not self.store_trouble, ready=len(connected) == len(self.config.pbx), details=details)


def open_recordings(
    config: Config, outbox: Outbox, now: Callable[[], float] = now
) -> AbstractAsyncContextManager[Archive]:
    """The recordings that ``config`` and the outbox know; conversions are kept beside the store."""
    return open_archive(
        config.playback,
        roots=config.recordings,
        cache=outbox.directory / "recordings-cache",
        find=outbox.recordings.find,
        now=now,
    )


def log_fact(fact: Fact, _requests: Sequence[CallbackRequest]) -> None:
    """A line for each phone that rings, each part that ends and each call that is over."""
    match fact:
        case ParticipationBegan():
            log.info(
                "calls.ringing",
                call=fact.call_id,
                extension=fact.extension,
                direction=fact.direction.value,
                customer=fact.customer,
            )
        case ParticipationEnded():
            log.info(
                "calls.part_ended",
                call=fact.call_id,
                extension=fact.extension,
                outcome=fact.outcome.value,
                talk_secs=round(fact.talk_secs, 1),
                inferred=fact.inferred,
            )
        case CallEnded():
            told = {name: fact.record.get(name) for name in ("direction", "status", "customer")}
            log.info("calls.ended", call=fact.call_id, **told)
        case Oddity():
            log.warning("calls.odd", call=fact.call_id, because=fact.because)
        case _:
            pass


def tell_systemd(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """sd_notify(3): ``READY=1``, ``STOPPING=1``, ``WATCHDOG=1``. Nothing happens where systemd did not start us."""
    path = environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path  # @: a socket in the abstract namespace
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as systemd:
        try:
            systemd.sendto(state.encode(), address)
        except OSError as why:
            log.warning("daemon.systemd_not_told", state=state, reason=str(why))


def watchdog_seconds(environ: Mapping[str, str]) -> float:
    """How often systemd wants to hear from us, by its WatchdogSec=; infinite if it does not."""
    ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    told = environ.get("WATCHDOG_USEC", "")
    return int(told) / 1_000_000 if ours and told.isdecimal() and int(told) > 0 else math.inf
