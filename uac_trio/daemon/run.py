"""The daemon: every task there is, in which order they start, and in which they end.

    PBX --AMI--> listener (digests at once, never waits) --> hand-over --> outbox --> sender --> CRM
    CRM --HTTP--> /makecall --> the PBX's client
    PBX --FastAGI or HTTP--> who is responsible? --> CRM
    CRM --HTTP--> /recording --> the file; a recording is delivered when its file is complete

The nurseries in ``_Daemon.run`` are nested in the order of a shutdown: the web stops accepting, the AMI intake stops,
what it has handed over is committed to the outbox, the sender ends its requests, what they led to is committed, open
replies of the web get their grace. A PBX, the CRM or the store being away stops none of the others.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any

import attrs
import structlog
import trio

from uac_trio import __version__
from uac_trio.agi_server import serve_agi
from uac_trio.ami import LocalProtocolError, Originate
from uac_trio.ami_client.client import AMIClient
from uac_trio.backfill.filling import Filling
from uac_trio.backfill.opening import open_cdr
from uac_trio.backfill.settings import CdrSettings
from uac_trio.calls.call import ClickOrder
from uac_trio.clock import now
from uac_trio.config.loading import Config
from uac_trio.crm.click import FREEPBX_SKIPS_VOICEMAIL, Dial, Originated, skipping_voicemail
from uac_trio.crm.protocol import CRMRequest
from uac_trio.crm.reply import Verdict
from uac_trio.crm.stream_events import StreamEvents
from uac_trio.daemon.backfilling import Backfilling
from uac_trio.daemon.companion import Companion
from uac_trio.daemon.condition_log import log_changes
from uac_trio.daemon.conditions import Present
from uac_trio.daemon.detectors import Detectors
from uac_trio.daemon.dry_run import DryRunReport
from uac_trio.daemon.health import health, status_line
from uac_trio.daemon.intake import Intake
from uac_trio.daemon.live_page import Circumstances, live_state
from uac_trio.daemon.metrics import CONTENT_TYPE, Metrics
from uac_trio.daemon.recordings import open_recordings
from uac_trio.daemon.reloading import Reloader, Reloading, change
from uac_trio.daemon.standing import Standing
from uac_trio.daemon.standing_findings import standing_findings
from uac_trio.daemon.store_file import StoreFile
from uac_trio.daemon.storing import StoreHealth, Storing
from uac_trio.daemon.systemd import notify_systemd
from uac_trio.daemon.watching import Watching
from uac_trio.flight_recorder.recorder import FlightRecorder
from uac_trio.networks import parse_bind
from uac_trio.recordings.archive import Archive
from uac_trio.recordings.awaiting import AwaitedRecordings
from uac_trio.sender.delivery import Sender, run_sender
from uac_trio.sender.lookup import Lookup, open_lookup
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.rows import LeasedRow, ParkedRow
from uac_trio.store.settings import OutboxError, file_of
from uac_trio.store.writer import StoreWriter
from uac_trio.web.app import create_app
from uac_trio.web.click2call import Click2Call
from uac_trio.web.events import Events
from uac_trio.web.monitor import Monitor, RetryError
from uac_trio.web.own_hosts import own_hosts
from uac_trio.web.recordings import Playback
from uac_trio.web.route import Routing
from uac_trio.web.server import serve_web
from uac_trio.web.streams import Streams
from uac_trio.web.wrong_secrets import WrongSecrets

log = structlog.get_logger()

CONTEXT_LOOKUP_TIMEOUT = 1.0
"""Seconds for which a click waits to know whether its PBX is a FreePBX; the user's CRM tab is blocked meanwhile."""
COMMIT_WITHIN = 5.0
"""What the outbox is given for the last deliveries at a shutdown. Then the sender ends, which takes ``shutdown_grace``,
10 seconds at most."""
PARKED_SHOWN = 20
"""Of the dead letters, on the live page."""
LOOK_EVERY = 2.0
"""Seconds between two looks at the conditions. What is over by then is not logged, such as the first connecting."""
END_WITHIN = 18.0
"""After that a shutdown is cut short, whatever is still open: the process ends within 20 s of SIGTERM. Below
TimeoutStopSec of the systemd unit."""


