"""``check --live --call SECONDS``: watches a real call beside the daemon, with the daemon's own tracker.

Nothing is stored and nothing is sent to the CRM; the PBX is asked for its channels alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NoReturn

import attrs
import trio

from uac_trio.ami import Message
from uac_trio.ami_client.client import AMIClient, run_ami_client
from uac_trio.calls.adapters import is_wanted
from uac_trio.calls.fact import CallEnded, Fact, OfParticipation, RecordingKnown
from uac_trio.config.loading import Config
from uac_trio.crm.delivery import Delivery
from uac_trio.live_check.call_report import report
from uac_trio.live_check.call_seen import SeenCall, SeenPBX
from uac_trio.live_check.finding import Findings
from uac_trio.live_check.pbx import PBXUse
from uac_trio.logs import mask_text
from uac_trio.pipeline import Pipeline
from uac_trio.recordings.directories import Directories
from uac_trio.recordings.host import open_host
from uac_trio.recordings.place import Place, RecordingsBusyError, Wanted
from uac_trio.recordings.settings import HostSettings
from uac_trio.replay import fact_words, request_words

TICKS_EVERY = 0.25
"""Seconds between two looks at the clock."""
LISTS_EVERY = 10.0
"""Seconds between two lists of channels while no event of a call has come. Not more often: under load frequent lists
beside Originate can deadlock Asterisk."""
FILE_WITHIN = 5.0
"""Seconds after the call within which its file must be complete."""
LOOKS_EVERY = 0.5

Show = Callable[[str], None]


@attrs.define(eq=False)
class CallListener:
    """The listener of the AMI clients. Nothing in here waits."""

    config: Config
    now: Callable[[], float]
    show: Show
    seen: Mapping[str, SeenPBX]
    """By the name of the PBX."""
    done: trio.Event = attrs.field(factory=trio.Event)
    """A call in which an employee's phone rang is over, or the administrator has seen enough."""
    pipeline: Pipeline = attrs.field(init=False)
    is_over: bool = False
    """The connections are closed by us."""

    def __attrs_post_init__(self) -> None:
        self.pipeline = Pipeline(self.config.calls, self.config.crm, self._token, self._observe)

    def connected(self, pbx: str, banner: str, at: float) -> None:
        self.pipeline.connected(pbx, at, banner)

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
        seen = self.seen[pbx]
        for message in messages:
            was_ready = seen.is_ready
            self.pipeline.received(pbx, [message], at)
            seen.received(message, at)  # after it: what follows from the list itself began before
            if seen.is_ready and not was_ready:
                self.show(f"PBX {pbx}: waits for a call. Call an employee's phone from outside, talk, and hang up.")

    def lost(self, pbx: str, reason: str, at: float) -> None:
        self.pipeline.lost(pbx, at)
        if not self.is_over:
            self.show(f"PBX {pbx}: the connection was lost: {reason}")

    def _token(self, _: RecordingKnown) -> str:
        """No link that works: the output of a check is shown to others."""
        return "***" if self.config.http.public_url else ""

    def _observe(self, fact: Fact, deliveries: Sequence[Delivery]) -> None:
        seen = next((one for name, one in self.seen.items() if fact.call_id.startswith(f"{name}-")), None)
        if seen is None or not seen.observe(fact, deliveries, self.config.crm):
            return
        clock = datetime.fromtimestamp(fact.at).astimezone().strftime("%H:%M:%S%z")
        self.show(self._masked(f"{clock}  {fact_words(fact)}  ({_cause(fact)})"))
        for delivery in deliveries:
            for request in self.config.crm.requests(delivery):
                self.show(self._masked(f"{'':<{len(clock)}}    -> CRM: {request_words(request)}"))
        if isinstance(fact, CallEnded) and seen.complete is not None:
            self.done.set()

    def _masked(self, line: str) -> str:
        return mask_text(line) if self.config.log.mask else line


def _cause(fact: Fact) -> str:
    rule = getattr(fact, "rule", None) if isinstance(fact, OfParticipation) else None
    return f"{fact.because}; {rule.value}" if rule is not None else fact.because


