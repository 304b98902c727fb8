"""From the PBXes to the hand-over: the pipeline, its clock, and what happens when it can no longer be trusted."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs
import structlog
import trio

from uac_trio.ami import Message
from uac_trio.ami_client.client import AMIClient, run_ami_client
from uac_trio.calls.adapters import AmiGeneration, generation_of, is_wanted
from uac_trio.calls.call import ClickOrder
from uac_trio.calls.fact import (
    CallEnded,
    Fact,
    NotAnEmployee,
    NotShown,
    Oddity,
    ParticipationAnswered,
    ParticipationBegan,
    ParticipationEnded,
    RecordingKnown,
)
from uac_trio.config.loading import Config
from uac_trio.crm.delivery import Delivery, failed_click
from uac_trio.crm.recording import recording_token
from uac_trio.daemon.backfilling import Backfilling
from uac_trio.daemon.clicks import log_click
from uac_trio.daemon.companion import Companion
from uac_trio.daemon.storing import Storing
from uac_trio.daemon.systemd import notify_systemd, watchdog_seconds
from uac_trio.daemon.watching import Watching
from uac_trio.event_log import LogPart
from uac_trio.flight_recorder.recorder import FlightRecorder
from uac_trio.pipeline import Begun, Pipeline

log = structlog.get_logger()

START_OVER_PAUSE = 5.0
AMI_1_HINT = (
    "queues show whom they ring with eventwhencalled = yes in queues.conf, hold shows with callevents = yes in sip.conf"
)
UNKNOWN_HINT = (
    "its calls may not be followed: host and port of this [[pbx]] should be those of Asterisk's own manager interface, "
    "not of a proxy before it; it is taken for Asterisk 12 or later"
)
LONGEST_SLEEP = 10.0
"""Seconds between two looks at the clock, which may be set; also how often systemd's watchdog is fed at least."""


@attrs.define(eq=False)
class _Listener:
    """One pipeline and its input: the listener of the AMI clients. Nothing in here waits."""

    pipeline: Pipeline
    storing: Storing
    now: Callable[[], float]
    logged_in: Callable[[str], None]
    backfilling: Backfilling | None
    useless: trio.Event = attrs.field(factory=trio.Event)
    """Set when what the pipeline believes and what the outbox has differ: start over."""
    failed: bool = False
    """It is the pipeline that is at fault."""
    dropped: int = 0
    """Deliveries dropped: the memory for them is full."""
    sleeps_until: float = math.inf
    woken: trio.Event = attrs.field(factory=trio.Event)

    def connected(self, pbx: str, banner: str, at: float) -> None:
        _log_generation(pbx, banner)
        self.logged_in(pbx)
        if self.backfilling is not None:
            self.backfilling.connected(pbx, at)
        self._digest(partial(self.pipeline.connected, pbx, at, banner), pbx)

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
        if self.backfilling is not None:
            self.backfilling.received(pbx, at)
        self._digest(partial(self.pipeline.received, pbx, messages, at), pbx)

    def lost(self, pbx: str, reason: str, at: float) -> None:
        if self.backfilling is not None:
            self.backfilling.lost(pbx, at)
        self._digest(partial(self.pipeline.lost, pbx, at), pbx)

    def ordered(self, pbx: str, order: ClickOrder) -> None:
        at = self.now()
        self._digest(partial(self.pipeline.ordered, pbx, order, at), pbx)

    def tick(self) -> None:
        self._digest(partial(self.pipeline.tick, self.now()))

    def _digest(self, step: Callable[[], list[Delivery]], pbx: str = "") -> None:
        if self.useless.is_set():
            return
        try:
            deliveries = step()
        except Exception:
            # A fault of ours over one event must not end all other calls. What the pipeline knows is not to be
            # trusted any more, nor the event logs that led to it; the outbox and a snapshot of the PBX are.
            log.exception("daemon.digest_failed", pbx=pbx)
            self.failed = True
            self.useless.set()
            return
        self.dropped = self.storing.hand_over_nowait(deliveries)
        if self.dropped:
            self.useless.set()
            return
        if self.pipeline.next_deadline < self.sleeps_until:
            self.woken.set()


