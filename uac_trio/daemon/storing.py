"""From the pipeline to the store's writer: a hand-over that never waits, and a store that may be away."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import attrs
import structlog
import trio

from uac_trio.crm.delivery import Delivery
from uac_trio.event_log import LogChanges
from uac_trio.pipeline import Pipeline
from uac_trio.recordings.archive import split_recordings
from uac_trio.store import writer as store_writer
from uac_trio.store.outbox import Outbox
from uac_trio.store.rows import OutboxStatistics
from uac_trio.store.settings import OutboxError
from uac_trio.store.writer import Puts, StoreWriter

log = structlog.get_logger()

T = TypeVar("T")

MAX_WAITING = 20_000
"""Deliveries held in memory while the store takes none: 30 MB, half an hour of a PBX with two calls a second."""
LOGGED_WITHIN = 0.2
"""Seconds that events of which no delivery follows may wait to be logged together."""
STATISTICS_EVERY = 10.0
PURGE_EVERY = 3600.0


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
    longest_pause: float
    """Seconds for which a sender lets a delivery wait at most."""
    recordings_stored: Callable[[], None]
    """Called when there are new recordings to be waited for."""
    statistics: OutboxStatistics | None = None
    pipeline: Pipeline | None = None
    """Whose event logs are written with the deliveries."""
    _logged_at: float = attrs.field(default=-math.inf, init=False)
    """When the event logs of all calls were last written, by trio's clock."""
    _waiting: list[Delivery] = attrs.field(factory=list, init=False)
    _taken: int | None = attrs.field(default=None, init=False)
    """Deliveries that are being written, perhaps none but logs; None: nothing is."""
    _committed: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set, and another one, whenever something is stored."""

    @property
    def outbox(self) -> Outbox:
        return self.writer.outbox

    def hand_over_nowait(self, deliveries: Sequence[Delivery]) -> int:
        """Take ``deliveries``, and look at the event logs soon.

        How many deliveries there was no room for (all of them, or none): their calls are no longer delivered rightly.
        """
        in_memory = self.health.in_memory
        if in_memory and in_memory + len(deliveries) > MAX_WAITING:
            return len(deliveries)
        self.health.in_memory += len(deliveries)
        self._waiting += deliveries
        if deliveries or self._has_log_changes:
            self.writer.wake_nowait(0.0 if deliveries else LOGGED_WITHIN)
        return 0

    def take(self) -> Puts | None:
        """All deliveries, and with them the event logs of their calls: what is in one transaction belongs together.
        The logs of other calls are written together, every ``LOGGED_WITHIN`` seconds."""
        new, self._waiting = self._waiting, []
        logs = self._take_logs(new)
        if not new and not logs:
            return None
        self._taken = len(new)
        deliveries, recordings = split_recordings(new, self.roots)
        return Puts(deliveries=deliveries, recordings=recordings, logs=logs)

    def _take_logs(self, new: Sequence[Delivery]) -> Sequence[LogChanges]:
        if self.pipeline is None:
            return ()
        now = trio.current_time()
        if not new or now - self._logged_at >= LOGGED_WITHIN:
            self._logged_at = now
            return self.pipeline.take_log_changes()
        logs = self.pipeline.take_log_changes({delivery.call_id for delivery in new})
        if self._has_log_changes:
            self.writer.wake_nowait(self._logged_at + LOGGED_WITHIN - now)
        return logs

    def stored(self, puts: Puts, new: int) -> None:
        self.health.in_memory -= self._taken or 0
        self._taken = None
        self._committed.set()
        self._committed = trio.Event()
        log.debug("outbox.put", deliveries=len(puts.deliveries), new=new)
        if puts.recordings:
            self.recordings_stored()

    async def all_committed(self) -> None:
        """Wait until nothing is held in memory."""
        while self._waiting or self._taken is not None or self._has_log_changes:
            self.writer.wake_nowait()
            await self._committed.wait()

    @property
    def _has_log_changes(self) -> bool:
        return self.pipeline is not None and self.pipeline.has_log_changes

    async def keep_asking(self, question: Callable[[], Awaitable[T]]) -> T:
        """The store's answer, however long it is away."""
        while True:
            try:
                return await question()
            except OutboxError as why:
                self.health.fails(why)
            await trio.sleep(store_writer.PAUSE)

    async def look_after_store(self) -> None:
        """Keep the counts for /healthz fresh and throw old rows away."""
        purge_at = trio.current_time()
        while True:
            try:
                self.statistics = await self.outbox.statistics()
                await self.outbox.mend_times(self.now(), self.longest_pause)
                if trio.current_time() >= purge_at:
                    purge_at = trio.current_time() + PURGE_EVERY
                    purged = await self.outbox.purge(self.now() - self.outbox.settings.keep_delivered)
                    log.debug("outbox.purged", rows=purged)
                if not self.health.in_memory:
                    self.health.works()
            except OutboxError as why:
                self.health.fails(why)
            await trio.sleep(STATISTICS_EVERY)