async def watch_call(
    config: Config,
    uses: Sequence[PBXUse],
    seconds: float,
    *,
    now: Callable[[], float],
    show: Show,
    stop: trio.Event | None = None,
) -> tuple[list[Findings], list[SeenCall]]:
    """Watch until a call in which an employee's phone rang is over, until ``stop`` is set, or for ``seconds``.

    ``show`` gets lines for people as things happen. Returns the findings of each PBX, and the calls that were seen.
    """
    done = trio.Event() if stop is None else stop
    watch = CallListener(config, now, show, {use.server.name: _seen(use) for use in uses}, done)
    began_at = trio.current_time()
    async with trio.open_nursery() as nursery:
        clients: list[AMIClient] = []
        for use in uses:
            run = partial(run_ami_client, use.server, watch, now=now, wanted=is_wanted)
            clients.append(await nursery.start(run))
        nursery.start_soon(_tick, watch, clients, nursery)
        with trio.move_on_after(seconds):
            await watch.done.wait()
        watch.is_over = True
        nursery.cancel_scope.cancel()
    waited = trio.current_time() - began_at
    is_complete = any(seen.complete for seen in watch.seen.values())
    all_found: list[Findings] = []
    calls: list[SeenCall] = []
    for use in uses:
        seen = watch.seen[use.server.name]
        if is_complete and not seen.calls:
            continue  # the call came through another PBX
        findings = Findings(f"PBX {use.server.name}")
        report(seen, use, await _files(config, seen, now), round(waited), findings)
        all_found.append(findings)
        calls += seen.calls.values()
    return [_masked(findings, config) for findings in all_found], calls


def _seen(use: PBXUse) -> SeenPBX:
    return SeenPBX(use.server.name, use.rules.recording_headers)


async def _tick(watch: CallListener, clients: Sequence[AMIClient], nursery: trio.Nursery) -> NoReturn:
    """Do what is due by the clock; ask for channels as long as no event of a call has come."""
    list_at = trio.current_time() + LISTS_EVERY
    while True:
        wait = watch.pipeline.next_deadline - watch.now()
        await trio.sleep(min(TICKS_EVERY, max(0.01, wait if wait < math.inf else TICKS_EVERY)))
        watch.pipeline.tick(watch.now())
        if trio.current_time() >= list_at:
            list_at += LISTS_EVERY
            for client in clients:
                if not watch.seen[client.server.name].has_call_events:
                    nursery.start_soon(client.list_channels)


async def _files(config: Config, seen: SeenPBX, now: Callable[[], float]) -> dict[str, str]:
    """By path of each recording why it does not play, "" if it is there and complete."""
    wanted = {
        path: Wanted(path=path, at=call.ended_at or now())
        for call in seen.calls.values()
        for path in call.recordings.values()
    }
    troubles = dict.fromkeys(wanted, "no directory or machine of recordings is configured")
    roots = config.recordings.get(seen.pbx, ())
    hosts = [host for host in config.hosts if host.pbx == seen.pbx]
    with trio.move_on_after(FILE_WITHIN):
        while wanted and (roots or hosts):
            if roots:
                troubles |= await _looked(Directories(seen.pbx, roots), wanted)
            for host in hosts:
                found = await _looked_there(host, wanted, now)
                troubles |= {path: why for path, why in found.items() if troubles[path]}
            if not any(troubles.values()):
                break
            await trio.sleep(LOOKS_EVERY)
    return troubles


async def _looked_there(host: HostSettings, wanted: Mapping[str, Wanted], now: Callable[[], float]) -> dict[str, str]:
    try:
        async with open_host(host, now) as there:
            return await _looked(there, wanted)
    except OSError as why:
        return dict.fromkeys(wanted, f"recordings_ca: {host.ca_file}: {why.strerror or why}")


async def _looked(place: Place, wanted: Mapping[str, Wanted]) -> dict[str, str]:
    try:
        looks = await place.look(list(wanted.values()))
    except RecordingsBusyError as why:
        return dict.fromkeys(wanted, str(why))
    return {path: look.trouble for path, look in zip(wanted, looks, strict=True)}


def _masked(findings: Findings, config: Config) -> Findings:
    if not config.log.mask:
        return findings
    found = [attrs.evolve(one, text=mask_text(one.text)) for one in findings.found]
    return Findings(findings.subject, found)