async def run_daemon(
    config: Config,
    *,
    now: Callable[[], float] = now,
    log_lines_dropped: Callable[[], int] = lambda: 0,
    reloading: Reloading[Config] | None = None,
    dry_run: DryRunReport | None = None,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run everything until cancelled; then end in order, in ``END_WITHIN`` seconds at most.

    ``task_status`` gets the HTTP addresses (``list[str]``) once requests are accepted; PBXes may still be away.
    ``dry_run``: nothing is sent, and this notes what would have been; ``config`` is then one of ``dry_run_config``.
    ``reloading``: how it is asked to read its configuration again; None: it is not.
    Raises, within an ExceptionGroup, OutboxError or CannotListenError when it cannot start.
    """
    stop = trio.Event()
    daemon = _Daemon(config=config, now=now, stop=stop, log_lines_dropped=log_lines_dropped, dry_run=dry_run)
    if reloading is not None:
        daemon.reloader = Reloader(
            reloading=reloading, change=lambda new: change(daemon.config, new), apply=daemon.apply
        )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(daemon.run_shielded, task_status)
        # The parts do not see the cancellation: they get a stop event, and end one after another.
        try:
            await trio.sleep_forever()
        finally:
            stop.set()
            daemon.shutdown_scope.deadline = trio.current_time() + END_WITHIN


@attrs.define(eq=False, kw_only=True)
class _Daemon:
    config: Config
    now: Callable[[], float]
    stop: trio.Event
    log_lines_dropped: Callable[[], int]
    dry_run: DryRunReport | None = None
    shutdown_scope: trio.CancelScope = attrs.field(factory=lambda: trio.CancelScope(shield=True))
    outbox: Outbox = attrs.field(init=False)
    archive: Archive = attrs.field(init=False)
    awaited: AwaitedRecordings = attrs.field(init=False)
    lookup: Lookup | None = attrs.field(init=False)
    sender: Sender = attrs.field(init=False)
    store_health: StoreHealth = attrs.field(factory=StoreHealth, init=False)
    storing: Storing = attrs.field(init=False)
    intake: Intake = attrs.field(init=False)
    wrong_secrets: WrongSecrets = attrs.field(init=False)
    watching: Watching = attrs.field(init=False)
    companion: Companion | None = attrs.field(init=False)
    playback: Playback = attrs.field(init=False)
    flight_recorder: FlightRecorder | None = attrs.field(init=False)
    backfilling: Backfilling | None = attrs.field(init=False)
    store_file: StoreFile | None = attrs.field(init=False)
    """Of SQLite."""
    reloader: Reloader[Config] | None = attrs.field(default=None, init=False)
    click2call: Click2Call = attrs.field(init=False)
    monitor: Monitor = attrs.field(init=False)
    present: Present = attrs.field(factory=Present, init=False)
    started_at: float = attrs.field(default=attrs.Factory(lambda self: self.now(), takes_self=True), init=False)

    def __attrs_post_init__(self) -> None:
        config = self.config
        detectors = Detectors(
            hours=config.alerts,
            pbxes={
                server.name: bool(config.recordings.get(server.name))
                or any(host.pbx == server.name for host in config.hosts)
                for server in config.pbx
            },
        )
        self.watching = Watching(
            now=self.now,
            metrics=Metrics(),
            detectors=detectors,
            is_dry_run=self.dry_run is not None,
            is_awaited=self._has_recordings,
        )
        self.companion = None
        if config.companion.enabled:
            self.companion = Companion(
                streams=Streams(self.now),
                events=StreamEvents(scope=config.crm.scope),
                wrong_secrets=WrongSecrets(config.http.wrong_secrets_per_minute),
            )

    async def run_shielded(self, task_status: trio.TaskStatus[Any]) -> None:
        with self.shutdown_scope:
            await self.run(task_status)
        if self.shutdown_scope.cancelled_caught:
            log.error("daemon.shutdown_cut_short", seconds=END_WITHIN)
        if self.store_health.in_memory:
            lost = self.store_health.in_memory
            log.error("daemon.deliveries_lost", deliveries=lost, reason=self.store_health.trouble)

    async def run(self, task_status: trio.TaskStatus[Any]) -> None:
        config = self.config
        log.info(
            "daemon.starting", version=__version__, config=str(config.path), store=config.store.url.partition(":")[0]
        )
        for warning in config.warnings:
            log.warning("daemon.config_warning", warning=warning)
        web_stop = trio.Event()
        async with (
            open_outbox(config.store) as self.outbox,
            open_recordings(config, self.outbox, self.now) as self.archive,
            open_questions(config, self.now) as self.lookup,
            trio.open_nursery() as web,
        ):
            path = file_of(config.store)
            self.store_file = StoreFile(path) if path else None
            writer = StoreWriter(outbox=self.outbox, now=self.now, health=self.store_health)
            self.storing = Storing(
                writer=writer,
                health=self.store_health,
                roots=self.archive.roots,
                now=self.now,
                longest_pause=config.sender.longest_pause,
                recordings_stored=lambda: self.awaited.wake_nowait(),
                statistics=await self.outbox.statistics(),
            )
            writer.source = self.storing
            self.wrong_secrets = WrongSecrets(config.http.wrong_secrets_per_minute)
            self.flight_recorder = self._flight_recorder()
            self.backfilling = self._backfilling()
            self.intake = Intake(
                config=config,
                backfilling=self.backfilling,
                storing=self.storing,
                now=self.now,
                watching=self.watching,
                flight_recorder=self.flight_recorder,
                companion=self.companion,
            )
            async with trio.open_nursery() as writing:
                writing.start_soon(writer.run)
                async with trio.open_nursery() as sending:
                    sending.start_soon(self._end_in_time, sending.cancel_scope)
                    self.sender = await sending.start(
                        partial(
                            run_sender,
                            writer,
                            config.crm,
                            config.sender,
                            now=self.now,
                            watch=self._sent,
                            may_be_lost=self.watching.may_be_lost,
                            on_delivered=self._delivered,
                            is_dry_run=self.dry_run is not None,
                        )
                    )
                    streams = self.companion.streams if self.companion is not None else None
                    serve_http = partial(serve_web, self._app(), config.http, shutdown=web_stop, streams=streams)
                    addresses = await web.start(serve_http)
                    if self.lookup is not None and config.responsible.bind:
                        serve = partial(serve_agi, self.lookup.ask, config.responsible, shutdown=web_stop)
                        log.info("route.ready", agi=await web.start(serve))
                    self.awaited = AwaitedRecordings(
                        self.archive, self.outbox.recordings, self.now, self.sender.wake_nowait
                    )
                    await self._take_in(addresses, web_stop, task_status)
                    with trio.move_on_after(COMMIT_WITHIN):
                        await self.storing.all_committed()
                    sending.cancel_scope.cancel()  # it gives what is on the wire its own shutdown_grace
                writer.end_nowait()
                writing.cancel_scope.deadline = trio.current_time() + COMMIT_WITHIN
        log.info("daemon.stopped")

    async def _take_in(self, addresses: list[str], web_stop: trio.Event, task_status: trio.TaskStatus[Any]) -> None:
        """Follow the PBXes until the stop."""
        async with trio.open_nursery() as intake:
            intake.start_soon(self.intake.run)
            intake.start_soon(self.storing.look_after_store)
            intake.start_soon(self.awaited.run)
            if self.backfilling is not None:
                intake.start_soon(self.backfilling.run)
            intake.start_soon(self.wrong_secrets.run)
            if self.companion is not None:
                intake.start_soon(self.companion.wrong_secrets.run)
                if self.outbox.notices is not None:
                    intake.start_soon(self.companion.share, self.outbox.notices)
            intake.start_soon(self._watch_conditions)
            if self.reloader is not None:
                intake.start_soon(self.reloader.run)
            if self.flight_recorder is not None:
                intake.start_soon(self.flight_recorder.run)
            if self.store_file is not None:
                intake.start_soon(self.store_file.watch)
            log.info("daemon.ready", http=addresses, pbx=[server.name for server in self.config.pbx])
            notify_systemd("READY=1")
            task_status.started(addresses)
            await self.stop.wait()
            log.info("daemon.stopping")
            notify_systemd("STOPPING=1")
            if self.companion is not None:
                self.companion.streams.end_nowait()
            web_stop.set()
            intake.cancel_scope.cancel()

    def _backfilling(self) -> Backfilling | None:
        """None where no CDR is configured."""
        if not self.config.cdr:
            return None
        return Backfilling(
            fillings={cdr.pbx: partial(self._filling, cdr) for cdr in self.config.cdr},
            outbox=self.outbox,
            live=lambda pbx: self.intake.channels(pbx),
            filled=lambda: self.sender.wake_nowait(),
            started_at=self.started_at,
        )

    def _filling(self, cdr: CdrSettings) -> Filling:
        """Raises CdrError."""
        config = self.config
        source = open_cdr(cdr, config.calls, config.crm, has_links=bool(config.http.public_url))
        live = partial(self.intake.channels, cdr.pbx)
        return Filling(cdr=source, now=self.now, live=live, roots=self.archive.roots)

    def _flight_recorder(self) -> FlightRecorder | None:
        settings = self.config.flight_recorder
        if not settings.enabled:
            return None
        return FlightRecorder(directory=self.config.flight_recorder_directory, settings=settings, now=self.now)

    # -- from the CRM to the PBXes ------------------------------------------------------------------------------------

    async def _originate(self, dial: Dial) -> Originated:
        if self.dry_run is not None:
            self.dry_run.clicks += 1
            log.info("click2call.dry_run", pbx=dial.pbx, extension=dial.extension, to=dial.number)
            return Originated.REFUSED
        client = self.intake.clients.get(dial.pbx)
        if client is None:
            return Originated.REFUSED  # not started yet: the store does not answer, and takes no row
        channel = await self._without_voicemail(client, dial)
        try:
            action = Originate(
                channel=channel,
                context=dial.context,
                exten=dial.exten,
                channel_id=dial.channel_id,
                timeout=dial.ring_seconds,
                caller_id=dial.caller_id,
                shown=dial.shown,
                variables=dial.variables,
            )
        except LocalProtocolError as why:
            log.error("click2call.impossible", pbx=dial.pbx, reason=str(why))
            self.intake.order_refused(dial.pbx, dial.channel_id, dial.extension, dial.number)
            return Originated.REFUSED
        self.intake.ordered(dial.pbx, ClickOrder(dial.channel_id, dial.extension, dial.number, channel))
        response = await client.originate(action)
        outcome = Originated(response.outcome.value)
        if outcome is Originated.REFUSED:
            self.intake.order_refused(dial.pbx, dial.channel_id, dial.extension, dial.number)
        if response.reason:
            log.warning("click2call.not_queued", pbx=dial.pbx, reason=response.reason)
        return outcome

    async def _without_voicemail(self, client: AMIClient, dial: Dial) -> str:
        """The channel to call: on a FreePBX one behind which no mailbox answers in the employee's place."""
        skipping = skipping_voicemail(dial.channel)
        if not skipping:
            return dial.channel
        is_freepbx = await client.has_context(FREEPBX_SKIPS_VOICEMAIL, CONTEXT_LOOKUP_TIMEOUT)
        if is_freepbx:
            log.info("click2call.voicemail_skipped", pbx=dial.pbx, channel=skipping)
            return skipping
        if is_freepbx is None:
            hint = f"on FreePBX set originate_channel to Local/{{extension}}@{FREEPBX_SKIPS_VOICEMAIL}"
            log.warning("click2call.voicemail_may_answer", pbx=dial.pbx, channel=dial.channel, hint=hint)
        return dial.channel

    def _is_connected(self, pbx: str) -> bool:
        client = self.intake.clients.get(pbx)
        return client is not None and client.status.state == "connected"

    def _app(self) -> Any:  # noqa: ANN401 - QuartTrio, which only the web room may name
        config = self.config
        self.click2call = Click2Call(
            originate=partial(self.watching.around, self._originate),
            crm=config.crm,
            rules=config.click2call,
            routes=config.routes,
            is_extension=config.calls.is_extension,
            region=config.calls.region,
            now=self.now,
            is_connected=self._is_connected,
            wrong_secrets=self.wrong_secrets,
            failed=self._click_failed,
        )
        self.playback = Playback(
            archive=self.archive,
            secret=config.crm.secret,
            needs_secret=config.crm.player_sends_secret,
            wrong_secrets=self.wrong_secrets,
        )
        routing = None
        if self.lookup is not None and config.responsible.secret:
            routing = Routing(ask=self.lookup.ask, rules=config.responsible)
        self.monitor = Monitor(
            live=self._live,
            metrics=self._metrics,
            metrics_type=CONTENT_TYPE,
            retry=self._retry,
            networks=config.http.monitor_networks,
            hosts=_own_hosts(config),
        )
        return create_app(
            click2call=self.click2call,
            health=lambda: health(self._standing()),
            playback=self.playback,
            routing=routing,
            events=self._events(),
            monitor=self.monitor,
        )

    def apply(self, config: Config) -> None:
        """Take over what may change while calls go on (``reloading.LIVE``)."""
        self.config = config
        self.click2call.reconfigure(config.click2call, config.routes)
        self.monitor.networks, self.monitor.hosts = config.http.monitor_networks, _own_hosts(config)
        self.watching.detectors.hours = config.alerts

    def _events(self) -> Events | None:
        if self.companion is None:
            return None
        return Events(
            streams=self.companion.streams,
            secret=self.config.crm.secret,
            first=self.companion.first,
            origins=frozenset(self.config.companion.origins),
            now=self.now,
            wrong_secrets=self.companion.wrong_secrets,
        )

    def _sent(self, row: LeasedRow, request: CRMRequest, verdict: Verdict, took: float) -> None:
        if self.dry_run is not None:
            self.dry_run.note(row, request)
        self.watching.sent(row, request, verdict, took)

    def _delivered(self, row: LeasedRow) -> None:
        if self.companion is not None:
            self.companion.delivered(row)

    def _click_failed(self, extension: str, outcome: str) -> None:
        if self.companion is not None:
            self.companion.click_failed(extension, outcome)

    async def _end_in_time(self, sending: trio.CancelScope) -> None:
        """After ``COMMIT_WITHIN`` the sender has to end, whatever still waits for the outbox.

        Such a wait is for a thread, and only the outbox can cut it short: once here, so that the sender gets its grace,
        and for the waits that are still open at the end.
        """
        await self.stop.wait()
        self.outbox.give_up_at(self.shutdown_scope.deadline)
        await trio.sleep(COMMIT_WITHIN)
        sending.cancel()
        self.outbox.give_up_at(trio.current_time())
        with trio.CancelScope(shield=True):
            await trio.sleep(0.05)
        self.outbox.give_up_at(self.shutdown_scope.deadline)

    # -- how all of it stands -----------------------------------------------------------------------------------------

    def _standing(self) -> Standing:
        standing = Standing(
            version=__version__,
            now=self.now(),
            pbxes={name: client.status for name, client in self.intake.clients.items()},
            live_calls=self.intake.live_calls,
            starts_over=self.intake.starts_over,
            in_memory=self.store_health.in_memory,
            store_trouble=self.store_health.trouble or (self.store_file.trouble if self.store_file else ""),
            outbox=self.storing.statistics,
            sender=self.sender.status(),
            configured=[server.name for server in self.config.pbx],
            recordings_troubles=self.archive.troubles(),
            route_trouble=self.lookup.trouble if self.lookup is not None else None,
            flight_recorder_trouble=self.flight_recorder.trouble if self.flight_recorder is not None else "",
            store_hangs_for=self.storing.writer.hangs_for,
            streams=self.companion.streams.status() if self.companion is not None else None,
            is_dry_run=self.dry_run is not None,
            config_problems=self.reloader.problems if self.reloader is not None else (),
            log_lines_dropped=self.log_lines_dropped(),
        )
        connected_since = {
            name: status.connected_since
            for name, status in standing.pbxes.items()
            if status.state == "connected" and status.connected_since is not None
        }
        detected = self.watching.detectors.findings(connected_since, standing.now)
        found = (*standing_findings(standing), *detected)
        return attrs.evolve(standing, findings=self.present.look(found, standing.now))

    async def _watch_conditions(self) -> None:
        """Log each condition when it begins and when it ends, and show them in systemd's status."""
        shown = ""
        while True:
            await trio.sleep(LOOK_EVERY)
            standing = self._standing()
            log_changes(self.present.take_changes(), standing.now)
            if (line := status_line(standing)) != shown:
                shown = line
                notify_systemd(f"STATUS={line}")

    def _has_recordings(self, pbx: str) -> bool:
        return bool(self.archive.roots.get(pbx))

    async def _live(self) -> dict[str, Any]:
        config = self.config
        parked: list[ParkedRow] = []
        if self.storing.statistics is not None and self.storing.statistics.parked:
            with contextlib.suppress(OutboxError):  # the page shows its trouble elsewhere
                parked = await self.outbox.parked(PARKED_SHOWN)
        around = Circumstances(
            standing=self._standing(),
            started_at=self.started_at,
            parked=parked,
            crm=config.crm.host,
            internal=config.calls.internal,
            mask=config.log.mask,
            is_dry_run=self.dry_run is not None,
        )
        return live_state(self.watching, around)

    async def _retry(self, row_id: int) -> int:
        """Send a dead letter again; how many deliveries, 0 = it is none."""
        try:
            rows = await self.outbox.retry(row_id, self.now())
            self.storing.statistics = await self.outbox.statistics()
        except OutboxError as why:
            raise RetryError(str(why)) from why
        if rows:
            self.sender.wake_nowait()
        return rows

    async def _metrics(self) -> bytes:
        recordings: dict[str, int] = {}
        with contextlib.suppress(OutboxError):  # uac_store_up shows it
            recordings = await self.outbox.recordings.count_by_state()
        return self.watching.metrics.page(self._standing(), self.playback.downloads.running, recordings)


def _own_hosts(config: Config) -> frozenset[str]:
    http = config.http
    return own_hosts(parse_bind(http.bind)[0], http.public_url, socket.gethostname(), http.monitor_hosts)


def open_questions(
    config: Config, now: Callable[[], float] = now
) -> AbstractAsyncContextManager[Lookup] | AbstractAsyncContextManager[None]:
    """Who is responsible for a caller, asked of the CRM; None where ``[route]`` is off."""
    if not config.responsible.is_on:
        return nullcontext()
    return open_lookup(config.crm, config.responsible, config.sender, now=now)
