"""After each connection that follows a gap: what happened in the gap is filled in from the PBX's CDR.

A gap reaches from the last thing that is known of the PBX to the login. Its passes come late, since Asterisk writes a
row when its channel has ended, and may write several at a time; one more comes when the calls are over that went on at
the login.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import attrs
import structlog
import trio

from uac_trio.backfill.filling import LONGEST_CALL, SETTLED, Filled, Filling, Span
from uac_trio.backfill.source import CdrError
from uac_trio.store.outbox import Outbox
from uac_trio.store.settings import OutboxError

log = structlog.get_logger()

FIRST_PASS = SETTLED + 5.0
"""Seconds from the login to the first pass."""

BATCH = 330.0
"""Seconds within which rows are in CDR: ``batch=yes`` in cdr.conf writes them every 300 s."""

LOOK_EVERY = 60.0
"""Seconds between two looks whether the calls of the login still go on, or at a CDR that could not be read."""

FROZEN = 60.0
"""Seconds without anything from a connected PBX, which answers a Ping every few seconds: this process stood still."""


@attrs.define
class _Heard:
    """When one PBX was heard."""

    last_at: float | None = None
    frozen_from: float | None = None
    """When this process stood still, and what came in that time may be lost with the connection."""
    lost_at: float | None = None
    """When the connection was lost, and none followed yet."""


@attrs.frozen
class _Gap:
    pbx: str
    span: Span
    restarted: bool
    """This run knows nothing of what was before the login."""


@attrs.define(eq=False, kw_only=True)
class Backfilling:
    """Of the PBXes that have ``cdr``. What the listener calls does not wait."""

    fillings: Mapping[str, Callable[[], Filling]]
    """By the names of the PBXes. Each may raise CdrError."""
    outbox: Outbox
    live: Callable[[str], Collection[str] | None]
    """Uniqueids, Linkedids and names of a PBX's channels; None: not known now."""
    filled: Callable[[], None]
    """Called when something was put into the outbox."""
    started_at: float
    """By our clock, in seconds since the epoch."""
    first_pass: float = FIRST_PASS
    batch: float = BATCH
    look_every: float = LOOK_EVERY
    _heard: dict[str, _Heard] = attrs.field(factory=dict, init=False)
    _sender: trio.MemorySendChannel[tuple[str, float | None, float]] = attrs.field(init=False)
    _gaps: trio.MemoryReceiveChannel[tuple[str, float | None, float]] = attrs.field(init=False)
    _turns: dict[str, trio.Lock] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._sender, self._gaps = trio.open_memory_channel[tuple[str, float | None, float]](100)

    # -- from the listener --------------------------------------------------------------------------------------------

    def received(self, pbx: str, at: float) -> None:
        """Something came from the PBX. What waited while this process stood still has only the time of its reading,
        unless the PBX sends times, so that too is a gap."""
        heard = self._heard.setdefault(pbx, _Heard())
        if heard.last_at is not None and at - heard.last_at > FROZEN:
            heard.frozen_from = heard.last_at if heard.frozen_from is None else heard.frozen_from
            self._queue(pbx, heard.last_at, at)
        elif heard.frozen_from is not None and at - heard.frozen_from > LONGEST_CALL:
            heard.frozen_from = None
        heard.last_at = at

    def lost(self, pbx: str, at: float) -> None:
        heard = self._heard.setdefault(pbx, _Heard())
        if heard.lost_at is None:
            since = [each for each in (heard.frozen_from, heard.last_at, at) if each is not None]
            heard.lost_at = min(since)

    def connected(self, pbx: str, at: float) -> None:
        """Logged in: a gap is over. The first one reaches back to what an earlier run put last."""
        heard = self._heard.setdefault(pbx, _Heard())
        since = heard.last_at if heard.lost_at is None else heard.lost_at
        self._heard[pbx] = _Heard(last_at=at)
        self._queue(pbx, since, at)

    def _queue(self, pbx: str, since: float | None, at: float) -> None:
        if pbx not in self.fillings:
            return
        try:
            self._sender.send_nowait((pbx, since, at))
        except trio.WouldBlock:
            log.error("backfill.too_many_gaps", pbx=pbx, hint="fill them in by hand: uac-trio backfill --since T")

    # -- filling in ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Fill in gap after gap, until cancelled."""
        async with trio.open_nursery() as nursery:
            async for pbx, since, until in self._gaps:
                nursery.start_soon(self._fill_gap, pbx, since, until)

    async def _fill_gap(self, pbx: str, since: float | None, until: float) -> None:
        going_on = frozenset(self.live(pbx) or ())
        await trio.sleep(self.first_pass)
        going_on |= frozenset(self.live(pbx) or ())
        restarted = since is None
        if since is None:
            since = await self._last_known(pbx)
            if since is None:
                return  # nothing was ever put: this is the first run, and what was before it is not ours
        span = Span(min(since, until), until)
        gap = _Gap(pbx, span, restarted=restarted)
        await self._pass(gap)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_after, self.batch, gap)
            if going_on:
                nursery.start_soon(self._pass_when_over, going_on, gap)

    async def _pass_after(self, seconds: float, gap: _Gap) -> None:
        await trio.sleep(seconds)
        await self._pass(gap)

    async def _pass_when_over(self, going_on: frozenset[str], gap: _Gap) -> None:
        """Once none of these channels is left, for CDR that is written at once, and for CDR that is not."""
        with trio.move_on_after(LONGEST_CALL):
            while True:
                there = self.live(gap.pbx)
                if there is not None and going_on.isdisjoint(there):
                    break
                await trio.sleep(self.look_every)
        await self._pass_after(self.first_pass, gap)
        await self._pass_after(self.batch, gap)

    async def _last_known(self, pbx: str) -> float | None:
        while True:
            try:
                return await self.outbox.last_put_at(pbx, self.started_at)
            except OutboxError:
                await trio.sleep(self.look_every)  # what keeps the store from working is reported elsewhere

    async def _pass(self, gap: _Gap) -> None:
        """One pass; again and again where CDR or the store is away."""
        begun = trio.current_time()
        trouble = ""
        async with self._turns.setdefault(gap.pbx, trio.Lock()):
            while trio.current_time() - begun < LONGEST_CALL:
                try:
                    filled = await self.fillings[gap.pbx]().fill(gap.span, self.outbox, restarted=gap.restarted)
                except (CdrError, OutboxError) as why:
                    if str(why) != trouble:
                        trouble = str(why)
                        log.error(
                            "backfill.fails", pbx=gap.pbx, reason=trouble, hint="calls of the gap are not filled in"
                        )
                    await trio.sleep(self.look_every)
                    continue
                except Exception:
                    # A fault of ours over some rows must not end the calls that go on. The same rows would lead to it
                    # again, after a restart as well.
                    log.exception("backfill.failed", pbx=gap.pbx, hint="calls of the gap are not filled in")
                    return
                self._report(gap.pbx, gap.span, filled)
                return

    def _report(self, pbx: str, span: Span, filled: Filled) -> None:
        log.info(
            "backfill.done",
            pbx=pbx,
            seconds=round(span.until - span.since),
            calls=filled.calls,
            filled=filled.filled,
            deliveries=len(filled.deliveries),
            open=filled.open,
        )
        if filled.zone_differs:
            log.warning("backfill.zone_differs", pbx=pbx, reason=filled.zone_differs)
        if filled.deliveries:
            self.filled()
