"""From the pipeline to the store's writer: a hand-over that never waits, and a store that may be away."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import attrs
import structlog
import trio

from uac_trio.crm.delivery import Delivery
from uac_trio.journal import Heard, write_line
from uac_trio.recordings import split_recordings
from uac_trio.store import Outbox, OutboxError, OutboxStatistics, Page, new_page
from uac_trio.store import writer as store_writer
from uac_trio.store.writer import Puts, StoreWriter

log = structlog.get_logger()

T = TypeVar("T")

MAX_WAITING = 20_000
"""Deliveries held in memory while the store takes none: 30 MB, half an hour of a PBX with two calls a second."""
MAX_JOURNAL = 32 * 1024 * 1024
"""Characters of the journal held in memory while the store takes none; of more, only the deliveries are."""
BATCH = 500
"""Hand-overs that are put into the outbox in one transaction."""
JOURNAL_WITHIN = 0.2
"""Seconds that events of which no delivery follows may wait to be written down together."""
STATISTICS_EVERY = 10.0
PURGE_EVERY = 3600.0


@attrs.frozen
class _HandOver:
    """What the pipeline was given once, and what followed."""

    deliveries: Sequence[Delivery]
    pbx: str = ""
    at: float = 0.0
    line: str = ""
    """Of the journal; "" = there is none."""
    is_first: bool = False
    """Lines before it were left out."""


@attrs.define(eq=False, kw_only=True)
class StoreHealth:
    """Whether the store works, for the log and for /healthz."""

    trouble: str = ""
    """Why the store takes nothing now; "" = it works."""
    in_memory: int = 0
    """Deliveries that would be lost with this process."""

    def fails(self, why: OutboxError) -> None:
        """Work with the store failed."""
        if str(why) != self.trouble:
            log.error("outbox.fails", reason=str(why), in_memory=self.in_memory)
        self.trouble = str(why)

    def works(self) -> None:
        """Work with the store was done."""
        if self.trouble:
            log.info("outbox.works_again")
        self.trouble = ""


@attrs.define(eq=False, kw_only=True)
class Storing:
    """What is on its way into the outbox. The ``Source`` of the store's writer."""

    writer: StoreWriter
    health: StoreHealth
    roots: Mapping[str, Sequence[str]]
    """Directories of each PBX's recordings, by its name."""
    now: Callable[[], float]
    recordings_stored: Callable[[], None]
    """Called when there are new recordings to be waited for."""
    statistics: OutboxStatistics | None = None
    run: str = ""
    """Names our journals; another for each pipeline."""
    _journal: int = 0
    """Characters of the journal in memory."""
    _torn: set[str] = attrs.field(factory=set)
    """PBXes of whose journal the last line was left out."""
    _waiting: deque[_HandOver] = attrs.field(factory=deque, init=False)
    _taken: list[_HandOver] = attrs.field(factory=list, init=False)
    _committed: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set, and another one, whenever something is stored."""

    @property
    def outbox(self) -> Outbox:
        return self.writer.outbox

    def begin_run(self) -> None:
        """Another pipeline begins: its journals have another name."""
        self.run = secrets.token_hex(8)
        self._torn.clear()

    def hand_over_nowait(self, deliveries: Sequence[Delivery], pbx: str = "", heard: Heard | None = None) -> int:
        """Take ``deliveries`` and, for the journal of ``pbx``, what they follow from.

        How many deliveries there was no room for (all of them, or none): their calls are no longer delivered rightly.
        """
        in_memory = self.health.in_memory
        if in_memory and in_memory + len(deliveries) > MAX_WAITING:
            return len(deliveries)
        line = write_line(heard) if heard is not None else ""
        if self._journal + len(line) > MAX_JOURNAL:
            self._torn.add(pbx)
            line = ""
        at = heard.at if heard is not None else 0.0
        new = _HandOver(deliveries, pbx, at, line, bool(line) and pbx in self._torn)
        if new.is_first:
            self._torn.discard(pbx)
        if deliveries or line:
            self.health.in_memory += len(deliveries)
            self._journal += len(line)
            self._waiting.append(new)
            self.writer.wake_nowait(0.0 if deliveries else JOURNAL_WITHIN)
        return 0

    def take(self) -> Puts | None:
        self._taken = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if self._waiting:
            self.writer.wake_nowait()
        if not self._taken:
            return None
        new = [delivery for each in self._taken for delivery in each.deliveries]
        deliveries, recordings = split_recordings(new, self.roots)
        return Puts(deliveries=deliveries, recordings=recordings, pages=self._pages(self._taken))

    def stored(self, puts: Puts, new: int) -> None:
        self.health.in_memory -= sum(len(each.deliveries) for each in self._taken)
        self._journal -= sum(len(each.line) for each in self._taken)
        self._taken = []
        self._committed.set()
        self._committed = trio.Event()
        log.debug("outbox.put", deliveries=len(puts.deliveries), new=new)
        if puts.recordings:
            self.recordings_stored()

    async def all_committed(self) -> None:
        """Wait until nothing is held in memory."""
        while self._waiting or self._taken:
            await self._committed.wait()

    async def keep_asking(self, question: Callable[[], Awaitable[T]]) -> T:
        """The store's answer, however long it is away."""
        while True:
            try:
                return await question()
            except OutboxError as why:
                self.health.fails(why)
            await trio.sleep(store_writer.PAUSE)

    async def look_after_store(self) -> None:
        """Keep the figures for /healthz fresh and throw old rows away."""
        purge_at = trio.current_time()
        while True:
            try:
                self.statistics = await self.outbox.statistics()
                await self.outbox.mend_times(self.now())
                if trio.current_time() >= purge_at:
                    purge_at = trio.current_time() + PURGE_EVERY
                    purged = await self.outbox.purge(self.now() - self.outbox.settings.keep_delivered)
                    log.debug("outbox.purged", rows=purged)
                if not self.health.in_memory:
                    self.health.works()
            except OutboxError as why:
                self.health.fails(why)
            await trio.sleep(STATISTICS_EVERY)

    def _pages(self, batch: Sequence[_HandOver]) -> list[Page]:
        by_pbx: dict[str, list[_HandOver]] = {}
        for each in batch:
            if each.is_first:
                by_pbx[each.pbx] = [each]  # what is before the gap is of no use
            elif each.line:
                by_pbx.setdefault(each.pbx, []).append(each)
        return [
            new_page(
                pbx,
                self.run,
                [each.line for each in lines],
                at=lines[0].at,
                until=max(each.at for each in lines),
                is_first=lines[0].is_first,
            )
            for pbx, lines in by_pbx.items()
        ]