def _log_generation(pbx: str, banner: str) -> None:
    """Which AMI the server speaks, and what that needs."""
    generation = generation_of(banner)
    match generation:
        case AmiGeneration.AMI_1:
            log.info("ami.generation", pbx=pbx, speaks=generation.value, hint=AMI_1_HINT)
        case AmiGeneration.AMI_2:
            log.info("ami.generation", pbx=pbx, speaks=generation.value)
        case AmiGeneration.UNKNOWN:
            log.error("ami.unknown_server", pbx=pbx, banner=banner[:80], speaks=generation.value, hint=UNKNOWN_HINT)


@attrs.define(eq=False, kw_only=True)
class Intake:
    """All PBXes, followed by one pipeline."""

    config: Config
    storing: Storing
    now: Callable[[], float]
    watching: Watching
    flight_recorder: FlightRecorder | None = None
    companion: Companion | None = None
    backfilling: Backfilling | None = None
    clients: dict[str, AMIClient] = attrs.field(factory=dict)
    """By the names of the PBXes."""
    starts_over: int = 0
    _listener: _Listener | None = None

    @property
    def live_calls(self) -> int:
        return self._listener.pipeline.live_calls if self._listener else 0

    def channels(self, pbx: str) -> frozenset[str] | None:
        """Uniqueids, Linkedids and names of the PBX's channels now; None: not known."""
        return self._listener.pipeline.channels(pbx) if self._listener else None

    def ordered(self, pbx: str, order: ClickOrder) -> None:
        """An Originate of ours is about to be sent."""
        if self._listener is not None:
            self._listener.ordered(pbx, order)

    def order_refused(self, pbx: str, channel_id: str, extension: str, number: str) -> None:
        """The PBX did not take it, or it was never sent. The CRM's page says "Success" in any case, so there is a row
        that failed."""
        if self._listener is not None:
            self._listener.pipeline.order_refused(pbx, channel_id)
        rules = self.config.calls
        if rules.is_extension(number) and rules.internal == "ignore":
            return
        scope = self.config.crm.scope
        self.storing.hand_over_nowait(failed_click(pbx, channel_id, extension, number, scope, self.now()))

    async def run(self) -> None:
        """Follow all PBXes; start over, as after a restart, when the pipeline can no longer be trusted."""
        with_logs = True
        while True:
            listener = _Listener(
                await self._restored_pipeline(with_logs),
                self.storing,
                self.now,
                self.watching.detectors.connected,
                self.backfilling,
            )
            self._listener = listener
            async with trio.open_nursery() as nursery:
                for server in self.config.pbx:
                    run = partial(run_ami_client, server, listener, now=self.now, wanted=is_wanted)
                    if self.flight_recorder is not None:
                        run = partial(run, on_wire=partial(self.flight_recorder.on_wire, server.name))
                    self.clients[server.name] = await nursery.start(run)
                nursery.start_soon(self._tick, listener, nursery)
                await listener.useless.wait()
                self.starts_over += 1
                log.error("daemon.starting_over", dropped=listener.dropped, times=self.starts_over)
                await self.storing.all_committed()
                await trio.sleep(START_OVER_PAUSE)
                nursery.cancel_scope.cancel()
            with_logs = not listener.failed

    async def _restored_pipeline(self, with_logs: bool) -> Pipeline:
        outbox = self.storing.outbox
        left_open: dict[str, list[Begun]] = {}
        logs: dict[str, list[LogPart]] = {}
        ended: dict[str, list[Delivery]] = {}
        for pbx in [server.name for server in self.config.pbx]:
            begun = await self.storing.keep_asking(partial(outbox.open_participations, pbx))
            left_open[pbx] = [Begun(one.begin, one.answered_at) for one in begun]
            if with_logs:
                logs[pbx] = await self._logs(pbx)
                ended[pbx] = await self.storing.keep_asking(partial(outbox.logged_ends, pbx))
            calls = {part.call_id for part in logs.get(pbx, ())}
            if begun or calls:
                log.info("daemon.calls_restored", pbx=pbx, participations=len(begun), event_logs=len(calls))
        self.watching.start_over()
        if self.companion is not None:
            self.companion.start_over()
        try:
            pipeline, followed = self._with(left_open, logs, ended)
        except Exception:
            # As in _digest; and the same would lead to the same again. Or it is damaged.
            log.exception("daemon.restore_failed", hint="the event logs are not used; no call is lost by that")
            pipeline, followed = self._with(left_open, {}, {})
        self.storing.pipeline = pipeline
        self.storing.hand_over_nowait(followed)
        await self.storing.all_committed()
        for pbx in left_open:
            await self.storing.keep_asking(partial(outbox.event_logs.forget, pbx, pipeline.run, self.now()))
        return pipeline

    async def _logs(self, pbx: str) -> list[LogPart]:
        """A damaged one is reported, and done without: the outbox and the list of channels have most of it."""
        try:
            return await self.storing.keep_asking(partial(self.storing.outbox.event_logs.of_pbx, pbx, self.now()))
        except ValueError as why:
            log.error("daemon.event_log_damaged", pbx=pbx, reason=str(why))
            return []

    def _with(
        self,
        left_open: Mapping[str, list[Begun]],
        logs: Mapping[str, list[LogPart]],
        ended: Mapping[str, list[Delivery]],
    ) -> tuple[Pipeline, list[Delivery]]:
        """A pipeline that goes on from these, and what followed from them."""
        config = self.config
        run = secrets.token_hex(8)
        pipeline = Pipeline(config.calls, config.crm, self._token, self._recall, run)
        followed: list[Delivery] = []
        for pbx, begun in left_open.items():
            restored = pipeline.restore(pbx, begun, logs.get(pbx, []), ended.get(pbx, []))
            followed += restored.deliveries
            for call_id in restored.misfits:
                log.warning("daemon.event_log_not_used", pbx=pbx, call=call_id, reason="it does not fit the outbox")
        pipeline.observe = self._observe
        return pipeline, followed

    def _recall(self, fact: Fact, deliveries: Sequence[Delivery]) -> None:
        self.watching.recall(fact, deliveries)
        if self.companion is not None:
            self.companion.recall(fact)

    def _observe(self, fact: Fact, deliveries: Sequence[Delivery]) -> None:
        log_fact(fact)
        self.watching.observe(fact, deliveries)
        if self.companion is not None:
            self.companion.observe(fact)

    def _token(self, recording: RecordingKnown) -> str:
        """No link without a public address."""
        return recording_token(self.config.crm.secret, recording) if self.config.http.public_url else ""

    async def _tick(self, listener: _Listener, nursery: trio.Nursery) -> None:
        """Do what is due by the clock, and notify systemd that events are being processed."""
        feeding = watchdog_seconds(os.environ)
        longest = min(LONGEST_SLEEP, feeding / 3)
        while True:
            listener.woken = trio.Event()
            listener.sleeps_until = listener.pipeline.next_deadline
            with trio.move_on_after(min(longest, max(0.01, listener.sleeps_until - self.now()))):
                await listener.woken.wait()
            listener.tick()
            for pbx in listener.pipeline.listings_wanted(self.now()):
                log.info("calls.listing_asked_for", pbx=pbx, reason="a call there may have ended unseen")
                nursery.start_soon(self.clients[pbx].list_channels)
            if feeding < math.inf:
                notify_systemd("WATCHDOG=1")


def log_fact(fact: Fact) -> None:
    """A line for each phone that rings, is answered or falls silent, and for each call that is over."""
    match fact:
        case ParticipationBegan():
            log.info(
                "calls.ringing",
                call=fact.call_id,
                extension=fact.extension,
                direction=fact.direction.value,
                customer=fact.customer,
            )
        case ParticipationAnswered():
            log.info("calls.answered", call=fact.call_id, extension=fact.extension, customer=fact.customer)
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
            summary = fact.summary
            log.info(
                "calls.ended",
                call=fact.call_id,
                direction=summary.direction.value,
                status=summary.status.value,
                customer=summary.customer or None,
            )
            log_click(fact)
        case NotAnEmployee():
            log.info("calls.not_an_employee", call=fact.call_id, because=fact.because)
        case NotShown():  # it makes a condition, which is logged
            log.debug("calls.not_shown", call=fact.call_id, because=fact.because)
        case Oddity():
            log.warning("calls.odd", call=fact.call_id, because=fact.because)
        case _:
            pass
